"""Kills clients, supervisor, keeper, zygotes and jobs at random points, and then accounts for every job.

Jobs leave marks: a line at their start and one at their end, with id, attempt, pid and GPU, in one file.
What the ledger says at the end is held against these: each job has ended, none has started twice in an
attempt, only restartable ones and those with retries have had a second attempt, numbers of attempts have no
gaps, what is DONE has come to its end, what starts after others has started if and only if these came to
what they should, and after they had ended, and no process is left. Some have two tasks, of which the first
leaves the marks; some take more memory than they asked for, and none of these is DONE; some fail in their
first attempt; some have a GPU, which none of the others has until they have ended; some have another job run,
and wait for it; they have priorities, and are held, released, stopped and resumed. Clients fork now and then:
the child goes on with what it has inherited, and its parent may leave.
With ``--faults`` processes are stopped for a while, the disk gets full, the clock jumps: see `soak_faults`.
With ``--minutes`` the kills are spread over these, while one more client, that nobody kills, has ``--jobs``
run, and what it and the daemons have of memory, descriptors and threads stays as it is: see `soak_load`.

Usage: python tests/kill_harness.py [--kills 300] [--seed 1] [--clients 2] [--state DIR] [--faults]
       python tests/kill_harness.py --minutes 60 --jobs 100000 --kills 2000
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import faulthandler
import math
import os
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kill_table import kill_table
from soak_faults import Faults, clock_that_jumps, disk_of_its_own
from soak_load import Sampler

import anyjob
from anyjob import Call, Command, Config, Registry, Retry, Session
from anyjob.builtin.local.backend import LocalBackend
from anyjob.builtin.local.locks import lock_holder
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.process_table import Snapshot
from anyjob.errors import AnyjobError, BackendUnavailableError, StateError
from anyjob.job import JOB_FINAL_STATES, JobStatus
from anyjob.ledger.encoding import decode_outcome
from anyjob.ledger.file.database import LedgerFile
from anyjob.ledger.file.schema import faults
from anyjob.ledger.rows import Row
from anyjob.status import PREREQUISITES

TESTS = Path(__file__).resolve().parent
LIMIT = 90.0
VICTIMS = {"supervisor": 8, "job": 6, "zygote": 4, "keeper": 3, "client": 1}
FORKS = 0.3
"""How likely a client forks before it submits."""
CHILD_ROUNDS = 4
WAIT = 20.0
"""Seconds that a client waits for its jobs in a round, at most: others may be before them."""
MARK = (
    '[ "$ANYJOB_RANK" = 1 ] || '
    'echo "$0 $ANYJOB_JOB_ID $ANYJOB_ATTEMPT $$ ${CUDA_VISIBLE_DEVICES:--}" >> "$MARKS"'
)
GPUS = ["gpu-0", "gpu-1"]
MEMORY = 64 << 20
"""Bytes that some jobs ask for; a greedy one takes twice as much."""
GREEDY = "greedy"
"""The name of such a job: who has submitted it may be killed before it could note which it is."""


def session(state: Path) -> Session:
    registry = Registry()
    registry.register_backend("local", LocalBackend)
    local = {"type": "local", "slots": 4}
    backends = {
        "local": {**local, "gpus": GPUS},
        "reuse": {**local, "isolation": "reuse", "recycle": 50},
    }
    return Session(Config.from_dict({"backends": backends}), registry, state)


# --- a client -----------------------------------------------------------------------------------


def call(marks: str, seconds: float) -> int:
    """What the calls do."""
    _mark(marks, "start")
    time.sleep(seconds)
    _mark(marks, "end")
    return os.getpid()


def greedy(marks: str) -> None:
    """What a call does that takes more memory than it asked for: it waits to be ended for that."""
    _mark(marks, "start")
    held = bytearray(b"x") * (2 * MEMORY)
    time.sleep(LIMIT)
    del held
    _mark(marks, "end")


def nesting(marks: str, state: str, seconds: float) -> None:
    """What a call does that has another one run, which may be killed, and waits for that."""
    _mark(marks, "start")
    with session(Path(state)) as ours:
        child = ours.get_backend("local").run(Call(call, (marks, seconds)))
        anyjob.wait([child])
    _mark(marks, "end")


def _mark(marks: str, what: str) -> None:
    if os.environ.get("ANYJOB_RANK") == "1":
        return
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES") or "-"
    line = f"{what} {os.environ['ANYJOB_JOB_ID']} {os.environ['ANYJOB_ATTEMPT']} {os.getpid()} {gpu}\n"
    _append(Path(marks), line)


def _append(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def client(state: str, seed: int) -> None:
    """Submit jobs until somebody kills us; a child of a fork ends by itself."""
    faulthandler.register(signal.SIGUSR1)
    chance = random.Random(seed)
    root = Path(state).parent
    os.environ["MARKS"] = str(root / "marks")
    ours = session(Path(state))
    backends = [ours.get_backend(name) for name in ("local", "reuse")]
    mine: list[Any] = []
    left = math.inf
    while left > 0:
        left -= 1
        if left == math.inf and chance.random() < FORKS:
            leaves = chance.random() < 0.3
            if os.fork() == 0:
                _append(root / "forks", f"{os.getpid()}\n")
                chance.seed(os.getpid())
                left = CHILD_ROUNDS
            elif leaves:
                return
        try:
            mine = [*mine, *submit(chance.choice(backends), root, chance, mine)][-40:]
            anyjob.wait(mine[:20], timeout=WAIT)
        except (BackendUnavailableError, StateError) as error:  # nobody answers, or the disk is full
            print(f"client: {error}", file=sys.stderr, flush=True)
        except BaseException:
            (root / "failed").write_text(traceback.format_exc())
            raise


def submit(backend: Any, root: Path, chance: random.Random, before: list[Any]) -> list[Any]:
    """Submit some jobs, and cancel some; note the ids of those that we were told are submitted.

    Some start after others of these, or of those before.
    """
    restartable = chance.random() < 0.4
    seconds = [round(chance.random() ** 3 * 0.1, 3) for _ in range(chance.randint(1, 12))]
    specs: list[Any] = [Call(call, (os.environ["MARKS"], pause)) for pause in seconds]
    if chance.random() < 0.5:
        script = f"{MARK}; sleep $1; set -- $1; {MARK.replace('$0', 'end')}"
        specs = [Command(["sh", "-c", script, "start", str(pause)]) for pause in seconds]
    more: dict[str, Any] = {"priority": chance.randint(-2, 2)}
    is_greedy = chance.random() < 0.05
    if is_greedy:
        specs, more = [Call(greedy, (os.environ["MARKS"],))], {"memory": MEMORY, "name": GREEDY}
    elif chance.random() < 0.15:
        more |= {"tasks": 2, "memory": 16 * MEMORY}
    elif chance.random() < 0.15:
        specs = [Call(nesting, (os.environ["MARKS"], str(root / "state"), pause)) for pause in seconds[:3]]
    elif backend.name() == "local" and chance.random() < 0.3:
        more["gpus"] = 1
    elif backend.name() == "reuse" and chance.random() < 0.4:  # a worker has many of them at a time
        specs = [Call(call, (os.environ["MARKS"], 0.0))] * chance.randint(50, 300)
    is_flaky = not is_greedy and isinstance(specs[0], Command) and chance.random() < 0.2
    if is_flaky:  # fails in its first attempt, when it has come to its end
        script = specs[0].argv[2] + '; [ "$ANYJOB_ATTEMPT" -gt 1 ]'
        specs = [Command(["sh", "-c", script, *spec.argv[3:]]) for spec in specs]
    if is_flaky or chance.random() < 0.2:
        more["retries"] = Retry(2, wait=chance.choice((0.0, 0.05, 0.5)))
    if before and chance.random() < 0.4:
        more[chance.choice(PREREQUISITES)] = chance.sample(before, min(len(before), chance.randint(1, 3)))
    jobs: list[Any] = backend.run_many(specs, restartable=restartable, **more)
    ids = "".join(f"{job.job_id()}\n" for job in jobs)
    _append(root / "submitted", ids)
    if chance.random() < 0.2:
        backend.cancel_many(jobs[::2])
    if chance.random() < 0.1:  # whoever is killed before the second of the two leaves them so
        for do in (anyjob.hold, anyjob.release, anyjob.pause, anyjob.resume):
            do(jobs)
    if not is_greedy and chance.random() < 0.3:  # each after one of these
        each = backend.run_many(specs, after=lambda index: jobs[index])
        _append(root / "submitted", "".join(f"{job.job_id()}\n" for job in each))
        jobs += each
    return jobs


# --- the killer ---------------------------------------------------------------------------------


class Killer:
    """One state directory, the clients that use it, and whoever is to be killed."""

    def __init__(self, root: Path, seed: int, clients: int, python: str = sys.executable) -> None:
        self.root = root
        self.python = python
        self.state = root / "state"
        self.paths = RuntimePaths(self.state)
        self.chance = random.Random(seed)
        self.kills: list[tuple[float, str]] = []
        # The other end of this one is held by clients and their children, as long as they live.
        self._ends, self._held = (open(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))  # noqa: SIM115
        self.clients = [self._client() for _ in range(clients)]

    def _client(self) -> subprocess.Popen[bytes]:
        return self._start(
            f"import kill_harness; kill_harness.client({str(self.state)!r}, {self.chance.getrandbits(32)})"
        )

    def steady_client(self, minutes: float, jobs: int) -> subprocess.Popen[bytes]:
        """Start a client that nobody kills, and that has so many jobs run in so many minutes."""
        code = f"import soak_load; soak_load.steady({str(self.state)!r}, {minutes}, {jobs})"
        return self._start(code, is_waited_for=False)

    def _start(self, code: str, *, is_waited_for: bool = True) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
        with open(self.root / "clients.err", "ab") as errors:
            return subprocess.Popen(
                [self.python, "-c", code],
                env={**os.environ, "PYTHONPATH": path},
                stdout=errors,
                stderr=errors,
                pass_fds=[self._held.fileno()] if is_waited_for else [],
            )

    def kill(self) -> bool:
        """Kill somebody, if there is somebody to kill."""
        (what,) = self.chance.choices([*VICTIMS], [*VICTIMS.values()])
        pid = self._find(what)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.kills.append((time.time(), what))
        _append(self.root / "kills", f"{self.kills[-1][0]} {what}\n")
        if what == "client":
            index = next(i for i, process in enumerate(self.clients) if process.pid == pid)
            self.clients[index].wait()
            self.clients[index] = self._client()
        return True

    def victims(self) -> dict[str, int | None]:
        """Return one of each sort, as far as there is one."""
        return self.victims_of(*VICTIMS)

    def victims_of(self, *sorts: str) -> dict[str, int | None]:
        """Return one of each of these sorts, as far as there is one."""
        return {what: self._find(what) for what in sorts}

    def _find(self, what: str) -> int | None:
        if what == "client":
            return self.chance.choice(self.clients).pid
        if what == "supervisor":
            return lock_holder(self.paths.supervisor_lock)
        if what == "keeper":
            return lock_holder(self.paths.keeper_lock)
        found = self.marked(zygotes=what == "zygote")
        return self.chance.choice(found) if found else None

    def marked(self, zygotes: bool | None = None) -> list[int]:
        """Return the processes that carry the mark of our keeper; only those that are zygotes, or are not."""
        snapshot = Snapshot()
        found = []
        for pid in snapshot.processes:
            mark = snapshot.mark(pid)
            if mark is not None and mark.keeper == str(self.state) and zygotes in (None, mark.is_zygote):
                found.append(pid)
        return found

    def run(self, kills: int, minutes: float = 0.0) -> None:
        """Kill so many; where minutes are told, spread over these."""
        begun = time.monotonic()
        while len(self.kills) < kills:
            # The points in time are random: this is what is tested.
            due = begun + 60 * minutes * len(self.kills) / kills - time.monotonic()
            time.sleep(max(0.0, due) + self.chance.random() ** 2 * 0.25)
            self.kill()
            for index, process in enumerate(self.clients):
                code = process.poll()
                assert not code, f"a client has failed: {(self.root / 'clients.err').read_text()}"
                if code == 0:  # it has left its child behind
                    self.clients[index] = self._client()
        self.end_clients()

    def end_clients(self) -> None:
        """End the clients, and wait for their children, which are about to end by themselves."""
        for process in self.clients:
            process.kill()
            process.wait()
        self._held.close()
        if not self._ends.closed:
            ended, _, _ = select.select([self._ends], [], [], LIMIT + CHILD_ROUNDS * WAIT)
            self._ends.close()
            assert ended, (
                f"children of clients have not ended:\n{self._where_children_are()}\n{self.errors()}"
            )
        failed = self.root / "failed"
        assert not failed.exists(), f"a child of a client has failed: {failed.read_text()}"

    def _where_children_are(self) -> str:
        """Have the children of clients say where each of their threads is."""
        errors = self.root / "clients.err"
        before = errors.stat().st_size
        for pid in map(int, _lines(self.root / "forks")):
            with contextlib.suppress(OSError):
                if b"kill_harness" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGUSR1)
        time.sleep(5.0)  # there is no event: they may be stuck
        return errors.read_bytes()[before:].decode(errors="replace")

    def settle(self) -> list[Row]:
        """Wait for all that is open, as anybody may who comes later; return what the ledger says then."""
        with session(self.state) as later:
            left = jobs = later.jobs()
            later.release(jobs)  # a client may have been killed before it could
            later.resume(jobs)
            while left:  # as long as one after the other ends, it is the machine that is slow
                ended, left = anyjob.wait(left, timeout=LIMIT, return_when="FIRST_COMPLETED")
                assert ended, f"{len(left)} of {len(jobs)} jobs are stuck: {left[:5]}\n{self.errors()}"
            return later.services.ledger.select()

    def end(self) -> None:
        """Have supervisor and keeper end, as they do when they are idle, and see that nothing is left."""
        deadline = time.monotonic() + LIMIT
        while self._alive():
            supervisor = lock_holder(self.paths.supervisor_lock)
            if supervisor is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(supervisor, signal.SIGTERM)
            assert time.monotonic() < deadline, f"still there: {self._alive()}\n{self.errors()}"
            time.sleep(0.01)

    def _alive(self) -> list[int]:
        ours = [lock_holder(self.paths.supervisor_lock), lock_holder(self.paths.keeper_lock)]
        return [*self.marked(), *(pid for pid in ours if pid is not None)]

    def errors(self) -> str:
        texts = [f"{path.name}: {path.read_text()[-3000:]}" for path in sorted(self.paths.logs.glob("*.err"))]
        return "\n".join(texts)


def account(root: Path, rows: list[Row]) -> list[str]:
    """Hold what the ledger says against the marks that the jobs left; return what is wrong."""
    starts: collections.Counter[tuple[str, int]] = collections.Counter()
    ends: collections.Counter[tuple[str, int]] = collections.Counter()
    for line in _lines(root / "marks"):
        what, job_id, attempt, _, _ = line.split()
        (starts if what == "start" else ends)[job_id, int(attempt)] += 1
    wrong = [f"{key} has started {count} times" for key, count in starts.items() if count > 1]
    known = {row.job_id: row for row in rows}
    wrong += [
        f"{job_id} was submitted, and is not known"
        for job_id in _lines(root / "submitted")
        if job_id not in known
    ]
    wrong += [f"{job_id} has run, and is not known" for job_id, _ in starts if job_id not in known]
    wrong += _gpus_shared(_lines(root / "marks"))
    for row in rows:
        wrong += _check(row, starts, ends, row.name == GREEDY)
    return wrong


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").splitlines() if path.exists() else []


def _gpus_shared(marks: list[str]) -> Iterator[str]:
    """Tell of jobs that had a GPU while another one had it that came to its end, so it was not killed."""
    ended = {}
    for place, line in enumerate(marks):
        what, job_id, attempt, _, gpu = line.split()
        if what == "end" and gpu != "-":
            ended[job_id, attempt] = place
    free_at: dict[str, tuple[int, str]] = {}
    for place, line in enumerate(marks):
        what, job_id, attempt, _, gpu = line.split()
        if what == "start" and gpu != "-":
            until, other = free_at.get(gpu, (0, ""))
            if place < until:
                yield f"{job_id} had {gpu}, as {other} had at the same time"
            free_at[gpu] = max(free_at.get(gpu, (0, "")), (ended.get((job_id, attempt), 0), job_id))


def _check(row: Row, starts: Any, ends: Any, is_greedy: bool) -> Iterator[str]:
    if row.status not in JOB_FINAL_STATES:
        yield f"{row.job_id} is {row.status.name}"
    if starts[row.job_id, row.attempt + 1]:
        yield f"{row.job_id} has run in an attempt that the ledger does not know"
    if row.status is JobStatus.DONE and ends[row.job_id, row.attempt] != 1:
        yield f"{row.job_id} is DONE, and has not come to its end"
    if row.status is JobStatus.DONE and is_greedy:
        yield f"{row.job_id} is DONE, and took more memory than it had asked for"
    expected = ("lost", "signal", "exit-code", "dependency", *["memory"] * is_greedy)
    if row.status is JobStatus.ERROR and row.reason not in expected:
        message = decode_outcome(row.outcome).message if row.outcome else ""
        if not re.search("No space left|disk is full", message):
            yield f"{row.job_id} failed for {row.reason}: {message}"


def order(root: Path, state: Path, rows: list[Row]) -> list[str]:
    """Return what is wrong with jobs that start after others: each has, if and only if what it needs came."""
    known = {row.job_id: row for row in rows}
    started: dict[str, int] = {}
    ended: dict[str, int] = {}
    for place, line in enumerate(_lines(root / "marks")):
        what, job_id, *_ = line.split()
        if what == "start":
            started.setdefault(job_id, place)
        else:
            ended[job_id] = place  # of its last attempt
    reached = ({JobStatus.DONE}, set(JOB_FINAL_STATES), {JobStatus.ERROR})
    wrong = []
    with session(state) as later:
        for row in rows:
            needed = later.ledger.dependencies.prerequisites(row.job_id)
            met = all(known[one.job_id].status in reached[one.condition] for one in needed)
            if row.job_id in started and not met:
                wrong.append(f"{row.job_id} has started, and what it needs did not come about")
            if row.reason == "dependency" and (met or row.job_id in started):
                wrong.append(f"{row.job_id} is said to have failed by a dependency")
            early = [
                one.job_id
                for one in needed
                if row.job_id in started and ended.get(one.job_id, 0) > started[row.job_id]
            ]
            wrong += [f"{row.job_id} has started before {one} has ended" for one in early]
    return wrong


def attempts(state: Path, rows: list[Row]) -> list[str]:
    """Return what is wrong with jobs that were run again."""
    again = [row.job_id for row in rows if row.attempt > 1]
    with session(state) as later:
        jobs = [later.get_job(job_id) for job_id in again]
        asked = {job: job._record.resources for job in jobs}
        wrong = [f"{job} ran again" for job, its in asked.items() if not (its.restartable or its.retries)]
        for job, its in asked.items():
            numbers = [each.number for each in job.attempts()]
            if numbers != list(range(1, len(numbers) + 1)):
                wrong.append(f"{job} has attempts {numbers}")
            if its.retries and not its.restartable and len(numbers) > 1 + its.retries.times:
                wrong.append(f"{job} has {len(numbers)} attempts")
        return wrong


def run_kills(
    root: Path, kills: int, seed: int, clients: int, faults: bool = False, disk: bool = True
) -> tuple[list[Row], list[str], dict[str, int], list[tuple[float, str]]]:
    """Do all of it; return what the ledger says, what is wrong with that, what happened how often, the kills.

    With ``faults``, processes stop, the clock jumps and, with ``disk``, the disk gets full.
    """
    if not faults:
        return _run_kills(Killer(root, seed, clients), kills, contextlib.nullcontext())
    python, jumps = clock_that_jumps(root)
    with disk_of_its_own(root / "state") if disk else contextlib.nullcontext() as full:
        killer = Killer(root, seed, clients, python)
        happening = Faults(seed, killer.victims, full, jumps)
        rows, wrong, happened, when = _run_kills(killer, kills, happening)
        return rows, wrong, {**happened, **happening.counts}, when  # these have other names


def _run_kills(
    killer: Killer, kills: int, happening: contextlib.AbstractContextManager[object]
) -> tuple[list[Row], list[str], dict[str, int], list[tuple[float, str]]]:
    try:
        with happening:
            killer.run(kills)
        rows = killer.settle()
        killer.end()
    finally:
        killer.end_clients()
    return _what_came(killer, rows)


def run_soak(
    root: Path, kills: int, seed: int, clients: int, minutes: float, jobs: int
) -> tuple[list[Row], list[str], dict[str, int], list[tuple[float, str]], str]:
    """Do all of it while another client has so many jobs run; return a table of what processes have, too."""
    killer = Killer(root, seed, clients)
    steady = killer.steady_client(minutes, jobs)
    done = root / "steady"

    def looked_at() -> dict[str, int | None]:
        victims = killer.victims_of("supervisor", "keeper")
        return {"client": steady.pid if steady.poll() is None else None, **victims}

    try:
        with Sampler(looked_at, jobs, lambda: int(done.read_text() or 0) if done.exists() else 0) as sampler:
            killer.run(kills, minutes)
            code = steady.wait(240 * minutes + LIMIT)
        assert code == 0, f"the client that is not killed has failed:\n{killer.errors()}"
        rows = killer.settle()
        killer.end()
    finally:
        steady.kill()
        steady.wait()
        killer.end_clients()
    rows, wrong, happened, when = _what_came(killer, rows)
    return rows, wrong + sampler.grown(), happened, when, sampler.table()


def _what_came(
    killer: Killer, rows: list[Row]
) -> tuple[list[Row], list[str], dict[str, int], list[tuple[float, str]]]:
    root, clients = killer.root, len(killer.clients)
    wrong = account(root, rows) + order(root, killer.state, rows) + attempts(killer.state, rows)
    wrong += LedgerFile(killer.state).write(faults)
    left = [str(path) for path in killer.paths.environments.iterdir()]
    killed = collections.Counter(what for _, what in killer.kills)
    wrong += [f"the environment {path} was left" for path in left[clients + killed["client"] :]]
    return rows, wrong, {**killed, "forks": len(_lines(root / "forks"))}, killer.kills


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--jobs", type=int, default=100_000)
    given = parser.parse_args()
    if given.faults and given.minutes:
        parser.error("--faults and --minutes: not both")
    root = given.state or Path(tempfile.mkdtemp(prefix="anyjob-kills-"))
    begun = time.monotonic()
    try:
        asked = root, given.kills, given.seed, given.clients
        table = ""
        if given.minutes:
            rows, wrong, killed, kills, table = run_soak(*asked, given.minutes, given.jobs)
        else:
            rows, wrong, killed, kills = run_kills(*asked, given.faults)
    except (AssertionError, AnyjobError) as error:
        print(f"{type(error).__name__}: {error}\nsee {root}")
        return 1
    states = collections.Counter(f"{row.status.name} {row.reason or ''}".strip() for row in rows)
    forks = killed.pop("forks")
    print(f"{len(kills)} kills in {time.monotonic() - begun:.0f} s: {killed}; {forks} forks")
    print(f"{len(rows)} jobs: {dict(states)}; {sum(row.attempt > 1 for row in rows)} ran again")
    if not given.faults:  # with them the clocks of those that note the times have jumped
        print(kill_table(rows, kills))
    if table:
        print(table)
    for line in wrong[:20]:
        print("WRONG:", line)
    print(f"{len(wrong)} are wrong: see {root}" if wrong else "every job is accounted for")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
