"""Runs calls away from home, and writes what came of them.

This one file is all that a compute node needs beside Python: the standard library and, for work
that needs it, cloudpickle. It imports nothing of anyjob, and so is sent along to where that is not installed:
as a file (``runner.__file__``), or by value (``cloudpickle.register_pickle_by_value(runner)``). It is used in
two ways: imported (`perform`), and for one call whose payload lies in the directory that ``ANYJOB_SPOOL``
names (``python runner.py``), where it leaves ``outcome.pkl``.

What came of a call is its report: a mapping with the fields of `anyjob.Outcome`, as far as they are
known, in builtin types, with the name of the status. ``started`` and ``finished`` are seconds since 1970.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HERE = os.path.dirname(__file__)
_FILENAME = 10  # its place among the arguments of `types.CodeType`
__all__ = ["dumps", "failure", "perform", "pickled", "resolve"]


def dumps(value: Any) -> bytes:
    """Pickle a value: with the standard pickler, or where that cannot, with cloudpickle.

    Raises:
        Exception: neither can; of whatever type the value's own code raises.
    """
    try:
        blob = pickle.dumps(value, 5)
    except Exception:  # what a value's own pickling raises is not to be foreseen: cloudpickle is next
        pass
    else:
        if not names_sent_along(blob):
            return blob
    return dumps_by_value(value)


def dump_out_of_band(value: Any, large: int) -> tuple[bytes, list[Any]]:
    """Pickle a value as `dumps` does, with its large buffers left out.

    Args:
        value: the value.
        large: bytes from which a buffer is left out.

    Returns:
        the pickle, and as memoryviews what `pickle.loads` takes as ``buffers``.

    Raises:
        Exception: it cannot be pickled; of whatever type the value's own code raises.
    """
    left_out: list[Any] = []

    def keep(buffer: Any) -> bool:
        raw = buffer.raw()
        if raw.nbytes >= large:
            left_out.append(raw)
        return bool(raw.nbytes < large)

    value = leaving_out_bytes(value, large)
    try:
        blob = pickle.dumps(value, 5, buffer_callback=keep)
    except Exception:  # as in dumps()
        pass
    else:
        if not names_sent_along(blob):
            return blob, left_out
    left_out.clear()
    return dumps_by_value(value, keep), left_out


def leaving_out_bytes(value: Any, large: int) -> Any:
    """Return what pickles as a value does; of bytes as large, with them as a buffer, to be left out."""
    return _Bytes(value) if type(value) is bytes and len(value) >= large else value


class _Bytes:
    """Pickles as bytes that are a buffer, which they are not by themselves."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def __reduce__(self) -> Any:
        return bytes, (pickle.PickleBuffer(self._value),)


def names_sent_along(blob: bytes) -> bool:
    """Tell whether a pickle may name something in a module that is sent along with what uses it.

    What is defined in __main__ pickles by a name that means something else over there, and so does what is in
    the modules given to `cloudpickle.register_pickle_by_value`.
    """
    if b"__main__" in blob:
        return True
    names = registered()
    return bool(names) and any(name.encode() in blob for name in names)


def registered() -> set[str]:
    """Return the names of the modules given to `cloudpickle.register_pickle_by_value`."""
    # Another thread may be importing it just now: then it has none of this yet, and nobody has given it any.
    names = getattr(sys.modules.get("cloudpickle"), "list_registry_pickle_by_value", set)
    return set(names())


def dumps_by_value(value: Any, buffer_callback: Callable[[Any], object] | None = None) -> bytes:
    """Pickle a value with cloudpickle, with what is defined in modules that are sent along.

    Args:
        value: the value.
        buffer_callback: as that of `pickle.Pickler`.

    Raises:
        Exception: it cannot be; of whatever type the value's own code raises.
    """
    stream = io.BytesIO()
    dump_by_value(value, stream, buffer_callback)
    return stream.getvalue()


