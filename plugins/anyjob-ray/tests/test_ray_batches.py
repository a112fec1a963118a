"""Short calls of one launch are run by one task in a batch; that changes nothing for each of them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray_work
from anyjob_ray.backend import RayBackend

from anyjob import Call, Command
from anyjob.job import JobStatus
from anyjob.taskjob import TaskJob

pytestmark = pytest.mark.engine("ray")

Make = Callable[..., RayBackend]
MANY, SPECIAL = 600, (301, 407, 513)
PATIENCE = 60.0
DONE = JobStatus.DONE


class Calls:
    """Many short calls, some of which do something else.

    Args:
        backend: where they are made.
        path: the file where each notes that it was made, and by which task.
        what: what the special ones do.
        resources: what they need.
    """

    def __init__(self, backend: RayBackend, path: Path, what: str, **resources: float) -> None:
        self.path = path
        numbers = range(MANY)
        arguments = [str(path)] * MANY, numbers, [SPECIAL] * MANY, [what] * MANY
        self.jobs: list[TaskJob] = backend.map(ray_work.noted, *arguments, **resources)
        self.special = [self.jobs[number] for number in SPECIAL]

    def made(self) -> list[int]:
        """Return the numbers of the calls that were made, as often as each was."""
        return sorted(int(line.split()[0]) for line in self.path.read_text().splitlines())

    def in_batches(self) -> int:
        """Return how many calls were made by the tasks of the special ones."""
        tasks = dict(line.split() for line in self.path.read_text().splitlines())
        made = Counter(tasks.values())
        return sum(made[tasks[str(number)]] for number in SPECIAL)

    def assert_others_are_unharmed(self) -> None:
        """All but the special ones have ended well, and no call was made twice."""
        for number, job in enumerate(self.jobs):
            if number not in SPECIAL:
                outcome = job.outcome(PATIENCE)
                assert outcome.status is DONE, (number, outcome)
                assert job.result() == job.job_id()
        assert self.made() == list(range(MANY))
        assert self.in_batches() > len(SPECIAL), "each was alone: this test shows nothing"

    def assert_they_end_well(self) -> None:
        """Have the special ones end."""
        Path(f"{self.path}.go").touch()
        assert [job.result(PATIENCE) for job in self.special] == [job.job_id() for job in self.special]

    def until_they_run(self) -> None:
        """Wait until it is told of the special ones that they run."""
        for job in self.special:
            while not job.running():
                assert not job.in_final_state(), job.outcome()
                time.sleep(0.01)


@pytest.fixture
def backend(make: Make, mode: str) -> RayBackend:
    """A backend in each mode; batches grow, although calls take long on a machine that is busy."""
    return make(mode=mode, batch_duration=PATIENCE)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """The file where calls note that they are made."""
    return tmp_path / "notes"


def test_each_call_of_a_batch_has_its_own_result_log_and_environment(
    backend: RayBackend, notes: Path
) -> None:
    calls = Calls(backend, notes, "hold")
    calls.assert_they_end_well()
    calls.assert_others_are_unharmed()
    assert [list(job.logs()) for job in calls.jobs[::20]] == [[f"call {n}\n"] for n in range(0, MANY, 20)]


def test_the_variables_and_the_directory_that_a_call_of_a_batch_asks_for_are_its_own(
    backend: RayBackend, tmp_path: Path
) -> None:
    """Those after it are made where others are; a directory that is missing is the failure of the call."""
    plain = backend.run(Call(ray_work.surroundings))
    asking = Call(ray_work.surroundings, env={"ONLY_FOR_THIS": "yes"}, cwd=str(tmp_path))
    failing = Call(ray_work.surroundings, cwd=str(tmp_path / "missing"))
    jobs = backend.run_many([asking, Call(ray_work.surroundings), failing] * (MANY // 3))
    expected = [("yes", str(tmp_path)), plain.result(PATIENCE), FileNotFoundError]
    for number, job in enumerate(jobs):
        error = job.exception(PATIENCE)
        found = type(error) if error is not None else job.result()
        assert found == expected[number % 3], number


def test_a_long_call_holds_up_no_others(backend: RayBackend, notes: Path) -> None:
    """Those before it in the batch are known to have ended, and others make those behind it."""
    calls = Calls(backend, notes, "hold")
    calls.assert_others_are_unharmed()
    calls.until_they_run()
    calls.assert_they_end_well()


def test_a_call_that_takes_its_worker_down_takes_no_other_along(backend: RayBackend, notes: Path) -> None:
    """executorlib#412, PR#721: never submitted twice."""
    calls = Calls(backend, notes, "kill")
    assert {job.outcome(PATIENCE).reason for job in calls.special} == {"signal"}
    calls.assert_others_are_unharmed()


