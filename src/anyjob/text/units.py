"""Quantities as people write them: ``"8GiB"``, ``"2h"``, ``"1:30:00"``, ``"4"``.

Where two readings are common, the text is refused with both spelt out rather than guessed:
``"90"`` (seconds here, minutes for Slurm), ``"1:30"`` (minutes or hours), ``"4000"`` of memory
(bytes here, megabytes for Slurm). Numbers that are no text are seconds and bytes.
"""

from __future__ import annotations

from anyjob.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from decimal import Decimal
    from typing import NoReturn

_BINARY = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
_DECIMAL = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}
# A bare letter is binary, as for Slurm, LSF and ``sort -S``: "4G" is 4 GiB.
_BYTES = {"b": 1}
for _table in (_BINARY, _DECIMAL):
    _BYTES.update({unit.lower(): size for unit, size in _table.items()})
_BYTES.update({unit[0].lower(): size for unit, size in _BINARY.items()})

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_WORDS = {
    **dict.fromkeys(("w", "week", "weeks"), "w"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
}

_MOST_BYTES = 2**63 - 1
_MOST_SECONDS = 1000 * 365 * 86400

_MEMORY_HELP = (
    "is not understood; write a number and a unit: 512MB or 8GB (powers of 1000), "
    "512MiB, 8GiB or 8G (powers of 1024)"
)
_DURATION_HELP = (
    "is not understood; write 90s, 10m, 1h30m, 1d12h, hours:minutes:seconds (1:30:00) "
    "or days-hours:minutes:seconds"
)


def parse_memory(value: str | float, *, what: str = "memory") -> int:
    """Return an amount of memory in bytes.

    ``MB`` and ``GB`` are powers of 1000; ``MiB`` and ``GiB``, and the bare letters ``M`` and ``G``,
    powers of 1024. Case does not matter, parts of a byte are rounded up.

    Args:
        value: text with a unit, or a whole number of bytes.
        what: what to call it in an error.

    Raises:
        SpecError: it is neither, or not positive, or 8 EiB and more.
    """
    size = _memory_of_text(value, what) if isinstance(value, str) else _whole(value, what, _MEMORY_HELP)
    if not 0 < size <= _MOST_BYTES:
        _refuse(what, value, "does not do: it must be at least one byte, and less than 8 EiB")
    return size


def _memory_of_text(text: str, what: str) -> int:
    import re
    from decimal import ROUND_CEILING, Decimal

    match = re.fullmatch(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([a-z]*)\s*", text, re.ASCII | re.IGNORECASE)
    number, unit = match.groups() if match else ("", "")
    if number and not unit:
        _refuse(what, text, f"has no unit: write {number}MB, {number}GB or {number}B")
    if unit.lower() not in _BYTES:
        _refuse(what, text, _MEMORY_HELP)
    return int((Decimal(number) * _BYTES[unit.lower()]).to_integral_value(ROUND_CEILING))


def format_memory(size: int) -> str:
    """Return an amount of memory in the largest unit that gives it exactly: ``8GiB``, ``1500MB``, ``17B``.

    Args:
        size: bytes.
    """
    units = {**_BINARY, **_DECIMAL, "B": 1}
    fitting = {unit: factor for unit, factor in units.items() if size >= factor and size % factor == 0}
    unit = max(fitting, key=lambda name: fitting[name], default="B")
    return f"{size // units[unit]}{unit}"


def parse_duration(
    value: str | float | timedelta, *, what: str = "walltime", allow_zero: bool = False
) -> float:
    """Return a length of time in seconds.

    Text is ``1d12h``, ``1h 30m``, ``90 s``, ``1.5h``, ``2 hours``; or a clock: ``1:30:00``, or as Slurm
    has it with days, ``1-12``, ``1-12:00``, ``1-12:00:00``.

    Args:
        value: text, a number of seconds, or a timedelta.
        what: what to call it in an error.
        allow_zero: whether no time at all makes sense.

    Raises:
        SpecError: it is none of these, is ambiguous (``1:30``), negative, zero where that makes no
            sense, or longer than a thousand years.
    """
    if isinstance(value, str):
        seconds = float(_duration_of_text(value, what))
    elif hasattr(value, "total_seconds"):
        seconds = float(value.total_seconds())
    else:
        seconds = _number(value, what, _DURATION_HELP)
    if not (0 <= seconds <= _MOST_SECONDS) or (seconds == 0 and not allow_zero):
        least = "zero or more" if allow_zero else "more than zero"
        _refuse(what, value, f"does not do: it must be {least}, and at most a thousand years")
    return seconds


def _duration_of_text(text: str, what: str) -> Decimal:
    import re
    from decimal import Decimal

    plain = text.strip().lower()
    if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,30})?", plain):
        _refuse(what, text, f"has no unit: write {plain}s, {plain}m or {plain}h")
    if ":" in plain or "-" in plain:
        return Decimal(_clock(text, plain, what))
    total, last = Decimal(0), float("inf")
    part = r"([0-9]{1,20}(?:\.[0-9]{1,30})?)\s*([a-z]+)\s*"
    if not re.fullmatch(f"(?:{part})+", plain, re.ASCII):
        _refuse(what, text, _DURATION_HELP)
    for number, word in re.findall(part, plain, re.ASCII):
        size = _SECONDS.get(_WORDS.get(word, ""), 0)
        if not 0 < size < last:
            _refuse(what, text, _DURATION_HELP)
        total, last = total + Decimal(number) * size, size
    return total