def dump_by_value(value: Any, stream: Any, buffer_callback: Callable[[Any], object] | None = None) -> None:
    """Do what `dumps_by_value` does, into a stream."""
    import types

    import cloudpickle

    pickler: Any = cloudpickle.Pickler(stream, 5, buffer_callback=buffer_callback)
    by_cloudpickle, known = pickler.reducer_override, pickler.dispatch_table

    def reduce(value: Any) -> Any:
        if type(value) is types.CodeType:  # with its file, which cloudpickle leaves out: tracebacks name it
            made, arguments = known[types.CodeType](value)
            return made, (*arguments[:_FILENAME], value.co_filename, *arguments[_FILENAME + 1 :])
        reduced = by_cloudpickle(value)
        if reduced is not NotImplemented or isinstance(value, (type, types.FunctionType)):
            return reduced
        return reduced if type(value) in known else reduce_what_is_named(value)

    pickler.reducer_override = reduce
    try:
        pickler.dump(value)
    finally:
        del pickler.reducer_override  # else it would hold all that it has seen


def reduce_what_is_named(value: Any) -> Any:
    """Return what an object pickles as; something more than its name where that means nothing elsewhere."""
    if type(value).__module__ == "dataclasses" and (name := name_in_dataclasses(value)):
        return name
    reduced = value.__reduce_ex__(5)
    if not isinstance(reduced, str) or is_known_elsewhere(value, reduced):
        return reduced
    import functools
    import typing

    cached: Any = getattr(functools, "_lru_cache_wrapper", ())
    if isinstance(value, cached):  # with nothing in its cache
        sizes = value.cache_parameters()
        made_of = (value.__wrapped__, sizes["maxsize"], sizes["typed"], vars(functools)["_CacheInfo"])
        return type(value), made_of, vars(value)
    if isinstance(value, typing.NewType):
        return typing.NewType, (value.__name__, value.__supertype__), vars(value)
    if isinstance(value, (typing.ParamSpec, typing.TypeVarTuple)):
        return type(value), (value.__name__,)
    raise pickle.PicklingError(
        f"it pickles as no more than the name {value.__module__}.{reduced}, which means nothing where the "
        "call runs: define it in a module that can be imported there"
    )


def name_in_dataclasses(value: Any) -> str | None:
    """Return what that module calls an object, such as MISSING: a copy of that is another one for it."""
    import dataclasses

    return next((name for name, each in vars(dataclasses).items() if each is value), None)


def is_known_elsewhere(value: Any, name: str) -> bool:
    """Tell whether what pickles as its name is found by that where nothing of this program is."""
    if "<locals>" in name:  # of which Python 3.14 does not say the module
        return False
    module = pickle.whichmodule(value, name)  # type: ignore[attr-defined,unused-ignore]
    return module != "__main__" and not any(f"{module}.".startswith(f"{one}.") for one in registered())


def resolve(fn: Any) -> Any:
    """Return what to call: ``"module:function"`` is imported, everything else is itself.

    Raises:
        ImportError: there is no such module.
        AttributeError: it has no such function.
    """
    if not isinstance(fn, str):
        return fn
    module, _, path = fn.partition(":")
    __import__(module)
    found: Any = sys.modules[module]
    for name in path.split("."):
        found = getattr(found, name)
    return found


def perform(
    load: Callable[[], tuple[Any, tuple[Any, ...], dict[str, Any]]],
    passes: type[BaseException] | tuple[()] = (),
    keep: Callable[[BaseException], Any] | None = None,
) -> dict[str, Any]:
    """Make one call, and return its report.

    Args:
        load: gives what to call, its positional and its keyword arguments. Called in here so that
            what unpickling raises is taken for the call's own failure.
        passes: what is not taken for that, and passes through.
        keep: what is reported of an exception; `pickle_exception` by default.

    Returns:
        the report; ``value`` in it is what the call returned, as it is: see `pickled`.
    """
    started = time.time()
    try:
        fn, args, kwargs = load()
        value = resolve(fn)(*args, **kwargs)
    except passes:
        raise
    except BaseException as error:  # of the user's function: it is what came of the call
        report = failure(error, keep)
    else:
        report = {"status": "DONE", "value": value}
    report["started"] = started
    report["finished"] = time.time()
    return report


