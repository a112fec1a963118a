"""Circuits as text and bytes, and back: OpenQASM 3, OpenQASM 2 and QPY."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator

import qiskit
from qiskit import QuantumCircuit, qasm2, qasm3, qpy
from qiskit.exceptions import QiskitError
from qiskit.qpy import common

from anyjob import File, SpecError
from anyjob.sdk import in_each_process
from anyjob_qiskit.circuits.openqasm import write_openqasm
from anyjob_qiskit.circuits.qpy_writing import MetadataError, write_qpy

MAX_CACHED = 512
"""How many programs are cached with their circuits."""
QPY_MAGIC = b"QISKIT"
"""What a QPY begins with; its version is the next byte."""

_LOCATIONS = (
    re.compile(r"(?:<input>:)?(?P<line>\d+),(?P<column>\d+): (?P<what>.*)", re.DOTALL),
    re.compile(r"L(?P<line>\d+):C(?P<column>\d+): (?P<what>.*)", re.DOTALL),
)
_VERSION = re.compile(rb"\s*OPENQASM\s+(\d+)")
_BACKTRACE = re.compile(r"\s*\n\s*(?:stack )?backtrace:.*", re.DOTALL | re.IGNORECASE)
_COMMENTS = re.compile(rb"//[^\n]*|/\*.*?\*/", re.DOTALL)


class _CircuitCache:
    """The circuits of the programs that were written or read here last, by name and content of these."""

    def __init__(self) -> None:
        self._circuits: OrderedDict[tuple[str, bytes], list[QuantumCircuit]] = OrderedDict()
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = threading.Lock()

    def get(self, path: str, content: bytes) -> list[QuantumCircuit] | None:
        with self._lock:
            return self._circuits.get((_name_in(path), content))

    def put(self, path: str, content: bytes, circuits: list[QuantumCircuit]) -> None:
        for circuit in circuits:
            circuit.name = _name_in(path) or circuit.name
        with self._lock:
            self._circuits[_name_in(path), content] = circuits
            self._circuits.move_to_end((_name_in(path), content))
            while len(self._circuits) > MAX_CACHED:
                self._circuits.popitem(last=False)


def _name_in(path: str) -> str:
    """The name that a program has by its file, where it says none itself, as a QPY does."""
    return re.sub(r"^.*/|\.[^.]*$", "", path) if path.endswith(".qasm") else ""


_cache = _CircuitCache()


def write(circuit: QuantumCircuit) -> File:
    """Return a circuit as a file: of OpenQASM 3 where that can carry it whole, else of QPY.

    Args:
        circuit: one that is not changed any more.
    """
    name = re.sub(r"[^\w.-]", "-", circuit.name)  # that of a file; OpenQASM has no other
    text = write_openqasm(circuit) if name == circuit.name else None
    with _telling_metadata():
        content = write_qpy([circuit]) if text is None else text.encode()
    path = f"{name}.{'qpy' if text is None else 'qasm'}"
    _cache.put(path, content, [circuit])
    return File(path, content)


@contextlib.contextmanager
def _telling_metadata() -> Iterator[None]:
    try:
        yield
    except MetadataError as error:
        raise SpecError(str(error)) from error


_last_dump: tuple[tuple[File, ...], bytes] | None = None


def dump_circuits_once(files: tuple[File, ...], circuits: list[QuantumCircuit]) -> bytes:
    """Return the circuits of files by `anyjob_qiskit.simulation.dump_circuits`, which a sweep does once."""
    global _last_dump
    known = _last_dump
    if known is None or known[0] != files:
        from anyjob_qiskit.simulation import dump_circuits

        with _telling_metadata():
            known = _last_dump = files, dump_circuits(circuits)
    return known[1]


def read(file: File) -> list[QuantumCircuit]:
    """Return the circuits of a file: one of OpenQASM, or as many as a QPY holds. They must not be changed.

    Raises:
        SpecError: it cannot be read, or is none of these; says at which line and column.
    """
    content = file.taken().content
    assert content is not None
    found = _cache.get(file.path, content)
    if found is None:
        found = _parse(file.path, content)
        _cache.put(file.path, content, found)
    return found


def _parse(path: str, content: bytes) -> list[QuantumCircuit]:
    if content.startswith(QPY_MAGIC):
        return _parse_qpy(path, content)
    content = content.removeprefix(codecs.BOM_UTF8)
    version = _VERSION.match(_COMMENTS.sub(b"", content))
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: this is neither OpenQASM, which is text, nor QPY: {error}") from None
    if version is None:
        raise SpecError(
            f"{path}: this is no QPY, and no OpenQASM, which begins with 'OPENQASM 3.0;' or 'OPENQASM 2.0;'"
        )
    if version[1] not in (b"2", b"3"):
        raise SpecError(
            f"{path}: this is OpenQASM {version[1].decode()}, and what can be read is OpenQASM 2 and 3"
        )
    try:
        if version[1] == b"2":
            return [_parse_openqasm2(text, os.path.dirname(path))]
        return [qasm3.loads(text)]
    except ImportError as error:
        raise SpecError(
            f"{path}: to read OpenQASM 3 takes qiskit-qasm3-import: pip install anyjob-qiskit ({error})"
        ) from error
    except Exception as error:  # each reader has exceptions of its own
        raise SpecError(f"{path}: {_error_message(error)}") from None
    except BaseException as error:
        raise _panic_told(path, error) from None


def _parse_openqasm2(text: str, directory: str) -> QuantumCircuit:
    """Read a program; what it includes is beside it."""
    try:
        return qasm2.loads(
            text, include_path=(directory or ".",), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS
        )
    except TypeError as error:  # its parser counts angles only where there are some
        raise QiskitError(f"a gate lacks its angles: {error}") from error


def _parse_qpy(path: str, content: bytes) -> list[QuantumCircuit]:
    version = content[len(QPY_MAGIC)] if len(content) > len(QPY_MAGIC) else 0
    newest = common.QPY_VERSION
    if version > newest:
        raise SpecError(
            f"{path}: this is QPY {version}, and Qiskit {qiskit.__version__} here reads up to {newest}: "
            f"write it by qpy.dump(…, version={newest}), or install a newer Qiskit"
        )
    try:
        found: list[QuantumCircuit] = qpy.load(io.BytesIO(content))
    except ImportError as error:
        raise SpecError(
            f"{path}: Qiskit before 1.3 wrote angles by symengine, which it takes to read them: pip install "
            f"'anyjob-qiskit[qpy]' ({error})"
        ) from error
    except Exception as error:  # whatever a broken file makes of it
        said = f"{type(error).__name__}: {_without_backtrace(error)}"
        raise SpecError(f"{path}: this is no QPY that can be read here: {said}") from error
    except BaseException as error:
        raise _panic_told(path, error) from None
    return found


def _panic_told(path: str, error: BaseException) -> BaseException:
    """Return what is raised for what is no Exception: a panic of Qiskit's part in Rust, though an error."""
    if type(error).__name__ != "PanicException":
        return error
    return SpecError(f"{path}: Qiskit {qiskit.__version__} cannot read it: {_without_backtrace(error)}")


