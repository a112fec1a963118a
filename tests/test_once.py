"""Work that is to be done once: ``once=``, on `local`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from once_calls import append, large
from running_local import Local, running, until

from anyjob import Call, Command, File, JobStatus
from anyjob.errors import SpecError, UnsupportedSpecError
from anyjob.spool import job_spool

DAY = 86_400.0


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with running(tmp_path_factory.mktemp("local"), isolation="reuse") as made:
            yield made


def count(path: Path) -> int:
    """How often jobs of `noted` have run."""
    return len(path.read_text().split()) if path.exists() else 0


def noted(path: Path, end: str = "true") -> Command:
    return Command(["sh", "-c", f"echo x >> '{path}'; {end}"])


def test_what_is_done_is_not_done_again(local: Local, tmp_path: Path) -> None:
    work = noted(tmp_path / "ran")
    first = local.backend.run(work, once="a")
    first.result(30)
    again = local.backend.run(noted(tmp_path / "ran"), once="a")
    assert again == first
    assert again.done()
    assert local.another().get_backend("local").run(work, once="a") == first
    assert local.backend.run(work, once="b") != first
    assert local.backend.run(work, once="a", version="2") != first
    assert local.backend.run(work) != first
    until(lambda: count(tmp_path / "ran") == 4, "the others have run")


def test_what_runs_is_joined(local: Local, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    work = Command(["cat", str(tmp_path / "gate")])
    first = local.backend.run(work, once="joined")
    with local.another() as other:
        second = other.get_backend("local").run(work, once="joined")
        assert second.job_id() == first.job_id()
        (tmp_path / "gate").write_text("hello")
        assert second.result(30).stdout.text() == "hello"


@pytest.mark.parametrize("end", ["exit 3", "sleep 600"])
def test_what_failed_or_was_cancelled_is_run_anew_and_superseded(
    local: Local, tmp_path: Path, end: str
) -> None:
    ran = tmp_path / "ran"
    work = noted(ran, f"[ -e '{tmp_path}/fixed' ] || {end}")
    called = f"anew-{end[:4]}"
    first = local.backend.run(work, once="anew", name=called)
    until(lambda: count(ran) == 1, "it has begun")
    first.cancel()
    first.wait_for_final_state(30)
    (tmp_path / "fixed").touch()
    second = local.backend.run(work, once="anew", name=called)
    assert second.outcome(30).status is JobStatus.DONE
    assert local.session.jobs(name=called) == [second]
    assert local.session.jobs(name=called, superseded=True) == [first, second]
    assert local.backend.run(work, once="anew") == second
    assert count(ran) == 2


def test_a_job_that_is_run_anew_by_hand_takes_the_place_of_the_first(local: Local, tmp_path: Path) -> None:
    first = local.backend.run(noted(tmp_path / "ran"), once="hand")
    first.result(30)
    (second,) = local.session.rerun([first])
    second.result(30)
    assert local.backend.run(noted(tmp_path / "ran"), once="hand") == second


def test_a_map_returns_all_in_order_and_submits_what_is_missing(local: Local, tmp_path: Path) -> None:
    ran = str(tmp_path / "ran")
    some = local.backend.map(append, [ran] * 7, range(7), once="map")
    jobs = local.backend.map(append, [ran] * 10, range(10), once="map", name="more")
    assert [job.result(30) for job in jobs] == [item * 10 for item in range(10)]
    assert jobs[:7] == some
    assert local.session.jobs(name="more") == jobs[7:]
    mixed = local.backend.map(append, [ran] * 4, [9, 3, 9, 50], once="map", priority=[0, 1, 2, 3])
    assert mixed[:3] == [jobs[9], jobs[3], jobs[9]]
    assert mixed[3].result(30) == 500
    assert count(tmp_path / "ran") == 11


def test_the_same_item_twice_is_done_once(local: Local, tmp_path: Path) -> None:
    jobs = local.backend.map(append, [str(tmp_path / "ran")] * 3, [1, 1, 2], once="twice")
    assert jobs[0] == jobs[1] != jobs[2]
    assert [job.result(30) for job in jobs] == [10, 10, 20]
    assert count(tmp_path / "ran") == 2


def test_what_a_file_holds_counts_and_not_where_it_lies(local: Local, tmp_path: Path) -> None:
    def run(name: str) -> Any:
        return local.backend.run(Command(["cat"], stdin=File(str(tmp_path / name))), once="file")

    for name, text in (("one", "x"), ("same", "x"), ("other", "y")):
        (tmp_path / name).write_text(text)
    assert run("one") == run("same") != run("other")


def test_age_bounds_what_counts(local: Local) -> None:
    first = local.backend.run(Command(["true"]), once="age")
    first.result(30)
    assert local.backend.run(Command(["true"]), once="age", cache="7d") == first
    local.session.ledger.file.write(
        lambda db: db.execute("UPDATE jobs SET outcome = NULL, finished = finished - ?", (8 * DAY,))
    )
    with local.another() as session:
        backend = session.get_backend("local")
        assert backend.run(Command(["true"]), once="age").job_id() == first.job_id()
        second = backend.run(Command(["true"]), once="age", cache="7d")
        assert second.job_id() != first.job_id()
        assert session.ledger.superseded_by([first.job_id()]) == {first.job_id(): second.job_id()}


def test_what_is_done_and_gone_is_done_anew_and_said(local: Local, caplog: pytest.LogCaptureFixture) -> None:
    first = local.backend.run(large, 3_000_000, once="gone")
    first.result(60)
    for path in (local.state / "spool").rglob("outcome.pkl"):
        path.unlink()
    second = local.backend.run(large, 3_000_000, once="gone")
    assert second != first
    assert len(second.result(60)) == 3_000_000
    told = "1 pieces of work of 'gone' were done before, and what came of them is not there any more"
    assert told in caplog.text


def test_what_was_pruned_is_done_anew_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with running(tmp_path / "local") as local:
        first = local.backend.run(Command(["true"]), once="pruned")
        failed = local.backend.run(Command(["false"]), once="pruned")
        first.wait_for_final_state(30)
        failed.wait_for_final_state(30)
        assert len(local.session.prune(0)) == 2
        local.backend.run(Command(["false"]), once="pruned").wait_for_final_state(30)
        assert "not there any more" not in caplog.text
        second = local.backend.run(Command(["true"]), once="pruned")
        second.wait_for_final_state(30)
        assert second != first
        assert "1 pieces of work of 'pruned' were done before" in caplog.text
        ledger = local.session.ledger
        local.session.prune(0)
        assert len(ledger.file.read("SELECT * FROM once", ())) == 1
        local.session.prune(0)  # what was forgotten once before is forgotten with its key
        assert ledger.file.read("SELECT * FROM once", ()) == []


def test_what_was_done_after_other_jobs_is_done_anew(local: Local, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    fit = local.backend.run(Command(["true"]), once="fit")
    report = local.backend.run(noted(ran), once="report", after=fit)
    report.result(30)
    assert local.backend.run(noted(ran), once="report", after=fit) == report
    assert local.backend.run(noted(ran), once="report") == report
    (again,) = local.session.rerun([fit])
    second = local.backend.run(noted(ran), once="report", after=again)
    assert second != report
    second.result(30)
    assert count(ran) == 2


def test_what_never_started_comes_to_the_same_after_the_same(local: Local) -> None:
    fit = local.backend.run(Command(["false"]), once="fails")
    report = local.backend.run(Command(["true"]), once="report-2", after=fit)
    assert report.outcome(30).reason == "dependency"
    assert local.backend.run(Command(["true"]), once="report-2", after=fit) == report
    assert local.backend.run(Command(["true"]), once="report-2") != report


def test_what_makes_no_sense_is_said(local: Local) -> None:
    run = local.backend.run
    with pytest.raises(SpecError, match='once is a word of yours, such as "fit-1", not 3'):
        run(Command(["true"]), once=3)
    with pytest.raises(SpecError, match=r"once is a word of yours.*not ''"):
        run(Command(["true"]), once="")
    with pytest.raises(SpecError, match='version= says more of once=, which is missing: once="fit-1"'):
        run(Command(["true"]), version="2")
    with pytest.raises(SpecError, match="cache"):
        run(Command(["true"]), once="a", cache="soon")
    with pytest.raises(SpecError, match="version is a text"):
        run(Command(["true"]), once="a", version=["2"])
    threads = local.session.get_backend("threads")
    with pytest.raises(UnsupportedSpecError, match=r"backend 'threads' forgets its jobs.*leave out once="):
        threads.map(append, ["a"], [1], once="a")


# --- several processes, and their ends -----------------------------------------------------------------

SUBMIT = """
import sys
from once_calls import append
local = Local(local.root, isolation="reuse")
sys.stdin.readline()
jobs = local.backend.map(append, [{ran!r}] * {count}, range({count}), once="race")
print(*(job.job_id() for job in jobs))
"""


def test_of_processes_that_say_the_same_at_a_time_one_submits(local: Local, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    processes = [local.program(SUBMIT.format(ran=str(ran), count=40)) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60) for process in processes]
    assert len({out for out, _ in printed}) == 1, printed
    ids = printed[0][0].split()
    assert len(set(ids)) == 40, printed
    for job in map(local.session.get_job, ids):
        job.result(60)
    assert count(ran) == 40


def test_who_loses_the_race_gets_the_job_of_the_winner(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other submits after this one has looked, and before it enters its own."""
    from anyjob.runtime import once

    other = local.another()
    won: list[Any] = []
    look = once._look

    def late(*args: Any) -> Any:
        found = look(*args)
        if not won:
            won.append(None)
            won[:] = other.get_backend("local").map(
                append, [str(tmp_path / "ran")] * 3, [1, 2, 3], once="late"
            )
        return found

    monkeypatch.setattr(once, "_look", late)
    jobs = local.backend.map(append, [str(tmp_path / "ran")] * 4, [0, 1, 2, 3], once="late")
    assert [job.job_id() for job in jobs[1:]] == [job.job_id() for job in won]
    assert [job.result(30) for job in jobs] == [0, 10, 20, 30]
    assert count(tmp_path / "ran") == 4
    assert set(job_spool.job_ids(local.state / "spool")) <= {
        job.job_id() for job in local.session.jobs(superseded=True)
    }
    other.close()