def failure(error: BaseException, keep: Callable[[BaseException], Any] | None = None) -> dict[str, Any]:
    """Return the report of a call that raised: reason, message, traceback, and the exception, pickled.

    One that would not come back as what it was is left out.

    Args:
        error: what it raised, with its traceback.
        keep: what is reported of the exception itself; `pickle_exception` by default.
    """
    import traceback

    # The first frames are those of this file and its like: of no use to whoever reads the traceback.
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == _HERE:
        trace = trace.tb_next
    if isinstance(error, (ImportError, AttributeError)):  # else it is not worth an import of anyjob
        try:
            from anyjob.standalone.shadowing import note_shadowing
        except ImportError:  # this file was sent along to where anyjob is not
            pass
        else:
            note_shadowing(error)
    text = "".join(traceback.format_exception(type(error), error, trace))
    report: dict[str, Any] = {"status": "ERROR", "reason": "exception", "traceback": text}
    if getattr(error, "tells_of_other_job", False):
        return {"status": "ERROR", "reason": "dependency", "message": str(error)}
    report["message"] = "".join(traceback.format_exception_only(type(error), error)).strip()
    if isinstance(error, SystemExit):
        code = error.code
        report["exit_code"] = code if isinstance(code, int) else int(code is not None)
        report["reason"] = "exit-code"
        report["message"] = f"the call left by sys.exit({code!r})"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        report["reason"] = "missing-module"
        report["message"] = (
            f"module {error.name!r} is not installed where the call ran ({sys.executable}): "
            "install it there, or define the function where it can be sent along"
        )
        if trace is None:
            return report  # raised by nobody's code but the import of the call itself
    elif type(error).__module__ == "anyjob.errors" and hasattr(error, "reason"):
        report["reason"] = error.reason  # the call has run a program, which failed
        report["exit_code"] = getattr(error, "exit_code", None)
    report["exception"] = (keep or pickle_exception)(error.with_traceback(trace))
    report["exception_types"] = _type_names(type(error))
    return report


def _type_names(kind: type) -> tuple[str, ...]:
    """Return what the type of an exception and its bases are called, less those that all have."""
    return tuple(
        each.__qualname__ if each.__module__ == "builtins" else f"{each.__module__}.{each.__qualname__}"
        for each in kind.__mro__
        if each not in (BaseException, object)
    )


def pickle_exception(error: BaseException) -> bytes | None:
    """Pickle an exception; None where it would not come back as what it was.

    Many classes cannot be made again of what their constructor left in ``args``: those come back without it.
    """
    usable = []
    for dump in (dumps, dump_without_constructor):
        try:
            blob = dump(error)
            back = pickle.loads(blob)
            if is_alike(back, error):
                return blob
        except BaseException:  # of the user's class, on the way there or back: the other way is tried
            continue
        if type(back).__qualname__ == type(error).__qualname__:
            usable.append(blob)  # the text of some holds an address, and is never the same
    return usable[0] if usable else None


def is_alike(back: BaseException, error: BaseException) -> bool:
    """Return whether an exception has come back as what it was, and those that it holds."""
    if type(back).__qualname__ != type(error).__qualname__ or str(back) != str(error):
        return False
    held, came = (getattr(one, "exceptions", ()) for one in (error, back))
    return not isinstance(error, BaseExceptionGroup) or all(map(is_alike, came, held))


def dump_without_constructor(error: BaseException) -> bytes:
    """Pickle an exception, and those that it holds, by ``args`` and attributes that can be pickled."""
    import copyreg

    try:
        from cloudpickle import Pickler
    except ImportError:
        from pickle import Pickler

    class ErrorPickler(Pickler):  # type: ignore[misc,unused-ignore]
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, BaseException):
                new = copyreg.__newobj__  # type: ignore[attr-defined]
                return new, (type(value), *value.args), attributes(value)
            overridden = getattr(super(), "reducer_override", None)
            return NotImplemented if overridden is None else overridden(value)

    stream = io.BytesIO()
    ErrorPickler(stream, 5).dump(error)
    return stream.getvalue()


def attributes(error: BaseException) -> dict[str, Any]:
    """Return the attributes of an exception that can be pickled, those of builtin classes among them."""
    found: dict[str, Any] = {"args": error.args}
    for base in type(error).__mro__:
        for name, member in vars(base).items():
            if type(member).__name__ == "member_descriptor" and not name.startswith("__"):
                try:
                    value = getattr(error, name)
                    setattr(error, name, value)  # some can only be read
                    found[name] = value
                except (AttributeError, TypeError):
                    continue
    found.update(error.__dict__)
    kept = {}
    for name, value in found.items():
        try:
            if value is not None:
                pickle.loads(dumps(value))
                kept[name] = value
        except Exception:  # what does not survive is left out
            if isinstance(value, BaseException):
                kept[name] = value
    return kept


