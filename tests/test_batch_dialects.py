"""The base for batch schedulers, on one that there is not: its dialect is that of the documentation."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import acme_kelp
import pytest
from acme_kelp import KelpBackend
from support import kelp
from support.manual_clock import ManualClock
from support.waiting import wait_until

from anyjob import (
    BackendError,
    BackendUnavailableError,
    Call,
    Command,
    JobRejectedError,
    JobStatus,
    Registry,
    Resources,
    UnsupportedSpecError,
)
from anyjob.batch.programs import Budget
from anyjob.batch.queue import Listing
from anyjob.batch.script import in_common
from anyjob.sdk import BatchBackend, Row
from anyjob.testing.commands.listing_check import wrong_with_listing

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how-to" / "write-a-dialect.md"
PATIENCE = 60.0
Make = Callable[..., BatchBackend]


def test_the_page_shows_the_dialect_that_is_tested() -> None:
    match = re.search(r"<!-- file: acme_kelp.py -->\n```python\n(.*?)```\n", PAGE.read_text(), re.DOTALL)
    assert match is not None
    assert match[1] == Path(acme_kelp.__file__).read_text()


@pytest.fixture
def sea(tmp_path: Path) -> Path:
    """Kelp, with its jobs here, and its programs in ``kelp`` beside that."""
    kelp.install_kelp(tmp_path / "kelp", tmp_path / "sea")
    return tmp_path / "sea"


@pytest.fixture
def make(
    sea: Path, tmp_path: Path, isolated_registry: Registry, anyjob_backend: Make
) -> Iterator[Callable[..., BatchBackend]]:
    """Gives backends on Kelp, with these options; jobs that are left are cancelled."""
    isolated_registry.register_backend("kelp", KelpBackend)
    made: list[BatchBackend] = []

    def make_backend(**options: Any) -> BatchBackend:
        said = {"spool": str(tmp_path / "spool"), "programs": str(tmp_path / "kelp"), "patience": 1.0}
        made.append(anyjob_backend("kelp", **{**said, **options}))
        return made[-1]

    yield make_backend
    for backend in made:
        backend.cancel_many(backend.jobs())


def test_a_scheduler_that_runs_scripts_by_sh_has_jobs_of_the_same_kind(
    make: Make, sea: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where that is no bash they ran without the variables of their caller, and nobody was told."""
    (sea / "sh").touch()
    monkeypatch.setenv("MINE", "a 'b'")
    jobs = make().run_many([Command(["sh", "-c", 'echo "$MINE"'])] * 2)
    assert [job.result(PATIENCE).stdout.text() for job in jobs] == ["a 'b'\n"] * 2


def test_jobs_whose_submitting_program_was_killed_are_looked_for(make: Make, tmp_path: Path) -> None:
    """They were told as refused, and ran."""
    kput = tmp_path / "kelp" / "kput"
    taking = kput.rename(kput.with_name("taking"))
    kput.write_text(f'#!/bin/sh\n{taking} "$@" > /dev/null; kill -KILL $$\n')
    kput.chmod(0o755)
    job = make().run(Command(["echo", "ran"]))
    assert job.result(PATIENCE).stdout.text() == "ran\n"


def test_a_bulk_is_an_array_and_each_says_how_it_has_ended(make: Make) -> None:
    jobs = make().run_many([Command(["sh", "-c", f"echo {number}; exit {number}"]) for number in range(4)])
    outcomes = [job.outcome(PATIENCE) for job in jobs]
    assert [outcome.exit_code for outcome in outcomes] == [0, 1, 2, 3]
    assert [job.native_id() for job in jobs] == ["k1/1", "k1/2", "k1/3", "k1/4"]
    assert "".join("".join(job.logs()) for job in jobs) == "0\n1\n2\n3\n"
    assert make().run(Call(pow, (2, 10))).result(PATIENCE) == 1024


