"""Retries on engines that run nothing again by themselves: each attempt is handed over anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from running_local import until
from support.scripted_backends import ScriptedEngine
from support.several_engines import World, several_engines

import anyjob
from anyjob import Command, JobStatus, Outcome, Retry
from anyjob.ledger.reading.attempt_reader import DueAttempt
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.releaser.due_retries import DueRetries


def flaky(world: World, succeeds_at: int) -> Command:
    """A program that notes each of its attempts, and succeeds in one of them."""
    text = f"echo $ANYJOB_ATTEMPT >> '{world.ran}'; echo out $ANYJOB_ATTEMPT; "
    return Command(["sh", "-c", f"{text}[ $ANYJOB_ATTEMPT = {succeeds_at} ] || exit 75"])


def test_an_attempt_that_fails_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        job = anyjob.run(flaky(world, 3), backend="right", retries=Retry(3, wait="0.3s"))
        assert job.result(timeout=60).stdout.text() == "out 3\n"
        assert world.runs() == ["1", "2", "3"]
        found = [(each.number, each.reason, each.exit_code, each.followed_by) for each in job.attempts()]
        assert found == [(1, "exit-code", 75, "retry"), (2, "exit-code", 75, "retry"), (3, None, 0, "")]
        assert [list(job.logs(attempt=n)) for n in (1, 2, 3)] == [["out 1\n"], ["out 2\n"], ["out 3\n"]]
        assert job.outcome().attempt == 3
        assert list(job.logs(follow=True, attempt=1)) == ["out 1\n", "out 2\n", "out 3\n"]
        assert list(job.logs(follow=True, attempt=3)) == ["out 3\n"]
        quick = anyjob.run(flaky(world, 3), backend="right", retries=3)
        assert list(quick.logs(follow=True, attempt=1)) == ["out 1\n", "out 2\n", "out 3\n"]


def test_the_last_word_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        job = anyjob.run(flaky(world, 9), backend="right", retries=1)
        after = anyjob.run(world.work("after"), backend="local", after_failure=job)
        assert job.exception(timeout=60) is not None
        assert after.result(timeout=60) is not None
        assert world.runs() == ["1", "2", "after"]


def test_it_goes_again_when_all_of_ours_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        text = f"{{gated}}echo $ANYJOB_ATTEMPT >> '{world.ran}'; [ $ANYJOB_ATTEMPT = 2 ]"
        world.client(f"run(Command(['sh', '-c', f\"{text}\"]), backend='right', retries=2, name='flaky')")
        world.gate.touch()
        (job,) = anyjob.jobs(name="flaky")
        until(lambda: world.runs() == ["1", "2"])  # nobody waits for it: the releaser sees the end
        assert job.result(timeout=60) is not None
        assert world.runs() == ["1", "2"]


def test_a_cancel_between_two_attempts_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        job = anyjob.run(flaky(world, 9), backend="right", retries=Retry(3, wait="1h"))
        until(lambda: job.status() is JobStatus.QUEUED and len(job.attempts()) == 2)
        until(lambda: job.status() and "attempt 2 of 4, again in" in job.metadata()["message"])
        assert job.cancel()
        assert job.outcome(timeout=60).status is JobStatus.CANCELLED
        assert world.runs() == ["1"]


def test_what_is_cancelled_does_not_go_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        text = f"trap 'exit 75' TERM; echo $ANYJOB_ATTEMPT >> '{world.ran}'; while :; do sleep 0.05; done"
        job = anyjob.run(Command(["sh", "-c", text]), backend="right", retries=3)
        until(lambda: world.runs() == ["1"])
        assert job.cancel()
        assert job.outcome(timeout=60).status is not JobStatus.DONE
        assert world.runs() == ["1"]
        assert len(job.attempts()) == 1


@pytest.mark.parametrize("step", ["launching", "launched", "noted"])
def test_a_releaser_that_is_killed_between_two_attempts_has_each_run_once(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        mark = world.engine.directory / f"die-{step}"
        mark.touch()
        job = anyjob.run(flaky(world, 2), backend="dying", retries=2)
        assert job.result(timeout=60).exit_code == 0
        assert not mark.exists(), "it was killed"
        assert world.runs() == ["1", "2"]
        assert [each.number for each in job.attempts()] == [1, 2]


def test_a_host_leaves_attempts_to_the_host_that_the_job_was_submitted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        text = f"{{gated}}echo $ANYJOB_ATTEMPT >> '{world.ran}'; [ $ANYJOB_ATTEMPT = 2 ]"
        monkeypatch.setenv("ANYJOB_HOST", "alpha")
        world.client(f"run(Command(['sh', '-c', f\"{text}\"]), backend='right', retries=2, name='flaky')")
        monkeypatch.delenv("ANYJOB_HOST")
        (job,) = anyjob.jobs(name="flaky")
        world.gate.touch()
        assert job.result(timeout=60).exit_code == 0  # this host saw an end, too, and that one went on
        assert world.runs() == ["1", "2"]


def test_a_clock_that_is_set_back_parks_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(wall=1000.0, steady=50.0)
    times = SimpleNamespace(time=lambda: clock.wall, monotonic=lambda: clock.steady)
    monkeypatch.setattr("anyjob.releaser.due_retries.time", times)
    begun: list[str] = []
    due = DueAttempt("j", 1, 2, 1010.0, 10.0, 0, b"")
    releases: Any = SimpleNamespace(due_attempts=lambda bulks: [due], begin_attempts=begun.extend)
    attempts = DueRetries(releases)
    assert attempts.begin([1])
    assert attempts.pause == 10.0
    clock.wall, clock.steady = -1e6, 59.5
    assert attempts.begin([1])
    assert attempts.pause == 0.5
    another = DueRetries(releases)  # which reads it when the clock was set back
    another.begin([1])
    assert another.pause == 10.0
    assert begun == []
    clock.steady = 60.0
    assert not attempts.begin([1])
    assert begun == ["j"]


# --- jobs that live and end with this program ---------------------------------------------------------


def failing(engine: ScriptedEngine, native_id: str) -> None:
    engine.outcomes[native_id] = Outcome(status=JobStatus.ERROR, reason="exit-code", exit_code=75)
    engine.say(native_id, JobStatus.ERROR)


def test_this_program_hands_over_each_attempt_under_an_id_of_its_own() -> None:
    engine = ScriptedEngine.make()
    failing(engine, "n0")
    failing(engine, "n1")
    engine.outcomes["n2"] = Outcome(status=JobStatus.DONE)
    engine.say("n2", JobStatus.DONE)
    job = engine.run(abs, 1, retries=Retry(2, grow={"memory": 2}), memory="1GiB")
    assert job.outcome(timeout=60).attempt == 3
    assert [each.followed_by for each in job.attempts()] == ["retry", "retry", ""]
    ids = [order.job_id for order in engine.launched]
    assert ids[0] == job.job_id()
    assert len(set(ids)) == 3
    assert [order.environment["ANYJOB_ATTEMPT"] for order in engine.launched] == ["1", "2", "3"]
    assert {order.environment["ANYJOB_JOB_ID"] for order in engine.launched} == {job.job_id()}
    assert [order.resources.memory for order in engine.launched] == [1 << 30, 2 << 30, 4 << 30]


@pytest.mark.parametrize("question", ["observe", "collect"])
def test_what_was_said_of_an_attempt_is_not_taken_for_the_next_one_that_is_just_handed_over(
    question: str,
) -> None:
    class Slow(ScriptedEngine):
        def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
            said = super().observe(tickets)
            hand_over("observe", said)
            return said

        def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
            said = super().collect(tickets)
            hand_over("collect", said)
            return said

    settled: list[tuple[int, str | None]] = []

    def hand_over(asked: str, said: object) -> None:
        if asked == question and said and record.native_id == "n0":  # a releaser does so in another thread
            record.begins(2, 2)
            record.native_id = "n1"

    def note(outcomes: Mapping[str, Outcome], native_ids: Mapping[str, str | None]) -> Mapping[str, Outcome]:
        settled.extend((outcomes[i].attempt, native_ids[i]) for i in outcomes)
        return {}

    engine = Slow.make()
    engine.say("n1", JobStatus.RUNNING)
    job = engine.run(abs, 1, retries=3)
    record = job._record
    engine.recorder.settled = note  # type: ignore[method-assign]
    engine.recorder.went_back = lambda record: None  # type: ignore[method-assign]
    failing(engine, "n0")
    until(lambda: job.status() and record.native_id != "n0")
    assert settled == ([] if question == "observe" else [(1, "n0")])


def test_an_answer_that_comes_when_the_next_attempt_runs_already_loses_none() -> None:
    engine = ScriptedEngine.make()
    failing(engine, "n0")
    engine.say("n1", JobStatus.RUNNING)
    job = engine.run(abs, 1, retries=3)
    until(lambda: job.status() is JobStatus.RUNNING and len(engine.launched) == 2)
    job._record.deferred, job._record.native_id = True, None  # as it was when that was asked
    until(lambda: job.status() and job._record.native_id == "n1")
    engine.outcomes["n1"] = Outcome(status=JobStatus.DONE)
    engine.say("n1", JobStatus.DONE)
    assert job.outcome(timeout=60).attempt == 2


def test_this_program_gives_up_when_it_was_often_enough() -> None:
    engine = ScriptedEngine.make()
    failing(engine, "n0")
    failing(engine, "n1")
    job = engine.run(abs, 1, retries=1)
    assert job.outcome(timeout=60).exit_code == 75
    assert len(engine.launched) == 2


def test_a_cancel_between_two_attempts_ends_it_here() -> None:
    engine = ScriptedEngine.make()
    failing(engine, "n0")
    job = engine.run(abs, 1, retries=Retry(1, wait="1h"))
    until(lambda: job.status() is JobStatus.QUEUED and "attempt 2 of 2" in job.metadata()["message"])
    assert job.cancel()
    assert job.outcome(timeout=60).status is JobStatus.CANCELLED
    assert len(engine.launched) == 1


def test_what_is_cancelled_while_it_runs_does_not_go_again_here() -> None:
    engine = ScriptedEngine.make()
    engine.say("n0", JobStatus.RUNNING)
    job = engine.run(abs, 1, retries=3)
    until(lambda: job.status() is JobStatus.RUNNING)
    engine.accept_cancel = False
    assert not job.cancel()
    failing(engine, "n0")  # what was not cancelled does
    engine.say("n1", JobStatus.RUNNING)
    until(lambda: job.status() is JobStatus.RUNNING and len(engine.launched) == 2)
    engine.accept_cancel = True
    assert job.cancel()
    failing(engine, "n1")
    assert job.outcome(timeout=60).exit_code == 75
    assert len(engine.launched) == 2


def test_a_cancel_while_the_next_attempt_is_handed_over_reaches_that() -> None:
    began, goes_on = threading.Event(), threading.Event()

    class Slow(ScriptedEngine):
        def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
            if self.launched:
                began.set()
                assert goes_on.wait(60)
            yield from super().launch(orders)

    engine = Slow.make()
    failing(engine, "n0")
    job = engine.run(abs, 1, retries=3)
    until(lambda: job.status() and began.is_set())
    cancelled = job.cancel()
    failing(engine, "n1")
    goes_on.set()
    assert cancelled
    assert job.outcome(timeout=60).exit_code == 75
    until(lambda: len(engine.terminated) == 1)
    assert len(engine.launched) == 2


@pytest.mark.parametrize(("restartable", "launches"), [(False, 1), (True, 2)])
def test_what_was_lost_goes_again_where_it_is_restartable(restartable: bool, launches: int) -> None:
    engine = ScriptedEngine.make()  # it knows of nothing
    job = engine.run(abs, 1, retries=1, restartable=restartable)
    assert job.outcome(timeout=60).reason == "lost"
    assert len(engine.launched) == launches


@pytest.mark.parametrize("reason", ["rejected", "missing-module", "dependency"])
def test_what_another_attempt_would_not_help_is_not_run_again(reason: str) -> None:
    engine = ScriptedEngine.make()
    engine.say("n0", JobStatus.ERROR, reason=reason)
    job = engine.run(abs, 1, retries=3)
    assert job.outcome(timeout=60).reason == reason
    assert len(engine.launched) == 1


def test_closing_the_backend_ends_what_would_go_again() -> None:
    engine = ScriptedEngine.make()
    failing(engine, "n0")
    job = engine.run(abs, 1, retries=Retry(1, wait="1h"))
    until(lambda: job.status() and len(job.attempts()) == 2)
    engine.close()
    assert job.outcome(timeout=60).status is JobStatus.CANCELLED


def test_what_is_forgotten_leaves_no_directory_of_any_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        anyjob.run(flaky(world, 2), backend="right", retries=1).result(timeout=60)
        spool = world.state / "spool"
        assert len(list(spool.glob("*/*"))) == 2
        world.session.prune(older_than=0)
        assert list(spool.glob("*/*")) == []


@pytest.mark.parametrize("killed", ["before", "after"])
def test_an_end_counts_once_though_whoever_writes_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        world.client(
            "from anyjob.ledger.store import Ledger\n"
            "settle = Ledger.settle\n"
            "def settle_and_die(*arguments):\n"
            f"    {killed!r} == 'before' or settle(*arguments)\n"
            "    os.kill(os.getpid(), 9)\n"
            "Ledger.settle = settle_and_die\n"
            f"text = \"echo $ANYJOB_ATTEMPT >> '{world.ran}'; [ $ANYJOB_ATTEMPT = 2 ]\"\n"
            "job = run(Command(['sh', '-c', text]), backend='right', retries=2, name='flaky')\n"
            "run(work('behind'), backend='right', after=job, name='behind')\n"
            "job.outcome(60)\n"
        )
        world.kill_all()
        (job,), (behind,) = anyjob.jobs(name="flaky"), anyjob.jobs(name="behind")
        assert behind.result(timeout=60) is not None
        assert world.runs() == ["1", "2", "behind"]
        assert [each.followed_by for each in job.attempts()] == ["retry", ""]


def test_what_is_run_anew_with_what_follows_it_may_be_on_several_backends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with several_engines(tmp_path, monkeypatch) as world:
        text = f"[ -e '{world.gate}' ] && echo fit $ANYJOB_ATTEMPT >> '{world.ran}'"
        fit = anyjob.run(Command(["sh", "-c", text]), backend="right", retries=1)
        evaluate = anyjob.run(world.work("evaluate"), backend="local", after=fit)
        report = anyjob.run(world.work("report"), backend="right", after=evaluate)
        assert report.outcome(timeout=60).reason == "dependency"
        world.gate.touch()
        anew = anyjob.rerun([fit], downstream=True)
        assert [str(job.backend()) for job in anew] == ["right", "local", "right"]
        assert anew[-1].result(timeout=60) is not None
        assert world.runs() == ["fit 1", "evaluate", "report"]
