"""Jobs in the arguments of calls: what the calls get, and what their users are told."""

from __future__ import annotations

import collections
import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from running_local import Local, running, until
from test_after import Gate

import anyjob
from anyjob import Call, DependencyFailedError, JobStatus
from anyjob.errors import JobFailedError, JobNotFoundError, SpecError, UnsupportedSpecError
from anyjob.job import JobList
from anyjob.ledger.rows import FINAL
from anyjob.references import ResultOf
from anyjob.runtime.dependencies import job_arguments
from anyjob.runtime.dependencies.job_arguments import holds_handle, with_references
from anyjob.spool import job_spool


@pytest.fixture(scope="module", params=["fork", "reuse"])
def local(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with running(tmp_path_factory.mktemp("local"), isolation=request.param) as made:
            yield made


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.close()


@dataclasses.dataclass(frozen=True)
class Point:
    x: Any
    y: Any = 0

    def __post_init__(self) -> None:
        assert isinstance(self.y, int | list), "it is not made anew, so this is not called again"


class Setting(msgspec.Struct, frozen=True):
    value: Any


Pair = collections.namedtuple("Pair", "one two")


def read_gate(path: str) -> int:
    with open(path) as stream:
        return len(stream.readline())


def add(*values: Any) -> Any:
    return sum(values)


def same(*values: Any) -> bool:
    return all(value is values[0] for value in values)


def give_back(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def fail() -> None:
    raise ValueError("no")


def handle(job_id: str = "0123456789abcdef0123", name: str = "fit") -> Any:
    return ResultOf(job_id, name)


# --- where they are sought -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        handle(),
        [1, [2, (handle(),)]],
        {"a": {"b": handle()}},
        collections.OrderedDict(a=handle()),
        Pair(1, [handle()]),
        Point(1, [handle()]),
        Setting([handle()]),
        [{"a": 1}] * 100 + [{"a": (handle(),)}],
    ],
    ids=repr,
)
def test_a_handle_is_found_and_replaced(value: Any) -> None:
    assert holds_handle([(value,)])
    before, found = repr(value), []

    def refer(one: Any) -> ResultOf:
        found.append(one)
        return ResultOf("f" * 20, "other")

    call = with_references(Call(add, (value, 3), {"more": value}), refer)
    assert len(found) == 1, "the same is replaced once"
    assert repr(value) == before, "what the caller holds is not changed"
    assert repr(call.args[0]) == before.replace("<result of fit>", "<result of other>")
    assert type(call.args[0]) is type(value) or value is handle
    assert call.kwargs["more"] is call.args[0]


def test_what_map_returns_becomes_a_plain_list() -> None:
    """Who makes the call need not have anyjob."""
    call = with_references(Call(add, (JobList([handle()]), 3)), lambda one: ResultOf("f" * 20, "other"))
    assert type(call.args[0]) is list
    assert repr(call.args[0]) == "[<result of other>]"


@pytest.mark.parametrize(
    "value", [1, "a", [], [[1, 2], {"a": (3, {4})}], Point(1), Point, object(), {1: [Setting(2)]}], ids=repr
)
def test_what_holds_none_is_left_alone(value: Any) -> None:
    assert not holds_handle([(value,)])


def test_what_holds_itself_is_looked_through_once() -> None:
    loop: list[Any] = [1]
    loop += [loop, loop, {"loop": loop}]
    assert not holds_handle([(loop,)])
    loop.append(handle())
    assert holds_handle([(loop,)])


def test_a_job_where_its_result_cannot_be_is_refused() -> None:
    with pytest.raises(SpecError, match=r"argument 1 has a job in a set: .* give a list"):
        with_references(Call(add, (1, {handle()})), lambda one: one)
    with pytest.raises(SpecError, match="argument 'x' has a job as the key of a dict"):
        with_references(Call(add, (), {"x": [{handle(): 1}]}), lambda one: one)
    for key in (handle(), (1, handle())):
        assert holds_handle([([{key: 1}],)]), "else nobody looks for what is to be refused"
        with pytest.raises(SpecError, match="argument 0 has a job as the key of a dict"):
            with_references(Call(add, ([{key: 1}],)), lambda one: one)


def test_what_has_no_arguments_is_not_looked_through(monkeypatch: pytest.MonkeyPatch, local: Local) -> None:
    monkeypatch.setattr(job_arguments, "take_results", None)
    assert local.backend.run(Call(add)).result(30) == 0


# --- what a call gets -----------------------------------------------------------------------------


def test_a_job_stands_for_its_result_and_is_waited_for(local: Local, gate: Gate) -> None:
    first = local.backend.run(read_gate, gate._path, name="gated")
    behind = local.backend.run(Call(add, (first, 1)))
    last = local.backend.run(Call(give_back, ([first, {"a": (behind,)}],), {"point": Point(behind)}))
    assert behind.status() is last.status() is JobStatus.QUEUED
    assert behind.metadata()["message"] == f"waits for {first.job_id()[:7]} (gated)"
    gate.open()
    assert last.result(30) == (([3, {"a": (4,)}],), {"point": Point(4)})
    assert [needed.job_id for needed in local.session.ledger.dependencies.prerequisites(last.job_id())] == [
        first.job_id(),
        behind.job_id(),
    ]


