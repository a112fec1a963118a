"""Jobs that start after others on engines that do not read the ledger: a releaser hands them over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dying_backend import STEPS
from support.several_engines import World, several_engines
from support.waiting import wait_until

import anyjob
from anyjob import Command, DependencyFailedError, JobStatus
from anyjob.builtin.local.locks import lock_holder

LIMIT = 60.0


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with several_engines(tmp_path, monkeypatch) as made:
        yield made


def have_run(world: World, *names: str) -> None:
    """Wait until these have run, one after the other; nobody asks for any of them."""
    wait_until(lambda: world.runs() == [*names], f"{names} have run", LIMIT)


def test_what_waits_for_a_job_of_local_is_handed_to_another_engine(world: World) -> None:
    first = anyjob.run(world.work("fit", gated=True), backend="local", name="fit")
    behind = anyjob.run(world.work("evaluate"), backend="right", after=first)
    never = anyjob.run(world.work("mend"), backend="right", after_failure=[first])
    last = anyjob.run(world.work("report"), backend="local", after_end=[behind, never])
    assert behind.status() is last.status() is JobStatus.QUEUED
    assert behind.metadata()["message"] == f"waits for {first.job_id()[:7]} (fit)"
    assert behind.native_id() is None
    assert anyjob.get_job(behind.job_id()).status() is JobStatus.QUEUED
    world.gate.touch()
    assert last.result(LIMIT).exit_code == 0
    assert behind.result(LIMIT).exit_code == 0
    assert behind.native_id() == f"right-{behind.job_id()}"
    with pytest.raises(DependencyFailedError, match=f"job {first.job_id()} .fit. has succeeded") as caught:
        never.result(LIMIT)
    assert caught.value.prerequisite == first.job_id()
    assert world.runs() == ["fit", "evaluate", "report"]
    environments = world.state / "env"
    wait_until(lambda: not any(environments.iterdir()), "no environment is kept of what has ended")


def test_what_has_ended_before_counts_at_once(world: World) -> None:
    first = anyjob.run(world.work("fit", 3), backend="right")
    first.exception(LIMIT)
    behind = anyjob.run(world.work("mend"), backend="right", after_failure=first)
    assert behind.native_id() is not None, "it is handed over as any other job"
    assert behind.result(LIMIT).exit_code == 0
    never = anyjob.run(world.work("evaluate"), backend="right", after=first)
    assert isinstance(never.exception(LIMIT), DependencyFailedError)
    assert never.native_id() is None
    assert world.runs() == ["fit", "mend"]


def test_a_bulk_of_an_engine_waits_for_another(world: World) -> None:
    fits = anyjob.get_backend("right").run_many([world.work(f"fit-{i}") for i in range(3)])
    checks = anyjob.get_backend("right").run_many(
        [world.work(f"check-{i}") for i in range(3)], after=lambda index: fits[index]
    )
    report = anyjob.run(world.work("report"), backend="right", after=checks)
    assert report.result(LIMIT).exit_code == 0
    assert world.runs()[-1] == "report"
    assert sorted(world.runs()) == sorted(
        [f"{n}-{i}" for n in ("fit", "check") for i in range(3)] + ["report"]
    )


def test_what_waits_is_cancelled_and_so_is_what_is_behind_it(world: World) -> None:
    first = anyjob.run(world.work("fit", gated=True), backend="right")
    behind = anyjob.run(world.work("evaluate"), backend="right", after=first)
    last = anyjob.run(world.work("report"), backend="local", after=behind)
    assert behind.cancel()
    assert behind.status() is JobStatus.CANCELLED
    assert isinstance(last.exception(LIMIT), DependencyFailedError)
    world.gate.touch()
    assert first.result(LIMIT).exit_code == 0
    assert world.runs() == ["fit"]
    assert not behind.cancel(), "it has ended"


def test_the_submitters_surroundings_are_found_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job gets of who submitted it, it gets when that is gone, too; the file of it is private."""
    monkeypatch.setenv("SEED", "a\nb")
    monkeypatch.chdir(world.root)
    first = anyjob.run(world.work("fit", gated=True), backend="local")
    behind = anyjob.run(Command(["sh", "-c", 'echo "$SEED"; pwd']), backend="right", after=first)
    modes = {path.stat().st_mode & 0o777 for path in (world.state / "env").iterdir()}
    assert modes == {0o600}
    monkeypatch.setenv("SEED", "other")
    world.gate.touch()
    assert behind.result(LIMIT).stdout.text() == f"a\nb\n{world.root}\n"