def pickled(report: dict[str, Any], dump: Callable[[Any], bytes | None] | None = None) -> dict[str, Any]:
    """Return a report with its value pickled; the call has failed where that is not possible.

    Args:
        report: the report, which is changed.
        dump: pickles the value in place of `dumps`; gives None where it has done that to elsewhere.
    """
    if report["status"] != "DONE":
        return report
    try:
        report["value"] = (dump or dumps)(report["value"])
    except Exception as error:  # what a value's own pickling raises is not to be foreseen
        kind = type(report.pop("value")).__name__
        report["status"], report["reason"] = "ERROR", "exception"
        instead = _INSTEAD.get(kind, "")
        report["message"] = f"the call returned a {kind} that cannot be pickled: {error}{instead}"
    return report


_INSTEAD = {
    "coroutine": "; of an async function, call one that runs it: asyncio.run(…)",
    "generator": "; return a list of what it gives",
}
"""What to do about results that cannot be handed on, by their type."""


class Ended(BaseException):
    """Raised in a call by SIGTERM, so that its clean-up runs."""


# --- results of other jobs, as arguments --------------------------------------------------------


BROKEN = "what it needs did not come about: "
"""What those are told that fail of others begins so."""
_WAY = ", by way of "
RESULT_LOST = BROKEN + "the result of job {} was lost"
"""So begins what those are told that take a result which their engine has kept, and has not any more."""


def first_of(message: str) -> str:
    """Return the id of the job that one has failed of, as it is told."""
    if not message.startswith(BROKEN):
        return ""
    words = message[len(BROKEN) :].split(" ", 5)
    return words[words.index("job") + 1] if "job" in words[:-1] else ""


class NoResult(Exception):
    """What another job has left was to be an argument of the call, and cannot be had: it is not made."""

    tells_of_other_job = True
    """By which it is known where this file is loaded twice."""


def broken(called: str, status: str, reason: str | None, message: str) -> NoResult:
    """Return what is raised in place of a call that takes the result of a job which has not succeeded.

    Args:
        called: that job's id, and its name.
        status: in what it has ended: the name of the status.
        reason: why it has failed, if it has.
        message: the same for a person.
    """
    if reason == "dependency":
        first, *way = message.split(_WAY)
        way = ["others", way[-1]] if len(way) >= 3 else way  # of a chain of 10,000 the message stays short
        return NoResult(("" if first.startswith(BROKEN) else BROKEN) + _WAY.join([first, *way, called]))
    return NoResult(BROKEN + ending_in_words(called, status, reason, message))


def ending_in_words(called: str, status: str, reason: str | None, message: str) -> str:
    """Return what came of a job, which others needed to come to something else; of what `broken` takes."""
    if status == "DONE":
        told = "has succeeded, and this was to start after its failure"
    elif status == "CANCELLED":
        told = "was cancelled"
    else:
        told = "failed" + (f" ({reason}" + (f": {message}" if message else "") + ")" if reason else "")
    return f"job {called} {told}"


