"""The files that pass between here and the compute nodes: of one submission, and of each job in it.

A submission is what is handed over at once: one job, or an array. Below the spool it has a directory
``submissions/ID`` (the id of its first job) beside those of its jobs::

    environment   the caller's variables
    jobs          the number of the first task, how many jobs each runs, and the ids of the jobs, in order
    journal       a line for each start and end, appended by the nodes: hints
    log-N         what was said before the work of task N started, and by the scheduler
    script        what was submitted, where the scheduler takes a file
"""

from __future__ import annotations

import hashlib
import marshal
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from pkgutil import get_data
from typing import Any, BinaryIO, NamedTuple

import msgspec

from anyjob.batch import launcher
from anyjob.batch.dialect import Dialect
from anyjob.errors import StateError
from anyjob.execution.submit_directory import submit_directory
from anyjob.orders import Order
from anyjob.serialization.pickling import dump_call
from anyjob.specs import Call, Command
from anyjob.spool.private_files import open_private, read_range
from anyjob.spool.reports import parse_outcome
from anyjob.standalone import runner

NOT_AN_ARRAY = -1
"""The number of a job that is no task of an array."""
NOBODY = "nobody"
"""Who has claimed a job that is not to run any more."""
START = b"""\
import os
import sys

launcher = os.getpid()
here = __file__.rpartition("/")[0]
sys.path.insert(0, here)
from anyjob_launcher import main  # a module, so that its byte code is kept

sys.path.remove(here)
code = main()
if os.getpid() != launcher:
    sys.exit(code)
sys.stderr.flush()
os._exit(code)  # without taking the interpreter apart, which takes as long as the work of this program
"""
"""What the node's Python is called with."""
STANDALONE = runner.__name__.rpartition(".")[0]
SHIPPED = ("runner", "gpu_memory")
"""What the launcher imports, of what runs in any Python."""
GRACE = 5.0
"""Seconds between TERM and KILL."""
CLAIM_TIMEOUT = 1.0
"""Seconds that who has claimed a job may take to say who that is."""
MAX_SCANNED = 200
"""Submissions that are looked at when old ones are removed."""
MIN_AGE = 86400.0
"""Seconds before which a submission is not removed so."""
LOG_SHOWN = 2000
"""Characters of the end of a log that an error message holds."""


class Membership(NamedTuple):
    """Which submission a job is of.

    Args:
        submission: its directory.
        position: where the job is in the list of the submission, from 0.
        task: the task of the array that it runs in, from 0; `NOT_AN_ARRAY` where it is none.
        pack: how many jobs that task runs.
    """

    submission: Path
    position: int
    task: int
    pack: int

    def native_id(self, dialect: Dialect, job: str) -> str:
        """Return the scheduler's id of the job, given that of the submission."""
        return dialect.id_of(job, None if self.task == NOT_AN_ARRAY else dialect.first_task + self.task)

    @property
    def log(self) -> Path:
        """What was said before the work started."""
        return self.submission / f"log-{max(self.task, 0)}"


