"""Says what in a call, or in another spec, cannot be pickled."""

from __future__ import annotations

from typing import Any

from anyjob.errors import SerializationError
from anyjob.specs import Call, Spec, kind_of
from anyjob.standalone import runner
from anyjob.standalone.shadowing import shadowing


def serialization_error(spec: Spec, error: Exception) -> SerializationError:
    """Return the error that names what in a call, or in the fields of another spec, cannot be pickled.

    For who pickles a spec otherwise than `anyjob.sdk.dump_call` does.

    Args:
        spec: what was to be pickled.
        error: what was raised over it.
    """
    text = _of_call(spec, error) if isinstance(spec, Call) else _of_fields(spec, error)
    said = shadowing(error)
    found = SerializationError(f"{text}; {said}" if said else text)
    found.spec = spec
    return found


def _of_call(spec: Call, error: Exception) -> str:
    named = [("the function", spec.fn)]
    named += [(f"argument {number}", value) for number, value in enumerate(spec.args)]
    named += [(f"argument {name!r}", value) for name, value in spec.kwargs.items()]
    for what, value in named:
        culprit = find(what, value)
        if culprit is not None:
            what, value = culprit
            return (
                f"{what} of the call cannot be pickled, so it cannot be sent to where the call runs: "
                f"{_short(value)} of type {type(value).__qualname__}: {error}"
            )
    return f"the call cannot be pickled, so it cannot be sent to where it runs: {error}"


def _of_fields(spec: Spec, error: Exception) -> str:
    what = f"work of kind {kind_of(spec)!r}"
    culprit = find("its field", {name: getattr(spec, name) for name in spec.__struct_fields__})
    if culprit is None:
        return f"{what} cannot be pickled: {error}"
    return f"{what} cannot be pickled: {culprit[0]}: {_short(culprit[1])}: {error}"


def find(what: str, value: Any, depth: int = 0) -> tuple[str, Any] | None:
    """Return the innermost part that cannot be pickled, and the way to it; None where all can."""
    if _pickles(value):
        return None
    for step, part in _parts(value) if depth < 5 else []:
        inner = find(what + step, part, depth + 1)
        if inner is not None:
            return inner
    return what, value


def _pickles(value: Any) -> bool:
    try:
        runner.dumps(value)
    except Exception:  # what a value's own pickling raises is not to be foreseen
        return False
    return True


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"[{key!r}]", part) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{index}]", part) for index, part in enumerate(value)]
    closure = getattr(value, "__closure__", None)
    if closure:
        named = zip(value.__code__.co_freevars, closure, strict=True)
        return [(f" (its variable {name!r})", _content(cell)) for name, cell in named]
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        return [(f".{name}", part) for name, part in attributes.items()]
    return []


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that has no value yet
        return None


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # of a user's class: its repr() may do as it likes
        return "something"
    return text if len(text) <= 60 else text[:57] + "..."