def test_the_same_job_is_one_object_in_a_call(local: Local) -> None:
    first = local.backend.run(give_back, 1)
    again = local.session.get_job(first.job_id())
    assert local.backend.run(Call(same, (first, first), {})).result(30)
    assert local.backend.run(give_back, [first], {"a": again}).result(30) == (
        ([((1,), {})], {"a": ((1,), {})}),
        {},
    )
    assert local.backend.run(Call(same, (first, again))).result(30)


@pytest.mark.parametrize("size", [10, 10_000, 100_000, 5_000_000])
def test_results_of_all_sizes_come_through(local: Local, size: int) -> None:
    first = local.backend.run("builtins:bytes", size)
    assert local.backend.run(len, first).result(30) == size


def test_many_results_come_through(local: Local) -> None:
    """None of them is held in a message, nor all of them in the supervisor."""
    fits = local.backend.map("builtins:bytes", [1000] * 200 + [5000] * 20, name="fit")
    total = local.backend.run(lambda all_of_them: sum(map(len, all_of_them)), fits)
    assert total.result(60) == 300_000
    assert (job_spool.path_of(local.session.ledger.state / "spool", total.job_id()) / "results.pkl").exists()


def test_a_stage_over_the_results_of_the_last(local: Local) -> None:
    fits = local.backend.map(abs, range(-9, 0))
    checked = local.backend.map(add, fits, range(9))
    assert [job.result(30) for job in checked] == [9] * 9


def test_a_job_of_several_tasks_gets_results(local: Local) -> None:
    first = local.backend.run(abs, -3)
    both = local.backend.run(add, first, 1, tasks=2)
    assert both.result(60) == [4, 4]
    assert local.backend.run(sum, both).result(30) == 8


def test_it_is_told_whose_results_they_are(local: Local) -> None:
    first = local.backend.run(abs, -3, name="fit-1")
    last = local.backend.run(add, first, 1)
    assert "add(<result of fit-1>, 1)" in repr(last)
    assert last.spec() == Call(add, (ResultOf(first.job_id(), "fit-1"), 1))
    last.result(30)
    with local.another() as other:
        found = other.get_job(last.job_id())
        assert "add(<result of fit-1>, 1)" in repr(found)
        assert found.spec() == last.spec()
        assert other.get_backend("local").run(found.spec()).result(30) == 4


# --- what cannot be had ---------------------------------------------------------------------------


def test_a_failure_is_the_cause_of_those_who_need_the_result(local: Local) -> None:
    first = local.backend.run(fail, name="fit")
    last = local.backend.run(add, local.backend.run(add, first), 1)
    with pytest.raises(DependencyFailedError, match=r"\(fit\) failed") as caught:
        last.result(30)
    assert caught.value.prerequisite == first.job_id()
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.unlink(), "is not there any more: run that anew"),
        (lambda path: path.write_bytes(path.read_bytes()[:100_000]), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
    ],
    ids=["gone", "torn", "empty"],
)
def test_a_result_that_is_gone_is_told_by_the_name_of_its_job(local: Local, harm: Any, told: str) -> None:
    first = local.backend.run("builtins:bytes", 200_000, name="fit")
    first.result(30)
    harm(job_spool.path_of(local.session.ledger.state / "spool", first.job_id()) / "outcome.pkl")
    last = local.backend.run(len, first)
    with pytest.raises(DependencyFailedError) as caught:
        last.result(30)
    assert f"the result of job {first.job_id()} (fit), which is an argument, {told}" in str(caught.value)
    assert last.outcome().reason == "dependency"


class Unpicklable:
    def __reduce__(self) -> Any:
        return explode, ()


def explode() -> None:
    raise KeyError("exploded")


def test_a_result_that_cannot_be_unpickled_is_told(local: Local) -> None:
    first = local.backend.run(Unpicklable, name="odd")
    last = local.backend.run(len, first)
    with pytest.raises(DependencyFailedError, match=r"\(odd\), which is an argument, cannot be unpick"):
        last.result(30)


def test_what_has_no_result_to_hand_over_is_refused_with_the_way_out(
    local: Local, tmp_path: Path, gate: Gate
) -> None:
    """What has ended has one to give: so these wait, each at the gate."""
    command = local.backend.run(gate.job())
    told = r"comes of a program is read by .*output\(NAME\).* give what its result"
    with pytest.raises(UnsupportedSpecError, match=told):
        local.backend.run(len, command)
    here = local.session.get_backend("threads").run(read_gate, gate._path)
    with pytest.raises(UnsupportedSpecError, match="lives in this process alone; give what its"):
        local.backend.run(abs, here)
    call = local.backend.run(read_gate, gate._path)
    with running(tmp_path) as other, pytest.raises(UnsupportedSpecError, match="it is in another ledger"):
        other.backend.run(abs, call)
    waiting = [command, here, call]
    while waiting:
        gate.open()  # for any of them
        waiting.remove(next(anyjob.as_completed(waiting, timeout=60)))
    before = len(local.session.jobs())
    with pytest.raises(JobNotFoundError, match=f"no job '{'f' * 20}' is in this ledger"):
        local.backend.run(abs, ResultOf("f" * 20))
    assert len(local.session.jobs()) == before


