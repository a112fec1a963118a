"""Reads what Qiskit's backends and samplers return as plain data. Needs Qiskit only.

Providers fill Qiskit's ``Result`` very differently: without header, with widths that are missing, with
fractions for counts. What the circuit itself says of its classical bits goes before what a header says.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from qiskit import QuantumCircuit

try:
    from anyjob import JobFailedError
except ImportError:  # where circuits are simulated, anyjob need not be installed
    JobFailedError = Exception  # type: ignore[misc, assignment]


class CircuitError(JobFailedError):
    """The simulator, or the device, could not run the circuits; the message is in its own words.

    Wherever circuits ran, who waits for them catches `anyjob.JobFailedError`.
    """


class ClassicalBits(NamedTuple):
    """The classical bits of a circuit.

    Args:
        name: what the circuit is called.
        size: how many there are; None where that is not known.
        registers: name and size of each register.
        positions: the bits of each register by their number among all; None where the registers hold every
            bit once, one after the other.
    """

    name: str
    size: int | None
    registers: list[tuple[str, int]]
    positions: list[list[int]] | None = None


def classical_bits(circuit: QuantumCircuit) -> ClassicalBits:
    """Return the classical bits of a circuit."""
    registers = [(register.name, register.size) for register in circuit.cregs]
    positions = None
    if [bit for register in circuit.cregs for bit in register] != circuit.clbits:
        positions = [[circuit.find_bit(bit).index for bit in register] for register in circuit.cregs]
    return ClassicalBits(circuit.name, circuit.num_clbits, registers, positions)


def loose_bits(bits: ClassicalBits) -> list[int]:
    """Return the numbers of the bits that are in no register."""
    if bits.positions is None or bits.size is None:
        return []
    return sorted(set(range(bits.size)).difference(*bits.positions))


def experiment_data(
    result: Any,
    circuits: Sequence[ClassicalBits] | None = None,
    *,
    span: tuple[int, int] | None = None,
    per_shot: bool = True,
) -> list[dict[str, Any]]:
    """Return a ``Result`` of Qiskit's, or a ``PrimitiveResult``, as plain data, one table for each circuit.

    Each has ``name``, ``shots``, ``counts`` (by bits, the last register first, as Qiskit writes them; without
    spaces where bits are in no register, or in several), ``memory`` (the same for each shot), ``registers``
    (name and size of each), ``positions`` (see `ClassicalBits`) and ``weights`` (fractions, where the device
    gave those).

    Args:
        result: what the backend or the sampler returned.
        circuits: the classical bits of the circuits that are asked for; None: as the result says.
        span: which of the result's circuits are asked for; None: all.
        per_shot: whether ``memory`` is wanted. Where the device has only counted, it is made of the counts,
            in an order that is drawn by lot: shots that do not depend on each other cannot be told from that.

    Raises:
        CircuitError: one of these circuits has failed, or what came of it cannot be read.
    """
    sampled = not hasattr(result, "results")
    every = list(result) if sampled else list(result.results)
    some = every if span is None else every[slice(*span)]
    if not some or (circuits is not None and len(some) != len(circuits)):
        reason = "" if sampled or getattr(result, "success", True) else _status(result)
        wanted = "" if circuits is None else f" for {len(circuits)} circuits"
        raise CircuitError(reason or f"there are {len(some)} results{wanted}")
    if not sampled:
        _raise_failures(result, some)
    read = _sampled if sampled else _counted
    known = [None] * len(some) if circuits is None else circuits
    return [read(one, bits, per_shot) for one, bits in zip(some, known, strict=True)]


def _raise_failures(result: Any, experiments: Sequence[Any]) -> None:
    """Of a batch, one circuit may have failed and the others not."""
    failed = [str(getattr(each, "status", "")) for each in experiments if not getattr(each, "success", True)]
    told = any(not getattr(each, "success", True) for each in result.results)
    if failed or (not getattr(result, "success", True) and not told):
        raise CircuitError(
            "; ".join(filter(None, dict.fromkeys(failed))) or _status(result) or "no reason given"
        )


def _status(result: Any) -> str:
    return str(getattr(result, "status", None) or "")


def _counted(experiment: Any, bits: ClassicalBits | None, per_shot: bool) -> dict[str, Any]:
    """Read the result that ``backend.run`` gave for one circuit."""
    bits = bits or _bits_of_header(getattr(experiment, "header", None))
    data = experiment.data if isinstance(experiment.data, Mapping) else vars(experiment.data)
    memory, counted = data.get("memory"), data.get("counts")
    if not counted and not memory:
        raise CircuitError(f"nothing was counted for the circuit {bits.name!r}")
    bitstrings = _Bitstrings(bits)
    told = _told(counted or Counter(memory), bitstrings)
    asked = getattr(experiment, "shots", None)
    asked = asked if isinstance(asked, int) else None  # Qiskit allows a pair, too
    counts, weights = _whole(told, asked)
    shots = bitstrings.of_shots(memory or ()) if per_shot else []
    shots = shots or (_drawn(counts, weights, bits) if per_shot else [])
    return {**_table(bits, counts, shots, weights), "shots": asked or sum(counts.values())}


def _told(counted: Mapping[Any, Any], bitstrings: _Bitstrings) -> dict[str, Any]:
    """Return how often each outcome was counted, by its bits; a device may write one in several ways."""
    told = dict(zip(texts := bitstrings.of(counted), counted.values(), strict=True))
    if len(told) < len(texts):
        told = dict.fromkeys(told, 0)
        for text, number in zip(texts, counted.values(), strict=True):
            told[text] += number
    return told


def _whole(told: Mapping[str, Any], shots: int | None) -> tuple[dict[str, int], dict[str, float]]:
    """Return counts; and fractions of the whole, where a device gave those instead.

    Fractions are made counts by the largest remainder, so that these add up to the shots.
    """
    if set(map(type, told.values())) == {int} and min(told.values()) >= 0:
        return {bits: told[bits] for bits in sorted(told)}, {}
    whole = all(float(number).is_integer() and number >= 0 for number in told.values())
    fractions = (
        any(isinstance(number, float) for number in told.values()) and sum(told.values()) <= 1 != shots
    )
    if whole and not fractions:
        return {bits: int(number) for bits, number in sorted(told.items())}, {}
    total = float(sum(told.values()))
    if not (math.isfinite(total) and total > 0 and min(told.values()) >= 0):
        raise CircuitError(f"these are no counts: {dict(itertools.islice(told.items(), 4))}")
    weights = {bits: float(number) / total for bits, number in sorted(told.items())}
    shots = round(total) if shots is None else shots
    counts = {bits: math.floor(weight * shots) for bits, weight in weights.items()}
    left = sorted(weights, key=lambda bits: (counts[bits] - weights[bits] * shots, bits))
    for bits in left[: shots - sum(counts.values())]:
        counts[bits] += 1
    return {bits: number for bits, number in counts.items() if number}, weights


def _drawn(counts: Mapping[str, int], weights: Mapping[str, float], bits: ClassicalBits) -> list[str]:
    """Return shots that give these counts, the same each time."""
    if weights:
        raise CircuitError(
            f"of the circuit {bits.name!r} the device gives fractions, and not what each shot gave"
        )
    shots = [outcome for outcome, number in counts.items() for _ in range(number)]
    random.Random(repr(sorted(counts.items()))).shuffle(shots)
    return shots


def _bits_of_header(header: Any) -> ClassicalBits:
    """What a result says of classical bits, as far as it does."""
    told: Mapping[str, Any] = header if isinstance(header, Mapping) else getattr(header, "__dict__", {})
    if not isinstance(header, Mapping) and hasattr(header, "to_dict"):
        told = header.to_dict()
    registers = [(str(name), int(size)) for name, size in told.get("creg_sizes") or ()]
    size = int(told.get("memory_slots") or 0) or sum(size for _, size in registers) or None
    return ClassicalBits(str(told.get("name") or ""), size, registers)


class _Bitstrings:
    """What Qiskit shows for values of classical bits, "01 01" for "0x5"; Qiskit takes longer for it."""

    def __init__(self, bits: ClassicalBits) -> None:
        sizes = [size for _, size in bits.registers]
        self._size = bits.size
        self._format = f"0{bits.size}b"
        ends = list(itertools.accumulate(reversed(sizes)))
        tiled = bits.positions is None and sum(sizes) == bits.size
        self._cuts = [slice(start, end) for start, end in itertools.pairwise([0, *ends])] if tiled else []

    def of(self, values: Collection[Any]) -> list[str]:
        """Return what is shown for each of these.

        Raises:
            CircuitError: one is no value of these bits.
        """
        numbers = _hexadecimal_numbers(values)
        if numbers and self._size is not None and max(numbers) < 1 << self._size:
            texts = [format(number, self._format) for number in numbers]
        else:
            texts = [self._text(value) for value in values]
        if len(self._cuts) > 1:
            texts = [" ".join([text[cut] for cut in self._cuts]) for text in texts]
        return texts

    def of_shots(self, values: Collection[Any]) -> list[str]:
        """Return the same for values of which many are alike."""
        distinct = set(values)
        shown = dict(zip(distinct, self.of(distinct), strict=True))
        return [shown[value] for value in values]

    def _text(self, value: Any) -> str:
        try:
            if not isinstance(value, str):
                number, written = int(value), ""
            elif value[:2] in ("0x", "0b"):
                number, written = int(value, 0), ""
            else:
                written = value.replace(" ", "")
                number = int(written, 2)
        except (TypeError, ValueError):
            raise CircuitError(f"{value!r} is no value of classical bits") from None
        if self._size is None:
            return written or format(number, "b")
        # Whoever writes more digits has counted qubits, in an order that is theirs.
        if number < 0 or max(number.bit_length(), len(written)) > self._size:
            raise CircuitError(f"{value!r} is no value of {self._size} classical bits")
        return format(number, self._format)


def _hexadecimal_numbers(values: Collection[Any]) -> list[int] | None:
    """Return numbers that are all written as "0x5", as most devices do; None where one is not."""
    try:
        if [value[:2] for value in values].count("0x") == len(values):
            return [int(value, 16) for value in values]
    except (TypeError, ValueError):
        pass
    return None


def _sampled(pub: Any, bits: ClassicalBits | None, per_shot: bool) -> dict[str, Any]:
    """Read what a sampler gave for one circuit; it does not tell what that was called."""
    arrays = {str(name): array for name, array in pub.data.items()}
    if bits is None:
        registers = [(name, int(array.num_bits)) for name, array in arrays.items()]
        name = (pub.metadata or {}).get("circuit_metadata", {}).get("name", "circuit")
        bits = ClassicalBits(str(name), sum(size for _, size in registers), registers)
    missing = [name for name, size in bits.registers if size and name not in arrays]
    if missing or not arrays:
        raise CircuitError(f"the sampler gave nothing for the register {', '.join(missing) or 'of any name'}")
    columns = [arrays[name].get_bitstrings() for name, size in bits.registers if size]
    if bits.positions is None:
        columns.reverse()
        memory = [" ".join(each) for each in zip(*columns, strict=True)]
    else:
        memory = [_placed(each, bits) for each in zip(*columns, strict=True)]
    counts = dict(sorted(Counter(memory).items()))
    return _table(bits, counts, memory if per_shot else [], {})


def _placed(values: Iterable[str], bits: ClassicalBits) -> str:
    """Put the values of registers where their bits are among all."""
    found = ["0"] * (bits.size or 0)
    for value, positions in zip(values, filter(None, bits.positions or ()), strict=True):
        for position, bit in zip(positions, reversed(value), strict=True):
            found[position] = bit
    return "".join(reversed(found))


def _table(
    bits: ClassicalBits, counts: dict[str, int], memory: list[str], weights: dict[str, float]
) -> dict[str, Any]:
    return {
        "name": bits.name,
        "shots": sum(counts.values()),
        "counts": counts,
        "memory": memory,
        "registers": [list(register) for register in bits.registers],
        "positions": bits.positions or [],
        "weights": weights,
    }
