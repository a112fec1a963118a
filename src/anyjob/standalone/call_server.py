"""A program that makes one call after the other for its parent: see `anyjob.execution.worker_process`.

It imports the standard library and its neighbours `runner`, `imported_sources` and `pickle_streams`, by their
places, so that it runs in any environment with Python 3.11 or newer.

A request is a message of pieces, see `pickle_streams.MessageWriter`: a pickled `Request`, as a mapping, and
then the call, as one pickle or as two, with the buffers that each leaves out before it. The answer is a frame
with a pickled tuple: what came of the call, how much stdout and stderr held before and after it, and whether
its value is in the file; or None where nothing was called, since a module of the user's that was imported
before is another one by now.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys

from . import runner
from .imported_sources import ImportedSources
from .pickle_streams import MessageReader, dump_or_spill, write_frame

STREAMED = -1
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypedDict

    class Request(TypedDict):
        """What goes before a call."""

        parts: list[int]
        """For each pickle how many buffers go before it; `STREAMED` where it is in many pieces itself."""
        environment: dict[bytes, bytes]
        """Variables for this call, beside those of ``variables``."""
        cwd: str | None
        """Where to make it; None: where the process has started."""
        outputs: dict[int, str]
        """New files for stdout and stderr, which are there, by the descriptor that is to write to them."""
        submitted: float
        """When it was handed over, in seconds since 1970; 0 for who does not care for changed modules."""
        value_file: str
        """The file for its value, where that is large; empty: there is none."""
        variables: dict[bytes, bytes] | None
        """The environment of calls from now on; None: as it was."""
        path: list[str] | None
        """Where calls import from; None: as it was."""
        results: dict[str, Any] | None
        """Those of other jobs that are arguments, see `runner.Results`; None: there are none."""


class Server:
    """Serves the calls that come over a descriptor, one after the other, until its other end closes.

    Args:
        fd: a socket, or a pipe for both directions.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pid = os.getpid()
        self._home = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC)  # may be removed
        self._host = os.uname().nodename
        self._variables = current_variables()
        self._path = list(sys.path)
        self._sources = ImportedSources()
        self._busy = self._ended = False

    def serve(self) -> None:
        """Serve."""
        os.set_inheritable(self._fd, False)
        die_with_parent(self._fd)
        signal.signal(signal.SIGTERM, self._end)
        sys.meta_path.insert(0, self._sources)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # what ignores it learns of no child how that has ended
        with open(self._fd, "rb", closefd=False) as stream:
            message = MessageReader(stream)
            try:
                while True:
                    request: Request = pickle.loads(message.read_piece())
                    self._answer(request, message)
            except EOFError:
                return

    def _end(self, signum: int, frame: Any) -> None:
        self._ended = True
        if self._busy:
            raise runner.Ended
        self._leave()

    def _leave(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(self._pid, signal.SIGTERM)

    def _answer(self, request: Request, message: MessageReader) -> None:
        if request["submitted"] and self._sources.are_outdated(request["submitted"]):
            message.skip()
            write_frame(self._fd, pickle.dumps(None))
            return
        self._surround(request)
        write_to(request["outputs"])
        start = output_sizes()
        report, stored = self._call(request, message)
        if os.getpid() != self._pid:
            os._exit(0)  # the call forked, and the child came back here
        if self._ended:
            self._leave()  # the call has cleaned up behind itself
        for output in (sys.stdout, sys.stderr):
            try:
                output.flush()
            except (AttributeError, OSError, ValueError):
                pass
        report["host"] = self._host
        message.skip()
        write_frame(self._fd, pickle.dumps((report, start, output_sizes(), stored), 5))
        # Nobody waits any more: now is the time to make ready for the next call.
        self._sources.note_others()
        if signal.getsignal(signal.SIGTERM) != self._end:  # the call has set its own
            signal.signal(signal.SIGTERM, self._end)

    def _call(self, request: Request, message: MessageReader) -> tuple[dict[str, Any], bool]:
        """Make a call; return its report, and whether its value is in the file."""

        def load() -> Any:
            results = request["results"]
            load = pickle.load if results is None else runner.Results(results).load
            parts = [load_part(message, buffers, load) for buffers in request["parts"]]
            return parts[0] if len(parts) == 1 else (parts[0], *parts[1])

        def dump(value: Any) -> bytes | None:
            path = request["value_file"]
            return dump_or_spill(value, lambda: path) if path else runner.dumps(value)

        try:
            self._busy = True
            os.chdir(self._home if request["cwd"] is None else request["cwd"])
            report = runner.pickled(runner.perform(load), dump)
        except OSError as error:
            report = runner.failure(error)
        finally:
            self._busy = False
        return report, report["status"] == "DONE" and report["value"] is None

    # --- what a call finds --------------------------------------------------------------------

    def _surround(self, request: Request) -> None:
        """Have the call find the environment of who submitted it, whatever those before it have changed."""
        if request["variables"] is not None:
            self._variables = request["variables"]
        wanted, found = {**self._variables, **request["environment"]}, current_variables()
        for name in found.keys() - wanted.keys():
            del os.environb[name]
        for name, value in wanted.items():
            if found.get(name) != value:
                os.environb[name] = value
        if request["path"] is not None:
            # What modules of the user's have added themselves stays: they may import more from there.
            added = [entry for entry in sys.path if entry not in self._path and entry not in request["path"]]
            self._path = request["path"]
            sys.path[:] = [*self._path, *added]


def load_part(message: MessageReader, buffers: int, load: Callable[..., Any] = pickle.load) -> Any:
    """Unpickle a part of a call, see `Request`."""
    if buffers == STREAMED:
        return load(message)
    left_out = [message.read_piece() for _ in range(buffers)]
    return load(io.BytesIO(message.read_piece()), buffers=left_out)


def current_variables() -> dict[bytes, bytes]:
    """Return the environment of this process, as the system has it."""
    # What is behind the mapping is read in a hundredth of the time that the mapping takes.
    variables: Mapping[bytes, bytes] = getattr(os.environb, "_data", None) or os.environb
    return dict(variables)


def write_to(outputs: dict[int, str]) -> None:
    """Have descriptors write to other files."""
    for number, path in outputs.items():
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.dup2(fd, number)
        os.close(fd)


def output_sizes() -> list[int]:
    """How much stdout and stderr, which are files, hold by now."""
    sizes = []
    for fd in (1, 2):
        try:
            sizes.append(os.fstat(fd).st_size)
        except OSError:  # the call has closed it
            sizes.append(0)
    return sizes


def die_with_parent(fd: int) -> None:
    """Have Linux end this process when the one that started it is killed; elsewhere nothing.

    Args:
        fd: a socket whose other end that process has: it tells where that was killed before.
    """
    try:
        import ctypes
        import select

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        poll = select.poll()
        poll.register(fd, select.POLLRDHUP)
    except (ImportError, AttributeError, TypeError, OSError):  # no Linux
        return
    if poll.poll(0):  # its last words may be a call, which nobody waits for any more
        os._exit(1)


def main() -> None:
    """Serve over the descriptor that the first argument names; the others are where to import from."""
    fd, path = int(sys.argv[1]), sys.argv[2:]
    os.environ.pop("ANYJOB_INTERPRETER", None)  # see anyjob.execution.interpreter
    sys.argv[:] = [""]
    sys.path[:] = path
    Server(fd).serve()