# --- run anew -------------------------------------------------------------------------------------


def test_what_is_run_anew_gets_the_result_of_what_is_run_anew(local: Local, tmp_path: Path) -> None:
    source = tmp_path / "number"
    source.write_text("1")
    first = local.backend.run(lambda: int(source.read_text()))
    last = local.backend.run(add, first, 10)
    assert last.result(30) == 11
    source.write_text("2")
    assert local.session.rerun([last])[0].result(30) == 11
    both = local.session.rerun([last, first])
    assert [job.result(30) for job in both] == [12, 2]
    assert local.session.rerun([both[0]])[0].result(30) == 12
    source.write_text("three")
    failed = local.session.rerun([both[1]])[0]
    stopped = local.backend.run(add, [failed], 3)
    assert isinstance(stopped.exception(30), DependencyFailedError)
    source.write_text("4")
    anew = local.session.rerun([failed], downstream=True)
    assert [job.result(30) for job in anew[:-1]] == [4, 14], "what was made of the old one, too"
    assert isinstance(anew[-1].exception(30), TypeError), "a list and a number, and so it was handed over"


def test_what_needs_a_result_that_is_forgotten_is_not_run_anew(local: Local) -> None:
    first = local.backend.run(abs, -1)
    last = local.backend.run(add, first)
    assert last.result(30) == 1
    local.session.ledger.remove([first.job_id()])
    with pytest.raises(JobNotFoundError, match=first.job_id()):
        local.session.rerun([last])


# --- kills ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("victims", [["supervisor"], ["supervisor", "keeper"]], ids=" ".join)
def test_the_call_gets_the_result_though_client_and_daemons_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victims: list[str]
) -> None:
    """Killed between the end of the one and the start of the other, which waits for a third, too."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path, slots=1) as own:
        client = own.program(
            "from test_results_as_arguments import add, read_gate\n"
            "first = local.backend.run('builtins:bytes', 100_000)\n"
            f"between = local.backend.run(read_gate, {own.fifo!r}, restartable=True)\n"
            "last = local.backend.run(len, first, after=between)\n"
            "print(first.job_id(), between.job_id(), last.job_id(), flush=True)\n"
            "first.result()\n"
            "print('ended', flush=True)\n"
            "input()\n"
        )
        assert client.stdout is not None
        ids = client.stdout.readline().split()
        gate = os.open(own.fifo, os.O_RDWR)
        try:
            assert client.stdout.readline() == "ended\n", client.stderr and client.stderr.read()
            ledger = own.session.ledger
            until(lambda: ledger.rows([ids[1]])[ids[1]].status is JobStatus.RUNNING, "it is between them")
            client.send_signal(signal.SIGKILL)
            client.communicate()
            for victim in victims:
                own.kill(victim)
            with own.another() as other:
                job = other.get_job(ids[2])
                assert not job.in_final_state()
                os.write(gate, b"go\ngo\n")
                assert job.result(60) == 100_000
                until(lambda: other.ledger.rows([ids[1]])[ids[1]].state >= FINAL, "it has ended, too")
        finally:
            os.close(gate)


# --- read when wanted -----------------------------------------------------------------------------


def count(lazy: anyjob.Lazy[bytes], want: bool) -> int:
    return len(lazy.load()) if want else 0


def test_a_lazy_result_is_read_when_it_is_wanted(local: Local) -> None:
    first = local.backend.run("builtins:bytes", 200_000, name="fit")
    job = local.backend.run(count, anyjob.lazy(first), True)
    assert job.result(60) == 200_000
    assert "count(<lazy result of fit>, True)" in repr(job)
    assert local.session.rerun([job])[0].result(60) == 200_000
    (job_spool.path_of(local.session.ledger.state / "spool", first.job_id()) / "outcome.pkl").unlink()
    assert local.backend.run(count, anyjob.lazy(first), False).result(60) == 0, "nobody reads it"
    with pytest.raises(DependencyFailedError, match=r"\(fit\), which is an argument, is not there any more"):
        local.backend.run(count, anyjob.lazy(first), True).result(60)


def test_a_lazy_result_is_of_use_in_its_call_alone(local: Local) -> None:
    first = local.backend.run(abs, -1)
    with pytest.raises(JobFailedError, match=r"pass on what its load.. gives"):
        local.backend.run(give_back, anyjob.lazy(first)).result(60)
    with pytest.raises(TypeError, match=r"lazy.. takes a job, or a future"):
        anyjob.lazy(3)  # type: ignore[arg-type]