def _clock(text: str, plain: str, what: str) -> int:
    import re

    match = re.fullmatch(r"(?:([0-9]{1,9})-)?([0-9]{1,9})(?::([0-9]{2}))?(?::([0-9]{2}))?", plain, re.ASCII)
    if match is None:
        _refuse(what, text, _DURATION_HELP)
    days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    if match[1] is None and match[4] is None:
        readings = f"{hours}h{minutes}m or {hours}m{minutes}s"
        _refuse(what, text, f"could be hours or minutes: write {readings}")
    if minutes > 59 or seconds > 59 or (match[1] is not None and hours > 23):
        _refuse(what, text, "has more than 59 minutes or seconds, or more than 23 hours beside days")
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def format_duration(seconds: float) -> str:
    """Return a length of time as ``1d12h``, ``1h30m`` or ``1.5s``, exactly.

    Args:
        seconds: zero or more.
    """
    from decimal import Decimal

    left, text = Decimal(repr(seconds)), ""
    for unit in "dhm":
        count, left = divmod(left, _SECONDS[unit])
        text += f"{count:f}{unit}" if count else ""
    if left or not text:
        number = f"{left:f}"
        text += (number.rstrip("0").rstrip(".") if "." in number else number) + "s"
    return text


def parse_count(value: str | int, *, what: str, minimum: int = 1) -> int:
    """Return how many of something: ``4`` or ``"4"``.

    Args:
        value: a whole number, or text of one.
        what: what is counted, for an error.
        minimum: the least that makes sense.

    Raises:
        SpecError: it is no whole number (True and 2.5 are none), or less than that.
    """
    wanted = f"does not do: it must be a whole number, {minimum} or more"
    if isinstance(value, str):
        digits = value.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            _refuse(what, value, wanted)
        value = int(digits)
    count = _whole(value, what, wanted)
    if not minimum <= count < 10**18:
        _refuse(what, value, wanted)
    return count


def parse_share(value: str | float, *, what: str) -> int | float:
    """Return how many of something, of which several may share one: ``2``, ``"0.5"``.

    Args:
        value: a whole number, or a fraction below 1; or text of one.
        what: what is counted, for an error.

    Raises:
        SpecError: it is neither, or negative: what is more than one is not shared.
    """
    wanted = "does not do: it must be a whole number, or a fraction below 1 for a share of one"
    if isinstance(value, str):
        import re

        if not re.fullmatch(r"[0-9]{1,18}|[0-9]{0,18}\.[0-9]{1,18}", value.strip(), re.ASCII):
            _refuse(what, value, wanted)
        value = float(value)
    number = _number(value, what, wanted)
    if not 0 <= number < 10**18 or (number > 1 and not number.is_integer()):
        _refuse(what, value, wanted)
    return int(number) if number.is_integer() else number


def _number(value: object, what: str, wanted: str) -> float:
    # bool is an int, and NaN is below every limit and above it.
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        _refuse(what, value, wanted)
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        _refuse(what, value, wanted)
    if number != number:
        _refuse(what, value, wanted)
    return number


def _whole(value: object, what: str, wanted: str) -> int:
    if hasattr(value, "__index__") and not isinstance(value, bool):
        return int(value.__index__())
    number = _number(value, what, wanted)
    if not number.is_integer():
        _refuse(what, value, wanted)
    return int(number)


def _refuse(what: str, value: object, why: str) -> NoReturn:
    try:
        shown = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        shown = "that number"
    raise SpecError(f"{what}: {shown if len(shown) < 80 else shown[:76] + '…'} {why}")