def _without_backtrace(error: BaseException) -> str:
    """What an error of Qiskit's part in Rust says, without where in it that was."""
    return _BACKTRACE.sub("", str(getattr(error, "message", error)))


def _error_message(error: Exception) -> str:
    """What a reader of OpenQASM says, with line and column (from 1) where it says them."""
    text = str(getattr(error, "message", error))  # str() of Qiskit's own has quotes around it
    for pattern in _LOCATIONS:
        found = pattern.fullmatch(text)
        if found is not None:
            return f"line {found['line']}, column {int(found['column']) + 1}: {found['what']}"
    # The reader of OpenQASM 3 has it in what its parser raised.
    cause: BaseException | None = error
    while cause is not None:
        token = getattr(cause, "offendingToken", None)
        if token is not None:
            seen = "the end of the program" if token.text == "<EOF>" else repr(token.text)
            return f"line {token.line}, column {token.column + 1}: {seen} is not expected here"
        cause = cause.__cause__ or cause.__context__ or _wrapped_error(cause)
    return _location(error) + (text if isinstance(error, QiskitError) else f"{type(error).__name__}: {text}")


def _location(error: Exception) -> str:
    """Where the reader of OpenQASM 3 was when something else raised: it has what it reads in ``node``."""
    location = ""
    trace = error.__traceback__
    while trace is not None:
        span = getattr(trace.tb_frame.f_locals.get("node"), "span", None)
        if span is not None:
            location = f"line {span.start_line}, column {span.start_column + 1}: "
        trace = trace.tb_next
    return location


def _wrapped_error(error: BaseException) -> BaseException | None:
    """The exception that is an argument of another."""
    return next((each for each in error.args if isinstance(each, BaseException)), None)