def test_jobs_of_different_names_and_tags_are_one_array(make: Make) -> None:
    backend = make()
    jobs = backend.run_many(
        [Command(["true"])] * 4,
        name=[f"fit-{n}" for n in range(3)] + ["wide"],
        tags=lambda n: {"study": "a", "seed": str(n)},
        cpus=[None, None, None, 2],
    )
    assert {job.native_id() for job in jobs[:3]} == {"k1/1", "k1/2", "k1/3"}
    assert jobs[3].native_id() == "k2"
    listed = {row.job: row.name for row in backend.words.listed(backend._programs.query(["kls"]))}
    assert listed.get("k1", "fit.").startswith("fit.")
    assert [job.metadata()["name"] for job in jobs] == ["fit-0", "fit-1", "fit-2", "wide"]
    assert jobs[2].metadata()["tags"] == {"study": "a", "seed": "2"}
    assert {job.outcome(PATIENCE).status for job in jobs} == {JobStatus.DONE}


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["fit", "fit"], "fit"),
        (["fit-10", "fit-11", "fit-2"], "fit"),
        (["run_1.5", "run_1.25"], "run"),
        (["a", "b"], ""),
        (["é1", "é2"], "é"),
    ],
)
def test_an_array_is_called_by_what_the_names_of_its_jobs_begin_with(names: list[str], called: str) -> None:
    common = in_common([Resources(name=name, tags={"x": "1", "name": name}, cpus=2) for name in names])
    assert (common.name, common.cpus) == (called, 2)
    assert common.tags == {"x": "1", **({"name": names[0]} if len(set(names)) == 1 else {})}


def test_a_cancel_reaches_all_and_is_refused_for_what_has_gone(make: Make) -> None:
    backend = make()
    jobs = backend.run_many([Command(["sleep", "100"])] * 3)
    wait_until(lambda: all(job.running() for job in jobs))
    assert backend.cancel_many(jobs[:2]) == [True, True]
    assert {job.outcome(PATIENCE).status for job in jobs[:2]} == {JobStatus.CANCELLED}
    assert jobs[2].running()
    ticket = jobs[0]._record.ticket()
    assert backend.terminate([ticket]) == {ticket.job_id: False}


def test_short_jobs_share_an_allocation_and_each_is_its_own(make: Make, sea: Path) -> None:
    backend = make(pack=4)
    jobs = backend.run_many([Command(["sh", "-c", f"echo {n}; exit {n % 3}"]) for n in range(10)])
    outcomes = [job.outcome(PATIENCE) for job in jobs]
    assert [outcome.exit_code for outcome in outcomes] == [n % 3 for n in range(10)]
    assert ["".join(job.logs()) for job in jobs] == [f"{n}\n" for n in range(10)]
    assert [job.native_id() for job in jobs] == ["k1/1"] * 4 + ["k1/2"] * 4 + ["k1/3"] * 2
    calls = make(pack=8).map(lambda n: (os.getpid(), n), range(5))
    assert [job.result(PATIENCE)[1] for job in calls] == [0, 1, 2, 3, 4]
    assert len({job.result()[0] for job in calls}) == 5
    assert {job.native_id() for job in calls} == {"k2"}