class Results:
    """What other jobs have left, for the references in the arguments of a call (`anyjob.references`).

    Args:
        given: of some of these jobs, by id, the pickled result, or the path of the file ``outcome.pkl`` that
            holds it, or in a tuple that of a file which is that pickle, or a function that gives it, called
            with what the job is called; or the path of a file with pickles of such pairs.
        spool: the directory of the call. Those of other jobs are beside it, as far as they are not given.
    """

    def __init__(self, given: dict[str, Any] | str | None = None, spool: str = "") -> None:
        self._source = given
        self._spool = spool
        self._given: dict[str, Any] | None = None
        self._values: dict[str, Any] = {}

    def loads(self, payload: bytes) -> Any:
        """Unpickle a part of a call; each reference in it becomes what it stands for.

        Raises:
            NoResult: that cannot be had.
        """
        return self.load(io.BytesIO(payload))

    def load(self, stream: Any, buffers: Any = None) -> Any:
        """Do as `loads` with what a file holds, and the buffers that were left out of it."""
        return _ArgumentUnpickler(stream, self, buffers).load()

    def value(self, job_id: str, name: str = "", job: None = None, lift: tuple[Any, ...] = ()) -> Any:
        """Return the result of a job: one object, however often it is asked for.

        Raises:
            NoResult: it cannot be had.
        """
        if job_id not in self._values:
            self._values[job_id] = self._lifted(job_id, name, lift)
        return self._values[job_id]

    def lazy(self, job_id: str, name: str = "", job: None = None, lift: tuple[Any, ...] = ()) -> LazyResult:
        """Return what reads the result of a job when it is wanted, and keeps nothing of it."""
        return LazyResult(lambda: self._lifted(job_id, name, lift))

    def _lifted(self, job_id: str, name: str, lift: tuple[Any, ...]) -> Any:
        called = f"{job_id} ({name})" if name else job_id
        return lifted(self._load(job_id, called), lift, called)

    def _load(self, job_id: str, called: str) -> Any:
        what = f"the result of job {called}, which is an argument"
        try:
            kept = self._find(job_id)
            if isinstance(kept, str):
                with open_own(kept) as stream:
                    report = pickle.load(stream)
                if report["status"] != "DONE":
                    raise NoResult(f"job {called}, whose result is an argument, has not succeeded")
                kept = report.pop("value")
            elif callable(kept):
                return kept(called)
            elif isinstance(kept, tuple):
                with open_own(kept[0]) as stream:
                    return pickle.load(stream)
        except FileNotFoundError:
            raise NoResult(f"{what}, is not there any more: run that anew") from None
        except (OSError, EOFError, pickle.UnpicklingError, KeyError, TypeError, ValueError) as error:
            raise NoResult(f"{what}, cannot be read: {error}") from None
        try:
            return pickle.loads(kept)
        except Exception as error:
            if isinstance(error, ImportError):
                if hasattr(error, "add_note"):
                    error.add_note(f"anyjob: while unpickling {what}")
                raise
            raise NoResult(f"{what}, cannot be unpickled: {type(error).__name__}: {error}") from error

    def _find(self, job_id: str) -> Any:
        """Return the pickled result, or the path of the file that has it."""
        if self._given is None:
            self._given = self._read(self._source) if isinstance(self._source, str) else self._source or {}
        if job_id in self._given:
            return self._given[job_id]
        if not self._spool:
            raise FileNotFoundError(job_id)
        return os.path.join(os.path.dirname(os.path.dirname(self._spool)), job_id[:2], job_id, "outcome.pkl")

    def _read(self, path: str) -> dict[str, Any]:
        given = {}
        with open_own(path) as stream:
            while stream.peek(1):
                job_id, kept = pickle.load(stream)
                given[job_id] = kept
        return given


def lifted(value: Any, lift: tuple[Any, ...], called: str) -> Any:
    """Return the result of a job, made by its kinds of work of what it has left, as its `result()` does.

    Raises:
        NoResult: it cannot be made.
    """
    for step in lift:
        try:
            value = step(value)
        except Exception as error:
            what = f"the result of job {called}, which is an argument"
            raise NoResult(f"{what}, cannot be made: {type(error).__name__}: {error}") from error
    return value


class LazyResult:
    """The result of another job, which is read when it is wanted.

    Args:
        load: reads it.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    def load(self) -> Any:
        """Read the result: anew each time.

        Raises:
            NoResult: it cannot be had any more.
        """
        return self._load()

    def __reduce__(self) -> Any:
        raise TypeError("it is of use in this call alone: pass on what its load() gives")


def left_by(path: str, job_id: str, name: str = "") -> str:
    """Return the path of a file that a job was to leave.

    Raises:
        NoResult: it has not.
    """
    if not os.path.exists(path):
        called = f"{job_id} ({name})" if name else job_id
        raise NoResult(f"job {called} has not left the file {path!r}, which is an argument")
    return path


class _ArgumentUnpickler(pickle.Unpickler):
    """Unpickles a part of a call, with other jobs' results in place of the references to them."""

    def __init__(self, stream: Any, results: Results, buffers: Any = None) -> None:
        super().__init__(stream, buffers=buffers)
        self._stand_for = {"ResultOf": results.value, "LazyResultOf": results.lazy, "OutputPath": left_by}

    def find_class(self, module: str, name: str) -> Any:
        if module == "anyjob.references" and name in self._stand_for:
            return self._stand_for[name]
        return super().find_class(module, name)