@pytest.mark.parametrize("what", ["hold", "hold on"])
def test_the_cancel_of_some_ends_no_other(make: Make, mode: str, notes: Path, what: str) -> None:
    """qiskit-jku-provider#26, qiskit#638: cancel did nothing, or did not say."""
    calls = Calls(make(mode=mode, batch_duration=PATIENCE, grace=0.5), notes, what)
    while not notes.exists() or not set(SPECIAL) <= set(calls.made()):
        time.sleep(0.01)
    assert all(job.cancel() for job in calls.special)
    assert {job.outcome(PATIENCE).status for job in calls.special} == {JobStatus.CANCELLED}
    calls.assert_others_are_unharmed()


def test_the_walltime_of_each_is_its_own(backend: RayBackend, notes: Path) -> None:
    calls = Calls(backend, notes, "hold", walltime=3)
    assert {job.outcome(PATIENCE).reason for job in calls.special} == {"walltime"}
    calls.assert_others_are_unharmed()


def test_a_cancel_outlives_the_actor_that_was_told_of_it(make: Make, notes: Path) -> None:
    """That actor is started anew where its worker has died, and knows nothing then."""
    import ray

    backend = make(batch_duration=PATIENCE)
    calls = Calls(backend, notes, "hold")
    calls.until_they_run()
    mode: Any = backend._mode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            mode._manager._canceller, "_announce", lambda job_ids: None
        )  # it dies before anybody has asked it
        assert all(job.cancel() for job in calls.special)
    ray.kill(mode._event_actor, no_restart=False)
    assert {job.outcome(PATIENCE).status for job in calls.special} == {JobStatus.CANCELLED}
    calls.assert_others_are_unharmed()


def test_what_is_cancelled_before_it_begins_is_not_made(backend: RayBackend, notes: Path) -> None:
    jobs = backend.map(ray_work.noted, [str(notes)] * 50, range(50), [range(50)] * 50, ["hold"] * 50)
    while not any(job.running() for job in jobs):
        time.sleep(0.01)
    assert all(backend.cancel_many(jobs))
    assert {job.outcome(PATIENCE).status for job in jobs} == {JobStatus.CANCELLED}
    made = notes.read_text().splitlines()
    assert len(made) <= 8, "more than four at a time, and those that got their place as they were cancelled"


def test_cancels_at_any_moment_hit_whom_they_are_meant_for(backend: RayBackend, notes: Path) -> None:
    """No other call is ended, lost or made twice by them."""
    chance = random.Random(6)
    jobs = backend.map(ray_work.brief, [str(notes)] * 600, range(600))
    cancelled: set[int] = set()
    for moment in range(60):
        jobs[9 * moment].outcome(PATIENCE)
        some = chance.sample(range(600), 3)
        accepted = backend.cancel_many([jobs[number] for number in some])
        cancelled.update(number for number, is_accepted in zip(some, accepted, strict=True) if is_accepted)
    assert cancelled
    ends = [job.outcome(PATIENCE).status for job in jobs]
    assert {number for number, end in enumerate(ends) if end is not DONE} == cancelled
    made = Counter(int(line) for line in notes.read_text().splitlines())
    assert set(made.values()) == {1}
    assert set(range(600)) - cancelled <= set(made)


def test_nobody_has_to_share_tasks_or_let_datagrams_through(make: Make, mode: str, notes: Path) -> None:
    backend = make(mode=mode, batch_duration=0, direct=False)
    jobs = backend.map(ray_work.noted, [str(notes)] * 30, range(30), [()] * 30, [""] * 30)
    assert [job.result(PATIENCE) for job in jobs] == [job.job_id() for job in jobs]
    assert len({line.split()[1] for line in notes.read_text().splitlines()}) == 30
    assert backend.run(Call(abs, (-1,))).result(PATIENCE) == 1


def test_programs_that_are_short_are_put_in_batches_too(backend: RayBackend) -> None:
    jobs = backend.run_many([Command(["sh", "-c", f"echo {number}; exit {number}"]) for number in range(60)])
    outcomes = [job.outcome(PATIENCE) for job in jobs]
    assert [outcome.exit_code for outcome in outcomes] == list(range(60))
    assert [list(job.logs()) for job in jobs] == [[f"{number}\n"] for number in range(60)]


def test_a_large_value_among_small_ones_is_whole(backend: RayBackend) -> None:
    jobs = backend.map(ray_work.now_and_then_large, range(100))
    assert [len(job.result(PATIENCE)) for job in jobs] == [10, *[10] * 8, 1_000_000] * 10


def test_workers_that_die_again_and_again_take_only_their_own_calls(backend: RayBackend, notes: Path) -> None:
    """executorlib#412, PR#721: never submitted twice."""
    numbers = range(200)
    deadly = (40, 90, 91, 92, 140, 190)
    jobs = backend.map(ray_work.noted, [str(notes)] * 200, numbers, [deadly] * 200, ["kill"] * 200)
    ends = [job.outcome(PATIENCE) for job in jobs]
    assert tuple(number for number, end in enumerate(ends) if end.status is not DONE) == deadly
    assert {ends[number].reason for number in deadly} == {"signal"}
    assert sorted(int(line.split()[0]) for line in notes.read_text().splitlines()) == list(numbers)
