"""What runs on a compute node: it reads its job from the spool, and runs that.

It is shipped in the spool, and needs Python 3.8 and its standard library only, of which it imports as little
as may be, since it is started for each job. Of what lies beside it, calls need `launched_call` and the
runner, and work on GPUs what watches their memory. What it is to run, and everything of the user's in that,
it reads from files; what came of it, it writes to files:

- the submission's ``work`` has what its jobs are to run; where, its ``jobs`` tells.
- ``claims-K/N`` of the submission is made first: of two copies of a job, only one has done so and goes on. It
  writes the scheduler's id there, the number of the task, and which attempt runs. The job's directory is
  made then, if it is not there; it has what follows.
- ``stdout`` and ``stderr`` are what the work writes; those of a call, and the latter of a program, do not
  stay where nothing was written. When the scheduler starts it anew they become ``stdout.K``, of attempt K.
- ``outcome.pkl`` is a verdict. ``terminated.pkl`` is what was seen of an end that the scheduler has told us
  to make, and ``ended.pkl`` of one that it may have made (by its KILL): there the verdict is the scheduler's.
- the submission's ``journal`` gets a line when the work starts, and one when its outcome is there.
"""

from __future__ import annotations

import marshal  # the built-in one: pickle imports more than a program's job needs of Python else
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import MutableMapping
    from typing import Any, BinaryIO
else:
    import _signal as signal  # what `signal` is made of, which costs a tenth of that

PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT)
"""Signals to this process that are passed on to the work."""
HELD = (signal.SIGTERM, signal.SIGALRM, *PASSED_ON)
"""Signals that wait while the work is forked: else one would come to nobody who knows what to do with it."""
BASH_SETS = frozenset(
    b"UID EUID PPID GROUPS SECONDS RANDOM SRANDOM LINENO BASHOPTS SHELLOPTS BASHPID EPOCHSECONDS "
    b"EPOCHREALTIME HOSTTYPE MACHTYPE OSTYPE DIRSTACK FUNCNAME OPTIND OPTERR HISTCMD IFS PS4 "
    b"BASH_COMMAND BASH_SUBSHELL".split()
)
"""Variables to which bash gives values of its own, or which it does not let anybody set."""
VISIBLE_TIMEOUT = 30.0
"""Seconds that a file may take to be seen here."""
TERM_DELAY = 0.05
"""Seconds within which a TERM for all processes of a job reaches all of them."""
CANCEL_INTERVAL = 0.5
"""Seconds between two looks at whether a job of several in an allocation is to end."""
LINE_SIZE = 58
"""Bytes of a line in the list of a submission's jobs, as `line_of` writes it."""
CLAIMS_A_DIRECTORY = 1000
"""Jobs of a submission whose claims are in one directory."""