def open_own(path: str) -> Any:
    """Open a file that is unpickled, which must be the user's own, and no link.

    Raises:
        OSError: it is not there, or somebody else's.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    stream = open(fd, "rb")  # noqa: SIM115 - whoever asked closes it
    if os.fstat(fd).st_uid != os.getuid():
        stream.close()
        raise PermissionError(f"{path} is somebody else's: it is not unpickled")
    return stream


CHECKPOINT = "checkpoint.pkl"
"""The file in the directory of a job that holds the call which goes on in its next attempt."""


def leave_checkpoint(directory: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Have what a call is made on say how it goes on, and keep that; return whether it can.

    Its ``checkpoint`` is called with the arguments of the call, and gives an `anyjob.Call`; or what is called
    with the same arguments.

    Raises:
        Exception: as that does; or what it gives cannot be kept.
    """
    checkpoint = getattr(fn, "checkpoint", None) or getattr(getattr(fn, "__self__", None), "checkpoint", None)
    if checkpoint is None:
        return False
    following = checkpoint(*args, **kwargs)
    if hasattr(following, "fn"):
        call = following.fn, tuple(following.args), dict(following.kwargs)
    elif callable(following):
        call = following, args, kwargs
    else:
        raise TypeError(
            f"checkpoint() gave {following!r:.80}: it gives an anyjob.Call, or what is called next"
        )
    path = os.path.join(directory, CHECKPOINT)
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as stream:
        stream.write(dumps(call))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(f"{path}.new", path)
    return True


def read_checkpoint(directory: str) -> bytes | None:
    """Return the pickled call that goes on; None where none was left.

    Raises:
        OSError: it is somebody else's.
    """
    try:
        stream = open_own(os.path.join(directory, CHECKPOINT))
    except FileNotFoundError:
        return None
    with stream:
        data: bytes = stream.read()
    return data


# --- for one call, through files --------------------------------------------------------------


def run_spooled(directory: str) -> int:
    """Run the call whose payload lies in a directory, and write there what came of it.

    The outcome appears at once or not at all: it is written beside, and renamed.
    """
    with open(os.path.join(directory, "files", "payload.pkl"), "rb") as stream:
        path, payload = pickle.load(stream)
    sys.path += [entry for entry in path if entry not in sys.path]
    given = os.path.join(directory, "results.pkl")
    results = Results(given if os.path.exists(given) else None, directory)
    report = pickled(perform(lambda: results.loads(payload)))
    report["host"] = os.uname().nodename
    written = leave_outcome(directory, report, durable=True)
    return 0 if written and report["status"] == "DONE" else 1


def leave_outcome(directory: str, report: dict[str, Any], *, durable: bool = False) -> bool:
    """Write what came of a call into a directory, for `anyjob.spool.job_spool.read_outcome`.

    The file ``outcome.pkl`` appears at once or not at all. Where it cannot be written, nothing of it stays,
    and a link, ``outcome.error``, says why: that has room on a disk that is full.

    Args:
        directory: that of the job.
        report: what came of the call, its value pickled; of a failure, stderr gets the traceback.
        durable: have it reach the disk before this returns, and the directory and the one above it, too.

    Returns:
        whether it was written.
    """
    written = True
    part, final = directory + "/outcome.pkl.part", directory + "/outcome.pkl"
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            content = memoryview(pickle.dumps(report, 5))
            while content:
                content = content[os.write(fd, content) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(part, final)
        for path in (directory, os.path.dirname(directory)) if durable else ():
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
    except OSError as error:
        written = False
        say_unwritten(directory, report, error)
    if report["status"] != "DONE":
        try:
            sys.stderr.write(report.get("traceback") or report["message"] + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # on the same disk
    return written


def say_unwritten(directory: str, report: dict[str, Any], error: OSError) -> None:
    """Leave a link that says what could not be written, and why, in place of the outcome of a call."""
    what = f"a result of {len(report['value'])} bytes" if report["status"] == "DONE" else report["message"]
    said = f"{error.errno} {what}".encode("utf-8", "backslashreplace").replace(b"\0", b"")
    try:
        os.unlink(directory + "/outcome.pkl.part")
    except OSError:
        pass
    for size in (1000, 50):  # what is short takes no block of the disk
        try:
            os.symlink(said[:size], os.fsencode(directory) + b"/outcome.error")
            return
        except OSError:
            continue


if __name__ == "__main__":
    if sys.path and sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]  # our own directory: its modules would shadow the standard library's
    os.environ.pop("ANYJOB_INTERPRETER", None)  # see anyjob.execution.interpreter
    sys.exit(run_spooled(os.environ["ANYJOB_SPOOL"]))
