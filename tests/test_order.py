"""In which order the jobs of `local` start: by priority, and within one names take turns."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running, until

import anyjob
from anyjob import Call, Command, Config, Session
from anyjob.builtin.local.supervisor.scheduling.backfill import PER_SLOT
from anyjob.errors import SpecError, UnsupportedSpecError


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Local]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path, **{"slots": 1, **getattr(request, "param", {})}) as made:
        yield made


class Gate:
    """A job that has the only slot until it is opened, and one behind it that the keeper has already."""

    def __init__(self, own: Local) -> None:
        self._own = own
        self.jobs = [own.backend.run(Command(["cat", own.fifo]), name="gate")]
        until(self.jobs[0].running, "it runs")
        for _ in range(12):  # and some that the keeper may have ahead
            self.jobs.append(own.backend.run(Command(["true"]), name="gate", priority=9))

    def open(self) -> None:
        Path(self._own.fifo).write_text("go on")


def order_of(*jobs: Any) -> list[Any]:
    """The jobs in the order in which they have started."""
    for job in jobs:
        job.result(60)
    return sorted(jobs, key=lambda job: job.outcome().started)


def test_the_one_job_that_comes_after_a_sweep_does_not_wait_for_all_of_it(own: Local) -> None:
    gate = Gate(own)
    sweep = own.backend.map(abs, range(50), name="sweep")
    lonely = own.backend.run(Call(abs, (-1,)), name="lonely")
    third = own.backend.run(Call(abs, (-1,)))
    gate.open()
    order = order_of(*sweep, lonely, third)
    assert order.index(lonely) <= 3
    assert order.index(third) <= 4
    assert [job for job in order if job in sweep] == sweep


@pytest.mark.parametrize("own", [{"order": "fifo"}], indirect=True)
def test_first_in_first_out_where_that_is_asked_for(own: Local) -> None:
    gate = Gate(own)
    jobs = [*own.backend.map(abs, range(20), name="sweep"), own.backend.run(Call(abs, (1,)), name="late")]
    gate.open()
    assert order_of(*jobs) == jobs


def test_a_higher_priority_comes_first(own: Local) -> None:
    gate = Gate(own)
    low = own.backend.map(abs, range(3), priority=-1)
    most = own.backend.map(abs, range(3))
    high = own.backend.map(abs, range(3), name="high", priority=5)
    gate.open()
    assert order_of(*low, *most, *high) == [*high, *most, *low]


def test_a_priority_is_changed_of_what_waits(own: Local) -> None:
    gate = Gate(own)
    many = own.backend.map(abs, range(40))
    assert own.session.set_priority([gate.jobs[0], many[30], many[10]], 3) == [False, True, True]
    assert own.session.set_priority([many[0]], -3) == [True]
    own.kill("supervisor")  # the ledger has it
    own.backend._client.open()
    gate.open()
    rest = [job for job in many if job not in (many[0], many[10], many[30])]
    assert order_of(*many) == [many[10], many[30], *rest, many[0]]


def test_a_large_bulk_is_read_bit_by_bit(own: Local) -> None:
    """More than are read at a time, of names whose jobs lie between each other."""
    gate = Gate(own)
    jobs = [own.backend.run_many([Command(["true"])] * 30, name=name) for name in "abab"]
    gate.open()
    order = order_of(*(job for some in jobs for job in some))
    names = [job.metadata()["name"] for job in order]
    assert abs(names[:60].count("a") - 30) <= 12
    for name, (first, last) in {"a": (0, 2), "b": (1, 3)}.items():
        assert [job for job in order if job.metadata()["name"] == name] == [*jobs[first], *jobs[last]]


def test_what_a_priority_may_be() -> None:
    for wrong in ("high", 1.5, True, 10**7, None):
        with pytest.raises(SpecError, match="priority is a whole number from -1000000 to 1000000"):
            anyjob.Resources(priority=wrong)  # type: ignore[arg-type]
    assert anyjob.Resources(priority="5").priority == 5  # type: ignore[arg-type]


def test_who_knows_no_priorities_takes_none(tmp_path: Path) -> None:
    with Session(Config.from_dict({}), state=tmp_path) as session:
        backend = session.get_backend("threads")
        with pytest.raises(UnsupportedSpecError, match="knows no priorities: leave priority out, or choose"):
            backend.run(Call(abs, (1,)), priority=2)
        assert backend.run(Call(abs, (-1,)), priority=0).result(10) == 1


# --- what there is no room for yet ----------------------------------------------------------------


@pytest.mark.parametrize("own", [{"slots": 2}], indirect=True)
def test_small_jobs_fill_in_while_a_large_one_waits_and_not_for_ever(own: Local) -> None:
    first = own.backend.run(Command(["cat", own.fifo]))
    until(first.running, "it has one of two slots")
    large = own.backend.run(Command(["true"]), cpus=2, name="large")
    small = own.backend.map(abs, range(40), name="small")
    last = small[PER_SLOT * 2 - 1]
    last.result(60)
    Path(own.fifo).write_text("go on")
    order = order_of(large, *small)
    assert order.index(large) == PER_SLOT * 2


@pytest.mark.parametrize("own", [{"slots": 2, "resources": {"licence": 1}}], indirect=True)
def test_who_takes_nothing_of_what_another_waits_for_does_not_wait_with_it(own: Local) -> None:
    """However long it waits, and however many: one slot is kept for the first of them, the other is used."""
    first = own.backend.run(Command(["cat", own.fifo]), needs={"licence": 1})
    until(first.running, "it has the licence")
    own.backend.set_options({"slots": 3})
    licensed = own.backend.run_many([Command(["true"])] * 40, name="licensed", needs={"licence": 1})
    other = own.backend.map(abs, range(100), name="other")
    assert [job.result(60) for job in other] == [*range(100)]
    Path(own.fifo).write_text("go on")
    assert [job.result(60).exit_code for job in licensed] == [0] * 40


@pytest.mark.parametrize("own", [{"slots": 2, "order": "fifo"}], indirect=True)
def test_nobody_overtakes_where_it_is_first_in_first_out(own: Local) -> None:
    first = own.backend.run(Command(["cat", own.fifo]))
    until(first.running, "it has one of two slots")
    large = own.backend.run(Command(["true"]), cpus=2)
    small = own.backend.run(Command(["true"]))
    Path(own.fifo).write_text("go on")
    assert order_of(small, large) == [large, small]


# --- parents of many ------------------------------------------------------------------------------


def parent(root: Path, number: int) -> int:
    """Have a child run, and keep count of how many parents live at a time."""
    mark = root / "living" / str(number)
    mark.touch()
    most = len(os.listdir(root / "living"))
    child = Local(root, slots=1).backend.run(Call(time.sleep, (0,)))
    child.result()
    mark.unlink()
    return most


def test_parents_do_not_all_begin_before_the_first_child_runs(own: Local, tmp_path: Path) -> None:
    (tmp_path / "living").mkdir()
    parents = own.backend.map(parent, [own.root] * 20, range(20))
    assert max(job.result(160) for job in parents) < 15
    assert threading.active_count() < 20