KILLED = """
import os, signal, sys
from once_calls import append
local = Local(local.root, isolation="reuse")
from anyjob.ledger.file.database import LedgerFile
from anyjob.runtime import once
left = {left}
write = LedgerFile.write
def counted(self, work):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, work)
LedgerFile.write = counted
groups = [job for part in ({first!r}, {second!r})
          for job in local.backend.map(append, [{ran!r}] * len(part), part, once="killed")]
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("left", range(1, 8))
def test_a_map_whose_client_was_killed_goes_on(local: Local, tmp_path: Path, left: int) -> None:
    """executorlib#412, PR#721: a restart submitted it twice."""
    ran = tmp_path / "ran"
    code = KILLED.format(left=left, first=list(range(20)), second=list(range(20, 30)), ran=str(ran))
    process = local.program(code)
    out, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, (out, err)
    jobs = local.backend.map(append, [str(ran)] * 30, range(30), once="killed")
    assert [job.result(60) for job in jobs] == [item * 10 for item in range(30)]
    assert len(set(jobs)) == count(ran) == 30


def test_many_are_as_many(local: Local, tmp_path: Path) -> None:
    done = local.backend.map(append, [str(tmp_path / "ran")] * 700, range(700), once="many")
    for job in done:
        job.result(60)
    jobs = local.backend.map(append, [str(tmp_path / "ran")] * 1000, range(1000), once="many")
    assert jobs[:700] == done
    assert [job.result(60) for job in jobs] == [item * 10 for item in range(1000)]
    assert count(tmp_path / "ran") == 1000


def test_a_call_by_its_name(local: Local) -> None:
    assert local.backend.run(Call("math:sqrt", (4,)), once="n") == local.backend.run("math:sqrt", 4, once="n")