class Allocation:
    """What the scheduler has started: for one job, or for several that are run one after the other.

    Args:
        environ: what the script has found in the scheduler's variables.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self.submission = environ.pop("ANYJOB_SUBMISSION")
        self.scheduler_id = environ.pop("ANYJOB_JOB")
        task, restarts = environ.pop("ANYJOB_TASK"), environ.pop("ANYJOB_RESTARTS")
        for name in ("ANYJOB_PYTHON", "ANYJOB_LAUNCHER"):
            environ.pop(name, None)
        self.attempt = 1 + int(restarts if restarts.isdigit() else 0)
        with open_shared(os.path.join(self.submission, "jobs")) as stream:
            first_task, *pack = map(int, stream.readline().split())
            start = stream.tell()
            is_task = task.isdigit() and int(task) >= first_task  # some say 0 where there are none
            self.task = task if is_task else "-"
            self.size = pack[0] if pack else 1
            self.first = (int(task) - first_task if is_task else 0) * self.size
            count = (os.fstat(stream.fileno()).st_size - start) // LINE_SIZE
            if not self.scheduler_id or (count > self.size and not is_task):
                what = (
                    "task its number (`task_variable`)"
                    if self.scheduler_id
                    else "job its id (`job_variable`)"
                )
                sys.exit(f"anyjob: the variable that tells a {what} is not set on {os.uname().nodename}")
            stream.seek(start + LINE_SIZE * self.first)
            lines = [line.split() for line in stream.read(LINE_SIZE * self.size).splitlines()]
        self.job_ids = [line[0].decode("ascii") for line in lines]
        self.places = [(int(offset), int(size), int(payload)) for _, offset, size, payload in lines]
        self.work = open_shared(os.path.join(self.submission, "work"))

    def read_work(self, place: int) -> tuple[dict[str, Any], bytes]:
        """Read what one of its jobs is to run, and the payload of its call."""
        offset, size, payload = self.places[place]
        self.work.seek(offset)
        return marshal.loads(self.work.read(size)), self.work.read(payload)

    def directory(self, place: int) -> str:
        """Return the directory of one of its jobs."""
        job_id = self.job_ids[place]
        return os.path.join(os.path.dirname(os.path.dirname(self.submission)), job_id[:2], job_id)

    def remove_empty_log(self) -> None:
        """Remove what takes our words, and those of bash, where there were none."""
        try:
            if not os.fstat(2).st_size:
                os.unlink(os.path.join(self.submission, f"log-{self.first // self.size}"))
        except OSError:
            pass


class Job:
    """A job that this process is to run.

    Args:
        allocation: what it runs in.
        place: which of the jobs of that it is.
    """

    def __init__(self, allocation: Allocation, place: int) -> None:
        self.submission, self.started = allocation.submission, time.time()
        self.scheduler_id, self.task = allocation.scheduler_id, allocation.task
        self.attempt, self.number = allocation.attempt, allocation.first + place
        self.is_packed = len(allocation.job_ids) > 1
        job_id, self.directory = allocation.job_ids[place], allocation.directory(place)
        self.work, self.payload = allocation.read_work(place)
        self.is_call = self.work["kind"] == "python"
        # By which its processes are known: of a job that is run again not the id that its directory has.
        given = self.work["environment"]
        self.job_id: str = given.get(b"ANYJOB_JOB_ID", job_id.encode()).decode()
        self.before = int(given.pop(b"ANYJOB_ATTEMPT", b"1")) - 1  # attempts, where anyjob hands it over anew
        self.claimed_in = claim_path(self.submission, self.number)

    def path(self, name: str) -> str:
        """Return the path of a file of the job's."""
        return os.path.join(self.directory, name)

    @property
    def claim_text(self) -> bytes:
        """What the claim of this attempt says."""
        return f"{self.scheduler_id} {self.task} {self.attempt}\n".encode()

    def claim(self) -> bool:
        """Say whether this is the copy, and the attempt, that may run."""
        try:
            write(self.claimed_in, self.claim_text, os.O_EXCL | os.O_NOFOLLOW)
        except FileExistsError:
            return self.may_restart()
        except FileNotFoundError:
            sys.stderr.write(f"anyjob: {self.submission} is gone: its jobs have ended\n")
            return False
        make_directory(self.directory)
        return True

    def append_claim(self) -> None:
        """Say who has claimed it: the last line counts."""
        claim = os.open(self.claimed_in, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        os.write(claim, self.claim_text)
        os.close(claim)

    def may_restart(self) -> bool:
        """Say whether an attempt that is not the first may run."""
        with open_shared(self.claimed_in) as stream:
            claimed_by = (stream.read().splitlines() or [b"somebody"])[-1].decode().split()
        if claimed_by[:2] != [self.scheduler_id, self.task]:
            sys.stderr.write(f"anyjob: {self.directory} is claimed by {claimed_by}: this copy ends itself\n")
            return False
        make_directory(self.directory)  # if the attempt before ended before it had
        if os.path.exists(self.path("outcome.pkl")) or self.is_unwritten():
            return False
        self.attempt = max(self.attempt, 1 + int(claimed_by[2]))
        if not self.work["restartable"] and not self.has_asked(claimed_by[2]):
            message = (
                f"{self.work['scheduler']} has started it once more (attempt {self.attempt}), and it is not "
                "marked restartable: its first attempt was ended half way"
            )
            self.write_outcome({"status": "ERROR", "reason": "lost", "message": message})
            return False
        self.put_streams_aside(int(claimed_by[2]))
        self.append_claim()
        for name in ("ended.pkl", "terminated.pkl"):  # those were of the attempt before
            try:
                os.unlink(self.path(name))
            except FileNotFoundError:
                pass
        return True

    def put_streams_aside(self, claimed: int) -> None:
        """Keep what attempts wrote from that one on, as `anyjob.outputs.attempt_files` has it.

        It may be done twice; of those that the scheduler has begun and we have not, nothing is there.
        """
        for attempt in range(claimed, self.attempt):
            for name in ("stdout", "stderr"):
                aside = self.path(f"{name}.{self.before + attempt}")
                if os.path.lexists(aside):
                    continue
                try:
                    os.rename(self.path(name), aside)
                except FileNotFoundError:
                    write(aside, b"", 0)

    def has_asked(self, attempt: str) -> bool:
        """Say whether that attempt is over, and has asked for the one after it."""
        try:
            with open(self.path("requeue"), encoding="ascii") as stream:
                return stream.read() == attempt
        except OSError:
            return False

    def ask_for_another_attempt(self) -> int | None:
        """Have the scheduler start the job anew; return the exit code to end with; None: it refuses."""
        write(self.path("requeue"), str(self.attempt).encode(), os.O_TRUNC)
        code, *command = self.work["requeue"]
        words = [os.environ.get(word[1:], "") if word[:1] == "$" else word for word in command]
        try:
            refused = bool(words) and os.spawnvp(os.P_WAIT, words[0], words) != 0
        except OSError:
            refused = True
        if refused:
            os.unlink(self.path("requeue"))
            return None
        return int(code)

    def write_outcome(self, outcome: dict[str, Any], name: str = "outcome.pkl") -> None:
        """Write the outcome of the work, into the file of this name."""
        outcome.setdefault("host", os.uname().nodename)
        outcome.setdefault("started", self.started)
        outcome.setdefault("finished", time.time())
        outcome["attempt"] = self.attempt
        self.write_part(pickled(outcome))
        self.publish(name)

    def write_part(self, data: bytes) -> None:
        """Write what is to be an outcome, where nobody reads it yet."""
        write(self.path("outcome.part"), data, os.O_TRUNC)

    def publish(self, name: str) -> None:
        """Have what was written appear, at once or not at all."""
        os.rename(self.path("outcome.part"), self.path(name))
        self.note_end()

    def is_unwritten(self) -> bool:
        """Tell whether a call has ended whose outcome could not be written; a link says why."""
        return os.path.islink(self.path("outcome.error"))

    def note_end(self) -> None:
        """The job has ended, and what came of it is there to be read."""
        self.append_to_journal("E")
        if not self.work["restartable"] and not self.work["requeue"]:
            self.remove_secrets()

    def remove_secrets(self) -> None:
        """Remove variables, and what was to be run, when the last job of the submission has ended."""
        try:
            # The first line of that file is shorter than any other.
            size = os.path.getsize(os.path.join(self.submission, "jobs")) // LINE_SIZE
            noted = os.path.getsize(os.path.join(self.submission, "journal"))
            if noted >= 2 * sum_of_lengths(size):
                for name in ("environment", "work"):
                    os.unlink(os.path.join(self.submission, name))
        except OSError:
            pass

    def append_to_journal(self, letter: str) -> None:
        """Append a line to the journal: a hint for those who wait, and no more."""
        line = f"{letter} {self.number} {self.attempt}\n".encode()
        try:
            write(os.path.join(self.submission, "journal"), line, os.O_APPEND)
        except OSError as error:
            sys.stderr.write(f"anyjob: the journal cannot be written: {error}\n")


def sum_of_lengths(size: int) -> int:
    """Return the bytes of a line of the journal for each of so many jobs, in a first attempt."""
    digits, longer = size, 10
    while longer < size:
        digits, longer = digits + size - longer, longer * 10
    return digits + size * len("E  1\n")


def pickled(outcome: dict[str, Any]) -> bytes:
    """Pickle text, numbers and None by names: what `pickle` is not imported for."""
    data = [b"\x80\x04}("]
    for each in (part for pair in outcome.items() for part in pair):
        if isinstance(each, str):
            text = each.encode("utf-8", "surrogatepass")
            data.append(b"X" + len(text).to_bytes(4, "little") + text)
        else:
            data.append(
                b"N" if each is None else f"{'F' if isinstance(each, float) else 'I'}{each!r}\n".encode()
            )
    return b"".join([*data, b"u."])


def line_of(job_id: str, offset: int, size: int, payload: int) -> str:
    """Return the line of a job in the list of its submission: where its work is, and the bytes of that."""
    return f"{job_id} {offset:12} {size:10} {payload:12}\n"


def claim_path(submission: str, number: int) -> str:
    """Return the file that says who has claimed a job, by its place in the list of its submission."""
    return os.path.join(submission, f"claims-{number // CLAIMS_A_DIRECTORY}", str(number))


def make_directory(path: str) -> None:
    """Make the directory of a job, and that above it, where they are not there yet."""
    for each in (os.path.dirname(path), path):
        try:
            os.mkdir(each, 0o700)
        except FileExistsError:
            pass


def open_shared(path: str) -> BinaryIO:
    """Open a file for reading that may not be seen here yet."""
    deadline = time.monotonic() + VISIBLE_TIMEOUT
    while True:
        try:
            return open(path, "rb")
        except FileNotFoundError:
            pass
        if time.monotonic() > deadline:
            sys.exit(f"anyjob: {path} is not seen on {os.uname().nodename}: is it shared?")
        try:
            os.listdir(os.path.dirname(path))  # makes a network file system look anew
        except OSError:
            pass
        time.sleep(0.2)


def write(path: str, data: bytes, how: int) -> None:
    """Write a file that only the user may read; ``how`` are flags for ``os.open``."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "wb", buffering=0) as stream:
        view = memoryview(data)
        while view:
            view = view[stream.write(view) or 0 :]


# --- the parent: it watches -------------------------------------------------------------------


class Watcher:
    """Waits for the process that does the work; keeps to the walltime; notes what the scheduler sends.

    TERM comes to all processes of a job, so it is not passed on; what comes to this one alone, since a
    user has asked for it, is. A signal that announces the end of the job is made a TERM.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.terminated = False
        self.expired = False
        self.grace = 0.0
        self.job_id = ""
        self.warning = 0  # the signal that tells of the walltime to come
        self.warned = False
        self.left = 0.0
        self.early: list[int] = []  # what has come before it was known what that means
        self.cancel_mark = ""  # the file that says that this job of several is to end
        self.cancelled = False
        signal.signal(signal.SIGTERM, self.on_term)
        signal.signal(signal.SIGALRM, self.on_alarm)
        for number in PASSED_ON:
            signal.signal(number, self.on_other)

    def work_is(self, pid: int) -> None:
        """From now on this process does the work; what has come before is passed on."""
        self.pid = pid
        if self.terminated:
            self.signal_work(signal.SIGTERM)

    def take_words(self, work: dict[str, Any]) -> None:
        """Take signals as this scheduler means them."""
        for name in work["end_signals"]:
            number = getattr(signal, "SIG" + name)
            signal.signal(number, self.on_announced_end)
            if number in self.early:
                self.terminated = True
        for name in work["ignored_signals"]:
            signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)

    def on_term(self, number: int, frame: Any) -> None:
        """The scheduler ends the job."""
        self.terminated = self.terminated or not self.expired

    def on_announced_end(self, number: int, frame: Any) -> None:
        """The scheduler will kill the job after a while: the work is told to end now."""
        if not self.terminated and not self.expired:
            self.terminated = True
            signal.setitimer(signal.ITIMER_REAL, self.grace or 0.001)
            self.signal_work(signal.SIGTERM)

    def signal_work(self, number: int) -> None:
        """Send a signal to all that is in our group, so what the work has started, too."""
        if self.pid:
            os.kill(0 if os.getpgrp() == os.getpid() else self.pid, number)

    def on_other(self, number: int, frame: Any) -> None:
        """Pass a signal on."""
        if self.pid:
            os.kill(self.pid, number)
        else:
            self.early.append(number)

    def on_alarm(self, number: int, frame: Any) -> None:
        """The walltime is over, or the grace after a TERM."""
        if not self.pid:
            return
        if self.expired or self.terminated:
            os.kill(self.pid, signal.SIGKILL)
            return
        if self.warning and not self.warned:
            self.warned = True
            signal.setitimer(signal.ITIMER_REAL, self.left)
            os.kill(self.pid, self.warning)
            return
        self.expired = True
        signal.setitimer(signal.ITIMER_REAL, max(self.grace, 0.001))
        self.signal_work(signal.SIGTERM)

    def wait(self, work: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return the status of the process, and what it has used, as the fields of an outcome."""
        walltime, before = work["walltime"], work["signal_before"]
        if before is not None:
            is_call = work["kind"] == "python"
            named = "RTMIN" if is_call else work["signal"]  # as `launched_call` has it
            self.warning = getattr(signal, "SIG" + named)
            self.left = max(before, 0.001)
        if self.terminated:
            signal.setitimer(signal.ITIMER_REAL, self.grace or 0.001)
        elif walltime is not None:
            signal.setitimer(signal.ITIMER_REAL, max(walltime - (before or 0.0), 0.001))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
        self.wait_for_end()
        io = read_io(self.pid)  # gone with the process, once it is reaped
        _, status, usage = os.wait4(self.pid, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if status and not self.terminated:
            time.sleep(TERM_DELAY)
        if self.terminated or self.expired:
            kill_escaped(self.job_id)
        return status, {**used(usage), **io}

    def wait_for_end(self) -> None:
        """Wait for the process to end; look meanwhile whether this job, of several, is to end."""
        how = os.WEXITED | os.WNOWAIT
        if not self.cancel_mark:
            os.waitid(os.P_PID, self.pid, how)
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        while os.waitid(os.P_PID, self.pid, how | os.WNOHANG) is None:
            if not self.cancelled and os.path.exists(self.cancel_mark):
                self.cancelled = self.expired = True
                signal.setitimer(signal.ITIMER_REAL, max(self.grace, 0.001))
                self.signal_work(signal.SIGTERM)
            signal.sigtimedwait([signal.SIGCHLD], CANCEL_INTERVAL)


def used(usage: Any) -> dict[str, Any]:
    """Return what a process has used, as the fields of an outcome."""
    return {"peak_memory": usage.ru_maxrss * 1024, "cpu_time": usage.ru_utime + usage.ru_stime}


def read_io(pid: int | str) -> dict[str, Any]:
    """Return what a process has read and written, with its children that were waited for."""
    try:
        with open(f"/proc/{pid}/io", "rb") as stream:
            said = dict(line.split(b": ") for line in stream)
        return {"read_bytes": int(said[b"rchar"]), "written_bytes": int(said[b"wchar"])}
    except (OSError, ValueError, KeyError):  # not every system tells
        return {}


def usage_here(gpu_memory: GpuMemory) -> dict[str, Any]:
    """Return what this process has used, and its children, as the fields of an outcome."""
    import resource

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    usage = used(resource.getrusage(resource.RUSAGE_SELF))
    usage["cpu_time"] += children.ru_utime + children.ru_stime
    return {**usage, **read_io("self"), **gpu_memory.used()}


class GpuMemory:
    """The most memory of GPUs that the work was seen to have, which a call that ends reads, too."""

    def __init__(self, job: Job) -> None:
        self.job_id = job.job_id
        self.peak = memoryview(bytearray(8)).cast("Q")
        self.is_watched = bool(job.work["gpus"])
        if self.is_watched:
            import mmap

            self.peak = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")  # shared with what is forked

    def watch(self) -> None:
        """Look at it from now on, in a thread."""
        if not self.is_watched:
            return
        import threading

        module = import_shipped("anyjob_gpu_memory")

        def run() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            module.watch(self.note, threading.Event())

        threading.Thread(target=run, daemon=True).start()

    def note(self, job_id: str, size: int) -> None:
        """A job has so much at the moment."""
        if job_id == self.job_id and size > self.peak[0]:
            self.peak[0] = size

    def used(self) -> dict[str, Any]:
        """Return it as the fields of an outcome."""
        return {"peak_gpu_memory": self.peak[0]} if self.peak[0] else {}


def import_shipped(name: str) -> Any:
    """Import a module that lies beside this one; for others, this directory is not there."""
    here = os.path.dirname(__file__)
    others = [entry for entry in sys.path if entry != here]
    sys.path[:] = [here, *others]
    module = __import__(name)
    sys.path[:] = others
    return module


def import_for_calls(job: Job) -> tuple[Any, Any]:
    """Return the runner, and `launched_call`; from now on modules are found where the caller finds them."""
    modules = import_shipped("anyjob_runner"), import_shipped("anyjob_launched_call")
    sys.path += [entry for entry in job.work["path"] if entry not in sys.path]
    return modules


def kill_escaped(job_id: str) -> None:
    """End what the work has left running in sessions of its own: most schedulers do not find it."""
    mark = b"\0ANYJOB_JOB_ID=" + job_id.encode() + b"\0"
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as stream:
                if mark in b"\0" + stream.read():
                    os.kill(int(name), signal.SIGKILL)
        except OSError:  # it has ended, or is somebody else's
            pass


def reset_signals(work: dict[str, Any]) -> None:
    """Have signals mean in the work what they mean to any program, but for those that are for us."""
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in work["end_signals"] + work["ignored_signals"]:
        signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD, *HELD])


# --- the child: it works ---------------------------------------------------------------------


def open_streams(job: Job) -> None:
    """Have stdout and stderr where they are to be; to a file of the user's a later attempt appends."""
    writing = os.O_WRONLY | os.O_CREAT
    stdin = job.path("stdin") if job.work["stdin"] else os.devnull
    outputs = job.work.get("outputs") or (None, None)
    opened = [(0, os.open(stdin, os.O_RDONLY))]
    for number, name in ((1, "stdout"), (2, "stderr")):
        own = outputs[number - 1]
        if own is None:
            fd = os.open(job.path(name), writing | os.O_APPEND, 0o600)
        elif number == 2 and own == outputs[0]:
            fd = os.dup(opened[-1][1])
        else:  # a file of the user's own
            fd = os.open(own, writing | (os.O_APPEND if job.attempt > 1 else os.O_TRUNC), 0o666)
        opened.append((number, fd))
    for number, fd in opened:
        os.dup2(fd, number)
        os.close(fd)


def remove_empty_streams(job: Job) -> None:
    """Remove what nothing was written to; of a program, stdout stays, which others may be told to read."""
    for name in ("stdout", "stderr") if job.is_call else ("stderr",):
        try:
            if not os.stat(job.path(name)).st_size:
                os.unlink(job.path(name))
        except OSError:  # it is a file of the user's own
            pass


def execute(job: Job, write_end: int) -> None:
    """Become the program. Where that is not possible, why is written to the pipe."""
    work = job.work
    directory = True
    try:
        os.chdir(work["cwd"])
        directory = False
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python, not by programs
            signal.signal(number, signal.SIG_DFL)
        environ = {**os.environb, **work["environment"], b"ANYJOB_SPOOL": os.fsencode(job.directory)}
        os.execvpe(work["argv"][0], work["argv"], environ)
    except OSError as error:
        os.write(write_end, marshal.dumps((directory, error.errno, error.strerror)))
    finally:
        os._exit(127)


def not_started(job: Job, directory: bool, number: int, message: str) -> dict[str, Any]:
    """Say why a program could not be started; codes as a shell gives them."""
    program = os.fsdecode(job.work.get("argv", [b"the call"])[0])
    code, error = 126, f"{program!r}: {message}"
    if directory:
        error = f"its directory {os.fsdecode(job.work['cwd'])!r} is not there on {os.uname().nodename}"
    elif number == 2 and "/" in program and os.path.exists(program):
        code, error = 127, f"the interpreter that the first line of {program!r} names is not there"
    elif number == 2:
        code, error = 127, f"{program!r} is not there" + ("" if "/" in program else ", nor anywhere on PATH")
    return {"status": "ERROR", "reason": "exit-code", "exit_code": code, "message": f"cannot start: {error}"}


def outcome_by_status(status: int) -> dict[str, Any]:
    """Return the outcome of a process, by its status."""
    if os.WIFSIGNALED(status):
        from signal import Signals

        number = os.WTERMSIG(status)
        try:
            name = Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return {"status": "ERROR", "reason": "signal", "signal": number, "message": f"ended by {name}"}
    code = status >> 8 & 0xFF
    if code:
        return {"status": "ERROR", "reason": "exit-code", "exit_code": code, "message": f"exit code {code}"}
    return {"status": "DONE", "exit_code": 0}


def is_uncertain(outcome: dict[str, Any]) -> bool:
    """Whether an end looks like one that the scheduler may have brought about."""
    return outcome.get("signal") in (signal.SIGTERM, signal.SIGKILL) or outcome.get("exit_code") in (137, 143)


def ended_its_process(outcome: dict[str, Any]) -> dict[str, Any]:
    """Say that a call has ended the process that it ran in."""
    how = outcome.get("message", "exit code 0")
    outcome = {**outcome, "message": f"the call ended its process and left no result: {how}"}
    if outcome["status"] == "DONE":
        outcome.update(status="ERROR", reason="exit-code")
    return outcome


def verdict(job: Job, watcher: Watcher, status: int, start_error: bytes) -> tuple[dict[str, Any], str]:
    """Return what came of work that has not said so itself, and the name of the file for that.

    Args:
        job: what it was the work of.
        watcher: who has watched it.
        status: that of its process.
        start_error: why a program could not be started.
    """
    if watcher.cancelled:
        return {"status": "CANCELLED"}, "outcome.pkl"
    if watcher.expired:
        message = f"it ran longer than its walltime of {job.work['walltime']:g} s"
        return {"status": "ERROR", "reason": "walltime", "message": message}, "outcome.pkl"
    name = "terminated.pkl" if watcher.terminated else "outcome.pkl"
    if start_error:
        return not_started(job, *marshal.loads(start_error)), name
    if watcher.warned and status and not watcher.terminated:
        message = "it ended when it was told that its walltime was near"
        return {"status": "ERROR", "reason": "walltime", "message": message}, name
    outcome = outcome_by_status(status)
    if not watcher.terminated and is_uncertain(outcome):
        name = "ended.pkl"
    return ended_its_process(outcome) if job.is_call else outcome, name


def set_attempt(job: Job) -> None:
    """Tell the work which attempt of it this is, and where attempts leave what the next one needs."""
    os.environ["ANYJOB_ATTEMPT"] = str(job.before + job.attempt)
    scratch = os.fsdecode(job.work["environment"].pop(b"ANYJOB_SCRATCH", b""))  # of a job that may be retried
    if scratch or job.work["requeue"] or job.work["restartable"]:
        os.environ["ANYJOB_SCRATCH"] = scratch = scratch or job.path("scratch")
        os.makedirs(scratch, 0o700, exist_ok=True)


def work(job: Job, gpu_memory: GpuMemory, write_end: int) -> int:
    """Do the work, in the process that was forked for it. Returns the exit code of a call."""
    reset_signals(job.work)
    try:
        open_streams(job)
    except OSError as error:
        what = f"{os.fsdecode(error.filename)!r} cannot be opened: {error.strerror}"
        os.write(write_end, marshal.dumps((False, 0, what)))
        os._exit(127)
    if not job.is_call:
        execute(job, write_end)
    os.close(write_end)
    runner, launched_call = import_for_calls(job)
    returned: int = launched_call.call(job, runner, lambda: usage_here(gpu_memory))
    if job.is_packed:
        launched_call.leave(returned)
    return returned


def run(job: Job, watcher: Watcher) -> int:
    """Run the work in a process of its own, and leave what came of it. Returns the exit code to end with."""
    read_end, write_end = os.pipe()
    job.append_to_journal("S")
    set_attempt(job)
    gpu_memory = GpuMemory(job)
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        return work(job, gpu_memory, write_end)
    watcher.work_is(pid)
    os.close(write_end)
    gpu_memory.watch()
    status, usage = watcher.wait(job.work)
    with open(read_end, "rb") as stream:
        start_error = stream.read()
    remove_empty_streams(job)
    if job.is_call and not (watcher.cancelled or watcher.expired or start_error):
        if os.path.exists(job.path("outcome.part")):
            job.publish("terminated.pkl" if watcher.terminated else "outcome.pkl")
            return 1 if status else 0
        if job.is_unwritten():
            job.note_end()
            return 1
    outcome, name = verdict(job, watcher, status, start_error)
    if outcome.get("reason") == "walltime" and job.work["requeue"]:
        code = job.ask_for_another_attempt()
        if code is not None:
            return code
    outcome.update(usage, **gpu_memory.used())
    job.write_outcome(outcome, name)
    if outcome["status"] == "DONE":
        return 0
    code = int(outcome.get("exit_code") or 128 + outcome.get("signal", 0))
    return 1 if code in job.work["reserved_exit_codes"] else code


def set_variables(data: bytes) -> None:
    """Set those variables of the caller's that bash cannot export."""
    for entry in data.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        bash_can = name.decode("ascii", "replace").isidentifier() and name not in BASH_SETS
        if equals and not bash_can and not name.startswith(b"BASH_FUNC_"):
            os.environb[name] = value


def main() -> int:
    """Run the jobs of the allocation that ``ANYJOB_SUBMISSION`` is about. Returns the exit code."""
    watcher = Watcher()
    submission = os.environ["ANYJOB_SUBMISSION"]
    try:
        with open(os.path.join(submission, "environment"), "rb") as stream:
            variables = stream.read()
    except FileNotFoundError:  # the script has waited for it
        sys.stderr.write(f"anyjob: all jobs of {submission} have ended: this copy ends itself\n")
        return 1
    allocation = Allocation(os.environ)
    set_variables(variables)
    if len(allocation.job_ids) == 1:
        code = run_job(allocation, 0, watcher)
        allocation.remove_empty_log()
        return code
    environ = dict(os.environb)
    for place in range(len(allocation.job_ids)):
        if place:
            os.environb.clear()
            os.environb.update(environ)
            before, watcher = watcher, Watcher()
            if before.terminated:
                return 1
        run_job(allocation, place, watcher)
    allocation.remove_empty_log()
    return 0


def run_job(allocation: Allocation, place: int, watcher: Watcher) -> int:
    """Run one of the jobs of an allocation, if it may run. Returns the exit code."""
    job = Job(allocation, place)
    watcher.job_id = job.job_id
    watcher.grace = job.work["grace"]
    watcher.cancel_mark = job.path("cancel") if job.is_packed else ""
    watcher.take_words(job.work)
    if watcher.terminated or not job.claim():
        return 1
    if job.is_packed and job.is_call:
        _, launched_call = import_for_calls(job)
        launched_call.prepare(job.payload)
    return run(job, watcher)