def tasks_of(orders: Sequence[Any], pack: int) -> int | None:
    """Return how many tasks run these, so many jobs each; None where they are no array."""
    tasks = -(-len(orders) // pack)
    return tasks if tasks > 1 else None


def write_submission(
    root: Path, orders: Sequence[Order], environment: bytes, dialect: Dialect, pack: int = 1
) -> Path:
    """Write all that the nodes need for these orders; returns the directory of the submission.

    Raises:
        StateError: it cannot be written.
    """
    submission = _new_submission(root, orders, dialect)
    cwd = submit_directory() or ""
    ids = "".join(f"{order.job_id}\n" for order in orders)
    try:
        make_directory(submission)
        write(submission / "environment", environment)
        write(submission / "jobs", f"{dialect.first_task} {pack}\n{ids}".encode())
        for position, order in enumerate(orders):
            task = NOT_AN_ARRAY if tasks_of(orders, pack) is None else position // pack
            share = min(pack, len(orders) - position // pack * pack)
            member = Membership(submission, position, task, share)
            _write_job(order, member, cwd, dialect)
    except OSError as error:
        remove(submission)
        raise StateError(
            f"cannot write {error.filename or submission}: {error.strerror or error}; set the option `spool` "
            "to a directory that can be written, and that the compute nodes see"
        ) from error
    return submission


def _new_submission(root: Path, orders: Sequence[Order], dialect: Dialect) -> Path:
    """Return the directory of a submission: that of its first job, unless this is not the first of that.

    What was written of these before was renounced: whoever wrote it was killed before the scheduler had them,
    as far as is known. Should it have got it late, it is another submission, and of two copies of a job one
    runs.
    """
    for order in orders:
        if order.spool is not None and claimed_by(order.spool, dialect) == NOBODY:
            shutil.rmtree(order.spool, ignore_errors=True)
    submission = root / "submissions" / orders[0].job_id
    return submission.with_name(os.urandom(10).hex()) if submission.exists() else submission


def _write_job(order: Order, member: Membership, cwd: str, dialect: Dialect) -> None:
    directory = order.spool
    assert directory is not None
    make_directory(directory)
    work: dict[str, Any] = {
        "walltime": order.resources.walltime,
        "signal_before": order.resources.signal_before,
        "signal": order.resources.signal,
        "requeue": dialect.requeue if order.resources.on_walltime else (),
        "grace": GRACE,
        "gpus": _asks_for_gpus(order),
        "restartable": order.resources.restartable,
        "environment": _encode(order.environment),
        "cwd": os.fsencode(cwd),
        "stdin": False,
        "scheduler": dialect.title,
        "end_signals": dialect.end_signals,
        "ignored_signals": dialect.ignored_signals,
        "reserved_exit_codes": dialect.reserved_exit_codes,
    }
    spec, payload = order.spec, b""
    if isinstance(spec, Call):
        if spec.cwd is not None:
            work["cwd"] = os.fsencode(spec.cwd)
            work["must_be_there"] = True
        path = [entry or cwd for entry in sys.path if entry or cwd]
        work.update(kind="python", path=path)
        payload = dump_call(spec)
    else:
        assert isinstance(spec, Command)
        work.update(kind="command", argv=[os.fsencode(argument) for argument in spec.argv])
        work["environment"].update(_encode(spec.env))
        if spec.cwd is not None:
            work["cwd"] = os.fsencode(os.path.join(cwd, spec.cwd))
        work["outputs"] = [path and os.fsencode(path) for path in (spec.stdout, spec.stderr)]
        if spec.stdin is not None:
            work["stdin"] = True
            write(directory / "stdin", spec.stdin.taken().content or b"")
        if spec.files:
            make_directory(directory / "files")
        for name, file in spec.files.items():
            write(directory / "files" / name, file.taken().content or b"")
    data = marshal.dumps(work, 2)  # of the same format for all versions of Python
    place = f"{member.submission.name} {member.position} {member.task} {member.pack}"
    head = f"{place} {len(data)} {len(payload)}\n".encode()
    write(directory / "work", b"".join((head, data, payload)))


def make_directory(path: Path) -> None:
    """Make a directory of mode 0700, and those above it that are missing."""
    try:
        os.mkdir(path, 0o700)
    except FileNotFoundError:
        make_directory(path.parent)
        make_directory(path)
    except FileExistsError:
        if not path.is_dir():
            raise


def _encode(variables: Any) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that is not there yet, of a mode for the user alone."""
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, how, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def _asks_for_gpus(order: Order) -> bool:
    return bool(order.resources.gpus or order.resources.gpu_memory)


def python_flags(orders: Iterable[Order]) -> str:
    """Return what the node's Python is started with: without what is installed it starts sooner.

    Calls need that; and what GPUs are used for is told by a package.
    """
    is_light = all(isinstance(order.spec, Command) and not _asks_for_gpus(order) for order in orders)
    return "-S -E" if is_light else ""


def launcher_path(root: Path) -> Path:
    """Return the program that runs on the nodes; it is laid into the spool where it is not there yet."""
    content = {  # from wherever these were imported, such as an archive
        "anyjob_launcher.py": get_data("anyjob.batch", "launcher.py") or b"",
        **{f"anyjob_{name}.py": get_data(STANDALONE, f"{name}.py") or b"" for name in SHIPPED},
        "start.py": START,
    }
    digest = hashlib.sha256(b"\0".join(content.values())).hexdigest()[:16]
    directory = root / "programs" / digest
    if not directory.is_dir():
        part = directory.with_name(f"{digest}.{os.urandom(6).hex()}")
        make_directory(part)
        for name, data in content.items():
            write(part / name, data)
        try:
            os.rename(part, directory)
        except OSError:  # somebody else was faster
            shutil.rmtree(part, ignore_errors=True)
    if directory.stat().st_uid != os.geteuid():
        raise StateError(f"{directory} is not yours: what lies there is not run")
    return directory / "start.py"


# --- read back --------------------------------------------------------------------------------


def membership(directory: Path) -> Membership | None:
    """Return which submission the job with this directory is of; None where it was not written."""
    try:
        with _open_work(directory) as stream:
            submission, position, task, pack, *_ = stream.readline(100).split()
    except (OSError, ValueError):
        return None
    path = directory.parent.parent / "submissions" / submission.decode()
    return Membership(path, int(position), int(task), int(pack))


def _open_work(directory: Path) -> BinaryIO:
    """Open what a job is to run, by the name that it has before it is claimed, or after it."""
    try:
        return open_private(directory / "work")
    except FileNotFoundError:
        return open_private(directory / "claim")


def claimed_by(directory: Path, dialect: Dialect) -> str | None:
    """Return the native id that has claimed a job, or `NOBODY`; None as long as none has."""
    try:
        with open_private(directory / "claim") as stream:
            head = stream.readline(100)
            stream.seek(len(head) + sum(map(int, head.split()[-2:])))
            claims = stream.read().decode("utf-8", "replace").splitlines()
    except (OSError, ValueError):
        return None
    claim = claims[-1].split() if claims else []
    if len(claim) < 2:
        return None
    return (
        NOBODY
        if claim[0] == NOBODY
        else dialect.id_of(claim[0], int(claim[1]) if claim[1].isdecimal() else None)
    )


def recorded_id(submission: Path, dialect: Dialect) -> str | None:
    """Return the scheduler's id of a submission, as it was answered; None where that is not kept."""
    if not dialect.records_submission:
        return None
    try:
        with open_private(submission / "submitted") as stream:
            said = dialect.submitted(stream.read().decode("utf-8", "replace"))
            return said if isinstance(said, str) else None
    except OSError:
        return None


def claim_for_nobody(directory: Path, dialect: Dialect) -> str | None:
    """Claim a job for `NOBODY`, so that it does not start; return the native id of one that has started."""
    try:
        os.rename(directory / "work", directory / "claim")
    except OSError:  # it has been claimed; or it has no directory, without which it does not run
        return _claimed_by_another(directory, dialect)
    claim = os.open(directory / "claim", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(claim, f"{NOBODY} - 0\n".encode())
    finally:
        os.close(claim)
    return None


def _claimed_by_another(directory: Path, dialect: Dialect) -> str | None:
    deadline = time.monotonic() + CLAIM_TIMEOUT
    while (found := claimed_by(directory, dialect)) is None and time.monotonic() < deadline:
        refresh_directory(directory)
        if not (directory / "claim").exists():
            break
        time.sleep(0.02)
    return None if found == NOBODY else found


def cancel_packed(directory: Path, member: Membership, dialect: Dialect) -> None:
    """Cancel one of several jobs of a task: it does not start, or is ended by what runs it."""
    if (directory / "outcome.pkl").exists():
        return
    with suppress(FileExistsError, OSError):
        write(directory / "cancel", b"")
    if claim_for_nobody(directory, dialect) is None and claimed_by(directory, dialect) == NOBODY:
        with suppress(FileExistsError):
            write(directory / "outcome.part", launcher.pickled({"status": "CANCELLED", "attempt": 1}))
            os.rename(directory / "outcome.part", directory / "outcome.pkl")
        Journal(member.submission).append("E", [member.position], attempt=1)


def refresh_directory(directory: Path) -> None:
    """Have a network file system refresh its cache of a directory."""
    with suppress(OSError):
        os.listdir(directory)


def read_observed_end(directory: Path) -> tuple[dict[str, Any], bool]:
    """Return what was seen of an end that the scheduler may have brought about, and whether it has.

    Empty where nothing was seen.
    """
    for name in ("terminated.pkl", "ended.pkl"):
        try:
            with open_private(directory / name) as stream:
                found = parse_outcome(stream.read())
        except (OSError, StateError):
            continue
        if found is not None:
            return msgspec.structs.asdict(found), name == "terminated.pkl"
    return {}, False


def end_of_log(log: Path) -> str:
    """Return the end of what was said before the work started."""
    try:
        size = log.stat().st_size
        data = read_range(log, max(0, size - 4 * LOG_SHOWN))
    except (OSError, StateError):
        return ""
    return data.decode("utf-8", "replace").strip()[-LOG_SHOWN:]


class Journal:
    """The journal of a submission, as far as it has been read.

    Lines may be missing (network file systems do not append atomically): they are hints, no verdicts.
    """

    def __init__(self, submission: Path) -> None:
        self.path = submission / "journal"
        self._offset = 0

    def new_entries(self) -> Iterator[tuple[str, int, int]]:
        """Yield what was added: letter, number of the job, attempt."""
        while data := self._read():
            whole = data.rfind(b"\n") + 1
            if not whole:
                return
            self._offset += whole
            for line in data[:whole].splitlines():
                fields = line.decode("ascii", "replace").split()
                if len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal():
                    yield fields[0], int(fields[1]), int(fields[2])

    def is_gone(self) -> bool:
        """Whether the submission was removed, since all its jobs have ended, as another process has seen."""
        return not self.path.exists() and not (self.path.parent / "jobs").exists()

    def _read(self) -> bytes:
        try:
            return read_range(self.path, self._offset)
        except (OSError, StateError):
            return b""

    def append(self, letter: str, numbers: Iterable[int], attempt: int = 0) -> None:
        """Append lines, for whoever else reads it."""
        text = "".join(f"{letter} {number} {attempt}\n" for number in numbers)
        with suppress(OSError):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)


def size(submission: Path) -> int:
    """Return how many jobs a submission has; 0 where that cannot be told."""
    try:
        return (submission / "jobs").stat().st_size // launcher.ID_LINE_SIZE
    except OSError:
        return 0


def remove(submission: Path) -> None:
    """Remove the directory of a submission whose jobs have all ended."""
    shutil.rmtree(submission, ignore_errors=True)


def remove_forgotten(root: Path, directory_of: Callable[[str], Path]) -> None:
    """Remove the submissions, of the first some, whose jobs have all been forgotten.

    Args:
        root: below what submissions are.
        directory_of: gives the directory of a job by its id.
    """
    try:
        with os.scandir(root / "submissions") as entries:
            old = [
                entry.path
                for entry in islice(entries, MAX_SCANNED)
                if entry.stat().st_mtime < time.time() - MIN_AGE
            ]
        for path in old:
            _, *ids = Path(path, "jobs").read_text(encoding="ascii").splitlines()
            if not any(directory_of(job_id).is_dir() for job_id in ids):
                remove(Path(path))
    except (OSError, ValueError, StateError):
        return  # it is housekeeping, and no more