def test_one_of_several_in_an_allocation_is_cancelled_and_the_others_go_on(
    make: Make, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    wait = f"while [ ! -e {go} ]; do sleep 0.1; done"
    backend = make(pack=4)
    jobs = backend.run_many(
        [Command(["sh", "-c", each]) for each in ("sleep 100", wait, "true", "echo last")]
    )
    wait_until(jobs[0].running)
    assert jobs[3].status() is JobStatus.QUEUED
    assert backend.cancel_many([jobs[0], jobs[2]]) == [True, True]
    assert {jobs[n].outcome(PATIENCE).status for n in (0, 2)} == {JobStatus.CANCELLED}
    wait_until(jobs[1].running)
    go.touch()
    assert jobs[3].result(PATIENCE).stdout.text() == "last\n"
    assert jobs[1].outcome(PATIENCE).status is JobStatus.DONE
    left = backend.run_many([Command(["sleep", "100"])] * 3)
    wait_until(left[0].running)
    assert backend.cancel_many(left) == [True] * 3
    assert {job.outcome(PATIENCE).status for job in left} == {JobStatus.CANCELLED}


def test_what_may_be_started_anew_shares_no_allocation(make: Make) -> None:
    kelp = make(pack=4)
    kelp.requeues = True
    with pytest.raises(JobRejectedError, match="pack: one of several"):
        kelp.run(Command(["true"]), walltime=5, on_walltime="requeue")


def test_an_outage_ends_nothing(make: Make, sea: Path) -> None:
    backend = make()
    job = backend.run(Command(["sleep", "2"]))
    (sea / "away").touch()
    with pytest.raises(BackendUnavailableError, match="`kput` of Kelp has failed: kput: the sea is out"):
        backend.run(Command(["true"]))
    assert not backend.status().operational
    (sea / "away").unlink()
    assert job.outcome(PATIENCE).status is JobStatus.DONE


@pytest.mark.parametrize("code", [0, 1])
def test_a_cancel_that_has_not_reached_the_scheduler_is_an_outage_whatever_it_ends_with(
    make: Make, tmp_path: Path, code: int
) -> None:
    """Slurm's ``scancel`` ends with 0 where the name of the controller is not known."""
    backend = make()
    job = backend.run(Command(["sleep", "100"]))
    program = tmp_path / "kelp" / "kcut"
    right = program.read_text()
    program.write_text(f"#!/bin/sh\necho kcut: the sea is out >&2\nexit {code}\n")
    with pytest.raises(BackendUnavailableError, match="`kcut` of Kelp has failed: kcut: the sea is out"):
        backend.terminate([job._record.ticket()])
    program.write_text(right)
    assert job.cancel()
    assert job.outcome(PATIENCE).status is JobStatus.CANCELLED


def test_a_job_whose_answer_was_lost_is_found_by_its_name(make: Make, tmp_path: Path) -> None:
    program = tmp_path / "kelp" / "kput"
    program.write_text(program.read_text().replace("exec ", "").rstrip() + " > /dev/null\n")
    with pytest.warns(RuntimeWarning, match=r"prints, '', is not understood: there is no id in it"):
        job = make().run(Command(["echo", "once"]))
    assert job.native_id() is None
    assert job.result(PATIENCE).stdout.text() == "once\n"
    assert job.native_id() == "k1"


def test_without_a_history_what_was_seen_on_the_node_is_the_end(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KelpBackend.dialect, "history", lambda jobs, user, since: None)
    outcome = make().run(Command(["sh", "-c", "kill -9 $$"])).outcome(PATIENCE)
    assert (outcome.status, outcome.reason, outcome.signal) == (JobStatus.ERROR, "signal", 9)


def test_a_row_is_believed_by_its_id_where_it_tells_no_name() -> None:
    ours, name = "0" * 20, f"anyjob-{'0' * 20}"
    rows = [Row(job, JobStatus.RUNNING, name=told) for job, told in (("1", ""), ("2", name), ("3", "theirs"))]
    listing = Listing(KelpBackend.dialect, rows)
    assert [listing.get(job, ours) is not None for job in ("1", "2", "3")] == [True, True, False]


def test_what_a_dialect_refuses_is_rejected_in_its_words(make: Make) -> None:
    with pytest.raises(JobRejectedError, match="there are no GPUs in the sea"):
        make().run(Command(["true"]), gpus=1)
    with pytest.raises(JobRejectedError, match="what is --deep"):
        make(extra=["--deep", "1"]).run(Command(["true"]))


def test_what_can_be_no_array_is_submitted_one_by_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KelpBackend.dialect, "arrays", lambda options: options.pack > 1, raising=False)
    backend = make()
    assert [job.native_id() for job in backend.run_many([Command(["true"])] * 2)] == ["k1", "k2"]
    together = backend.run_many([Command(["true"])] * 2, options={"kelp": {"pack": 2}})
    assert [job.native_id() for job in together] == ["k3", "k3"]


