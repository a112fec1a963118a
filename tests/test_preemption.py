"""Jobs that are told before their walltime, and go on in another attempt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from preempted_calls import Counter, Forgetful, RankCounter, noting
from running_local import running

from anyjob import Command, JobStatus, Resources, SpecError


def test_a_program_is_told_before_its_walltime(tmp_path: Path) -> None:
    """submitit#1732, torchx#394: of commands, too."""
    with running(tmp_path) as local:
        script = 'trap "echo told; exit 0" USR1; while true; do sleep 0.05; done'
        job = local.backend.run(Command(["sh", "-c", script]), walltime=60, signal_before=57, signal="USR1")
        assert job.result(timeout=60).stdout.text() == "told\n"


def test_a_program_that_ends_by_that_has_reached_its_walltime_and_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        script = '[ "$ANYJOB_ATTEMPT" = 2 ] && exit 0; trap "echo saved > $ANYJOB_SCRATCH/x; exit 1" TERM;'
        script += " while true; do sleep 0.05; done"
        job = local.backend.run(
            Command(["sh", "-c", script]), walltime=60, signal_before=57, on_walltime="requeue"
        )
        assert job.result(timeout=60).exit_code == 0
        first, second = job.attempts()
        assert (first.reason, first.followed_by, second.status) == ("walltime", "requeue", JobStatus.DONE)
        assert (Path(job._record.spool) / "scratch" / "x").read_text() == "saved\n"


def test_a_call_is_told_by_an_exception(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        told = tmp_path / "told"
        job = local.backend.run(noting, str(told), walltime=60, signal_before=57)
        assert job.outcome(timeout=60).reason == "walltime"
        assert told.read_text() == "told"


@pytest.mark.parametrize("isolation", ["fork", "reuse"])
def test_what_a_checkpoint_gives_goes_on(tmp_path: Path, isolation: str) -> None:
    """submitit#1732, lightning#15022: a call goes on with what it has got so far."""
    with running(tmp_path, isolation=isolation) as local:
        job = local.backend.run(Counter(), 3, walltime=60, signal_before=58, on_walltime="requeue")
        counted, attempts = job.result(timeout=90)
        assert attempts == 3
        assert counted > 1
        assert [each.followed_by for each in job.attempts()] == ["requeue", "requeue", ""]


def test_a_checkpoint_that_fails_is_what_came_of_the_call(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        job = local.backend.run(Forgetful(), 3, walltime=60, signal_before=58, on_walltime="requeue")
        with pytest.raises(ValueError, match="nothing to go on with"):
            job.result(timeout=60)


def test_what_the_checkpoints_of_tasks_give_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        job = local.backend.run(
            RankCounter(), 3, tasks=2, walltime=60, signal_before=57, on_walltime="requeue"
        )
        (counted, attempts), ended = job.result(timeout=90)
        assert ended == (-1, 1)  # it was not called again
        assert attempts == 3
        assert counted > 2_000
        assert [each.reason for each in job.attempts()] == ["walltime", "walltime", None]


def test_a_checkpoint_of_a_task_that_fails_is_what_came_of_the_call(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        job = local.backend.run(Forgetful(), 3, tasks=2, walltime=60, signal_before=57, on_walltime="requeue")
        with pytest.raises(ValueError, match="nothing to go on with"):
            job.result(timeout=60)


def test_calls_of_several_tasks_are_told_by_an_exception(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        told = tmp_path / "told"
        job = local.backend.run(noting, str(told), tasks=2, walltime=60, signal_before=57)
        assert job.outcome(timeout=60).reason == "walltime"
        assert told.read_text() == "told"


@pytest.mark.parametrize("name", ["USR1", "TERM"])
def test_programs_of_several_tasks_are_told_each(tmp_path: Path, name: str) -> None:
    """One that has saved does not end those that still do, and where all have ended well, so has the job."""
    with running(tmp_path) as local:
        script = f'cd "$ANYJOB_SPOOL"; trap "told=1" {name}; until [ "$told" ]; do sleep 0.05; done; '
        script += '[ $ANYJOB_RANK = 0 ] && { touch first; exit "$CODE"; }; '
        script += "until [ -e first ]; do sleep 0.05; done; sleep 0.1; echo saved"
        for code in (3, 0):
            command = Command(["sh", "-c", script], env={"CODE": str(code)})
            job = local.backend.run(command, tasks=2, walltime=60, signal_before=57, signal=name)
            assert job.outcome(timeout=60).reason == (None if code == 0 else "walltime")
            assert list(job.logs()) == ["saved\n"]


@pytest.mark.parametrize(
    "given",
    [
        {"signal_before": 5},
        {"signal_before": 60, "walltime": 60},
        {"signal_before": -1, "walltime": 60},
        {"signal_before": 1, "walltime": 60, "signal": "KILL"},
        {"signal": "USR1", "walltime": 60},
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="signal"):
        Resources(**given)


def test_a_time_before_the_walltime_is_told_apart_from_none() -> None:
    with pytest.raises(SpecError, match="signal_before is for a job with a walltime"):
        Resources(signal_before=5)
    with pytest.raises(SpecError, match="signal_before has to be less than the walltime"):
        Resources(signal_before=60, walltime=60)
