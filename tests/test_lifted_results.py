"""Results of jobs of other kinds than calls, as arguments: what has rewritten the work makes the result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running
from test_after import Gate
from test_lowering import Report, ReportJob, SheetJob

import anyjob
from anyjob import Call, DependencyFailedError
from anyjob.specs import Spec
from anyjob.taskjob import TaskJob

MADE = {"title": "costs", "via": "acme.sheet", "sheet": ["costs|"]}
"""What the result of `Report("costs")` is."""


class Broken(Spec, frozen=True, tag="acme.broken"):
    """Work whose call returns, and of which no result can be made."""


class BrokenJob(TaskJob):
    spec_type = Broken
    lowers_to = ("python",)

    @classmethod
    def lower(cls, spec: Broken, to: str) -> Spec:
        return Call(abs, (-1,))

    @classmethod
    def lift(cls, spec: Broken, to: str, value: Any) -> Any:
        raise ValueError(f"{value} is no report")


class Opened(Spec, frozen=True, tag="acme.opened"):
    """Work that ends when its gate is opened."""

    gate: str


class OpenedJob(TaskJob):
    spec_type = Opened
    lowers_to = ("python",)

    @classmethod
    def lower(cls, spec: Opened, to: str) -> Spec:
        return Call(line_of, (spec.gate,))

    @classmethod
    def lift(cls, spec: Opened, to: str, value: Any) -> Any:
        return {"length": value}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with running(tmp_path_factory.mktemp("local"), isolation="reuse") as made:
            for kind in (ReportJob, SheetJob, BrokenJob, OpenedJob):
                made.session.registry.register_job_type(str(kind.spec_type.__struct_config__.tag), kind)
            yield made


def line_of(path: str) -> int:
    with open(path) as stream:
        return len(stream.readline())


def title(report: Any) -> Any:
    return report["title"]


def same(one: Any, other: Any) -> bool:
    return one is other


def loaded(lazy: anyjob.Lazy[Any]) -> Any:
    return [lazy.load(), lazy.load()]


def given(value: Any) -> Any:
    return value


def test_it_is_given_before_it_is_there(local: Local, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    waiting = local.backend.run(Opened(str(gate._path)), name="opened")
    call = local.backend.run(given, [waiting])
    assert "given([<result of opened>])" in repr(call)
    gate.open()
    assert call.result(60) == [waiting.result(60)] == [{"length": 3}]
    gate.close()


def test_it_is_what_result_gives_by_way_of_two_kinds(local: Local) -> None:
    report = local.backend.run(Report("costs"))
    assert local.backend.run(given, report).result(60) == report.result(60) == MADE
    assert local.backend.run(same, report, report).result(60), "one object in both places"
    assert local.backend.run(loaded, anyjob.lazy(report)).result(60) == [MADE, MADE]


def test_a_chain_of_results_and_its_rerun(local: Local) -> None:
    report = local.backend.run(Report("costs"))
    call = local.backend.run(title, report)
    assert call.result(60) == "costs"
    again = local.session.rerun([report, call])
    assert again[1].result(60) == "costs"
    assert again[1].spec().args[0].job_id == again[0].job_id()
    (last,) = local.session.rerun([again[1]])
    assert last.result(60) == "costs"


@pytest.mark.parametrize("backend", ["threads", "inline", "processes"])
def test_backends_of_this_process_give_the_same(local: Local, backend: str) -> None:
    report = local.backend.run(Report("costs"))
    there = local.session.get_backend(backend)
    assert there.run(given, report).result(60) == MADE
    assert there.run(given, there.run(Report("costs"))).result(60) == MADE


def test_what_cannot_be_made_is_told_by_the_name_of_its_job(local: Local) -> None:
    broken = local.backend.run(Broken(), name="odd")
    told = r"\(odd\), which is an argument, cannot be made: ValueError: 1 is no report"
    with pytest.raises(DependencyFailedError, match=told):
        local.backend.run(given, broken).result(60)