def test_a_client_that_was_killed_is_not_needed(world: World) -> None:
    world.client(
        """
first = run(work("fit", gated), backend="right", name="fit")
behind = run(work("evaluate"), backend="local", after=first, name="evaluate")
last = run(work("report"), backend="right", after=behind, name="report")
"""
    )
    (report,) = world.session.ledger.select(name="report")
    assert report.status is JobStatus.QUEUED
    world.gate.touch()
    have_run(world, "fit", "evaluate", "report")


def test_no_backend_local_need_be_configured(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJOB_BACKEND", "right")
    first = anyjob.run(world.work("fit"))
    behind = anyjob.run(world.work("evaluate"), after=first)
    assert behind.result(LIMIT).exit_code == 0
    assert {row.type for row in world.session.ledger.backend_rows().values()} == {"right"}


def test_an_engine_that_is_away_is_tried_again(world: World) -> None:
    first = anyjob.run(world.work("fit", gated=True), backend="local")
    behind = anyjob.run(world.work("evaluate"), backend="right", after=first)
    with world.engine.down():
        world.gate.touch()
        first.result(LIMIT)
        errors = world.paths.logs / "releaser.err"
        wait_until(lambda: errors.exists() and "tried again" in errors.read_text(), "it was tried", LIMIT)
    assert behind.result(LIMIT).exit_code == 0
    assert world.runs() == ["fit", "evaluate"]


def test_what_the_engine_does_not_take_is_rejected(world: World) -> None:
    first = anyjob.run(world.work("fit", gated=True), backend="local")
    behind = anyjob.run(world.work("evaluate"), backend="right", after=first)
    last = anyjob.run(world.work("report"), backend="local", after_failure=behind)
    world.engine.reject_next()
    world.gate.touch()
    assert last.result(LIMIT).exit_code == 0
    assert behind.outcome(LIMIT).reason == "rejected"


@pytest.mark.parametrize("step", STEPS)
def test_a_releaser_that_is_killed_while_it_hands_over_does_so_once(world: World, step: str) -> None:
    first = anyjob.run(world.work("fit", gated=True), backend="local")
    behind = anyjob.run(world.work("evaluate"), backend="dying", after=first)
    mark = world.engine.directory / f"die-{step}"
    mark.touch()
    world.gate.touch()
    assert behind.result(LIMIT).exit_code == 0
    assert not mark.exists(), "it was killed"
    assert world.runs() == ["fit", "evaluate"]


def test_all_that_is_ours_may_be_killed(world: World) -> None:
    """The next who asks goes on: nothing runs twice, and nothing is forgotten."""
    first = anyjob.run(world.work("fit", gated=True), backend="right")
    middle = anyjob.run(world.work("evaluate"), backend="local", after=first)
    last = anyjob.run(world.work("report"), backend="right", after=middle)
    wait_until(world.releasers, "somebody watches the first", LIMIT)
    world.kill_all()
    world.gate.touch()
    assert last.result(LIMIT).exit_code == 0
    assert world.runs() == ["fit", "evaluate", "report"]


def test_who_only_waits_has_all_of_it_go_on(world: World) -> None:
    """As when the machine was started anew: nobody else is there."""
    first = anyjob.run(world.work("fit", gated=True), backend="right")
    last = anyjob.run(world.work("report"), backend="right", after=first).job_id()
    world.session.close()
    world.kill_all()
    world.gate.touch()
    anyjob.set_default_session(None)
    assert anyjob.get_job(last).result(LIMIT).exit_code == 0
    assert world.runs() == ["fit", "report"]


def test_supervisor_and_releaser_start_each_other_anew(world: World) -> None:
    first = anyjob.run(world.work("fit", gated=True), backend="right")
    behind = anyjob.run(world.work("evaluate"), backend="right", after=first)
    behind_id = behind.job_id()
    world.session.close()
    (releaser,) = wait_until(world.releasers, "there is a releaser", LIMIT)
    supervisor = lock_holder(world.paths.supervisor_lock)
    world.kill(supervisor)
    lock = world.paths.supervisor_lock
    wait_until(lambda: lock_holder(lock) not in (None, supervisor), "the releaser sees to it", LIMIT)
    assert world.releasers() == [releaser]
    world.kill(releaser)
    wait_until(lambda: world.releasers() not in ([], [releaser]), "there is another releaser", LIMIT)
    world.gate.touch()
    have_run(world, "fit", "evaluate")
    anyjob.set_default_session(None)
    assert anyjob.get_job(behind_id).result(LIMIT).exit_code == 0