def test_a_job_of_which_the_scheduler_has_dropped_the_cancel_does_not_start(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Seen on Grid Engine: what was deleted while it was being started ran to its end."""
    monkeypatch.setattr(KelpBackend.dialect, "may_miss_cancel", True)
    backend = make(setup=[f"while [[ ! -e {tmp_path}/go ]]; do sleep 0.05; done"])
    job = backend.run(Command(["touch", str(tmp_path / "ran")]))
    program = tmp_path / "kelp" / "kcut"
    program.unlink()
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    assert job.cancel() is True
    (tmp_path / "go").touch()
    assert job.outcome(PATIENCE).status is JobStatus.CANCELLED
    assert not (tmp_path / "ran").exists()


def test_a_throttle_is_refused_where_the_scheduler_knows_none(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(JobRejectedError, match="throttle: Kelp cannot be told how many tasks of an array"):
        make().run(Command(["true"]), options={"kelp": {"throttle": 2}})
    with pytest.raises(UnsupportedSpecError, match="how many jobs of a name run at a time; `local` can"):
        make().run(Command(["true"]), name="fit", limit=3)
    monkeypatch.setattr(KelpBackend.dialect, "throttles", True)
    with pytest.raises(UnsupportedSpecError, match=r'with options=\{"kelp": \{"throttle": 3\}\}'):
        make().run(Command(["true"]), name="fit", limit=3)


def test_submissions_wait_where_there_were_too_many_in_a_minute() -> None:
    clock = ManualClock()
    budget = Budget(clock.monotonic, clock.wait)
    for _ in range(3):
        clock.now += 10
        budget.take(3)
    assert clock.waits == []
    budget.take(3)
    assert clock.waits == [40]
    budget.take(4)  # another backend of the same cluster may have more
    assert clock.waits == [40]
    budget.take(3)
    assert clock.waits == [40, 20]


def test_a_budget_is_of_a_cluster_and_holds_for_what_is_submitted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(Budget, "take", lambda self, most: asked.append(most))
    one, other = make(submissions_per_minute=7), make(submissions_per_minute=8)
    jobs = [
        one.run(Command(["true"])),
        *one.run_many([Command(["true"])] * 3),
        other.run(Command(["true"])),
        make().run(Command(["true"])),
    ]
    assert asked == [7, 7, 8]
    assert one._queue.submissions is other._queue.submissions
    assert {job.outcome(PATIENCE).status for job in jobs} == {JobStatus.DONE}


def test_a_missing_program_is_told_at_once(make: Make, tmp_path: Path) -> None:
    (tmp_path / "kelp" / "kput").unlink()
    with pytest.raises(BackendError, match="`kput` of Kelp is not in "):
        make().run(Command(["true"]))


def test_a_dialect_that_raises_names_itself(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = make()
    monkeypatch.setattr(type(backend.words), "listed", lambda self, text: 1 / 0)
    told = backend.status().status_msg
    assert "the dialect of Kelp (acme_kelp.Kelp) cannot read what `kls` prints: ZeroDivisionError" in told


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("submit", lambda *_: None, r"gives None in submit\(\): it is to give a program and its arguments"),
        ("submit", lambda *_: ["kput", 3], r"gives \['kput', 3\] in submit"),
        ("submit", lambda *_: "kput", r"gives 'kput' in submit\(\): .* as a list of texts"),
        ("submit", lambda *_: 1 / 0, r"raises in submit\(\): ZeroDivisionError"),
        ("listing", lambda *_: [], r"gives \[\] in listing"),
        ("listed", lambda *_: [("k1", "growing")], r"gives .* in listed\(\): it is to give rows"),
        (
            "listed",
            lambda *_: [Row("k1", cast("Any", "RUNNING"))],
            r"gives .* in listed\(\): it is to give rows, .* a JobStatus",
        ),
        (
            "listed",
            lambda *_: [Row("k1", JobStatus.RUNNING, cast("Any", (1,)))],
            r"gives .* in listed\(\): .* ranges of tasks",
        ),
        ("cancel", lambda *_: 1 / 0, r"raises in cancel\(\): ZeroDivisionError"),
        ("cancelled", lambda *_: None, r"raises in cancelled\(\): TypeError"),
    ],
)
def test_each_fault_of_a_dialect_names_it(
    make: Make, monkeypatch: pytest.MonkeyPatch, name: str, answer: Any, words: str
) -> None:
    """What it raised came through as it was, and what it gave was told as an error of ours."""
    backend = make()

    def use() -> None:
        if name.startswith("list"):
            raise BackendError(backend.status().status_msg)
        backend.run(Command(["sleep", "100"])).cancel()

    with monkeypatch.context() as wrong:
        wrong.setattr(acme_kelp.Kelp, name, answer)
        with pytest.raises(BackendError, match=rf"the dialect of Kelp \(acme_kelp\.Kelp\) {words}"):
            use()


@pytest.mark.parametrize("answer", [lambda *_: 1 / 0, lambda *_: 5, lambda *_: None])
def test_jobs_that_were_taken_are_followed_though_the_dialect_does_not_find_their_ids(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Any
) -> None:
    """They were forgotten, and ran: who submitted them once more had them twice."""
    backend = make()
    monkeypatch.setattr(acme_kelp.Kelp, "submitted", answer)
    with pytest.warns(RuntimeWarning, match="`kput` of Kelp has submitted, .* is not understood"):
        jobs = backend.run_many([Command(["sh", "-c", f"echo ran >> {tmp_path}/runs"])] * 2)
    assert {job.outcome(PATIENCE).status for job in jobs} == {JobStatus.DONE}
    assert (tmp_path / "runs").read_text() == "ran\n" * 2


def test_a_program_that_does_not_answer_and_may_not_be_ended_is_not_waited_for(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OAR's programs have the set-user-ID bit, and wait for its database for as long as that is away."""
    started: list[subprocess.Popen[bytes]] = []

    def refuse(process: subprocess.Popen[bytes]) -> None:
        started.append(process)
        raise PermissionError

    program = tmp_path / "kelp" / "kls"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    with monkeypatch.context() as patched:
        patched.setattr(subprocess.Popen, "kill", refuse)
        told = make(timeout=0.2).status().status_msg
    started[0].kill()
    assert "`kls` of Kelp has not answered within 0.2 s" in told


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        (acme_kelp.Kelp.listed, ""),
        (lambda *_: [], "`kls` has no job k1, which runs"),
        (lambda *_: [Row("k1", JobStatus.RUNNING, name="STDIN")], "`kls` calls job k1 'STDIN', and not by"),
        (lambda *_: [Row("k1", JobStatus.QUEUED)], "`kls` tells that job k1 is QUEUED, after"),
    ],
)
def test_a_listing_that_does_not_have_what_runs_is_told(
    make: Make, monkeypatch: pytest.MonkeyPatch, listed: Any, words: str
) -> None:
    """Short jobs were seen by their files: the check passed, and jobs that waited for long were lost."""
    backend = make()
    submitted: list[Any] = []
    with monkeypatch.context() as changed:
        changed.setattr(acme_kelp.Kelp, "listed", listed)
        found = wrong_with_listing(backend, 3.0 if "after" in words else PATIENCE, submitted)
    assert found.startswith(words) if words else not found
    assert [job.outcome(PATIENCE).status for job in submitted] == [JobStatus.CANCELLED]
