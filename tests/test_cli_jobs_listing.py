"""``anyjob jobs`` and ``show``, and how jobs are named: over a ledger written by hand."""

from __future__ import annotations

import json
import os
import pickle
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cli_program import invoke

from anyjob import (
    Call,
    Capabilities,
    Command,
    JobStatus,
    Observation,
    Order,
    Outcome,
    Registry,
    Resources,
    Session,
    TaskBackend,
    Ticket,
    get_job,
    set_default_session,
)
from anyjob.cli.jobs.selection import read_states
from anyjob.cli.jobs.show import usage_lines
from anyjob.errors import BackendUnavailableError, JobNotFoundError, SpecError
from anyjob.ledger.encoding import Context
from anyjob.ledger.rows import BackendRow, NewJob, Summary
from anyjob.ledger.store import Ledger
from anyjob.resources import make_resources
from anyjob.text.amounts import money, span

DONE, ERROR, QUEUED, RUNNING = JobStatus.DONE, JobStatus.ERROR, JobStatus.QUEUED, JobStatus.RUNNING
ELSEWHERE = BackendRow(
    "e" * 64, "there", "local", "anyjob", {"slots": 2, "preload": [], "grace": 5.0}, "another-host"
)


class Book:
    """A ledger, and short ways to write into it."""

    def __init__(self, state: Path) -> None:
        self.ledger = Ledger(state)
        self.number = self.ledger.backend(ELSEWHERE)

    def add(
        self,
        *job_ids: str,
        spec: Any = None,
        payload: bytes | None = None,
        status: JobStatus = QUEUED,
        name: str = "",
        tags: dict[str, str] | None = None,
        ago: float = 60,
        resources: Resources | None = None,
        summary: Summary = Summary(),  # noqa: B008 (nobody changes it)
        **outcome: Any,
    ) -> None:
        spec = spec if spec is not None else Command(["true"])
        kind = spec.__struct_config__.tag
        payload = payload or pickle.dumps(spec if kind == "command" else (spec.fn, spec.args, spec.kwargs))
        self.ledger.add(
            self.number,
            [NewJob(job_id, payload, summary=summary) for job_id in job_ids],
            kind=kind,
            native=kind,
            context=Context(
                (kind,), msgspec.json.encode(resources or Resources()), os.fsencode("/somewhere"), python="py"
            ),
            name=name,
            tags=tags,
            state=QUEUED,
            created=time.time() - ago,
        )
        if status in (DONE, ERROR, JobStatus.CANCELLED):
            self.ledger.settle({job_id: Outcome(status=status, **outcome) for job_id in job_ids})
        elif status is not QUEUED:
            self.ledger.moved([(job_id, status, 1, time.time() - 5) for job_id in job_ids])


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    monkeypatch.setenv("ANYJOB_STATE", str(tmp_path / "state"))
    set_default_session(None)
    book = Book(tmp_path / "state")
    yield book
    book.ledger.close()
    set_default_session(None)


def job_id(start: str) -> str:
    return start.ljust(20, "0")


def cells(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


def listed(*arguments: str) -> list[str]:
    done = invoke("jobs", "--json", *arguments)
    assert done.exit_code == 0, done.stderr
    return [row["job_id"].rstrip("0") for row in json.loads(done.stdout)]


def test_no_jobs(book: Book) -> None:
    done = invoke("jobs")
    assert (done.exit_code, done.stderr) == (0, "")
    assert cells(done.stdout) == [["id", "name", "backend", "state", "reason", "age", "took", "work"]]
    assert json.loads(invoke("jobs", "--json").stdout) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("seed=1", "acd"),
        ("seed=1.0", "ad"),
        ("seed=11", "b"),
        ("lr=1e-3", "a"),
        ("fast=True", "ab"),
        ("fast=true", "ab"),
        ("sizes=[1, 2]", "c"),
        ('where="a", "seed": 11}', ""),
        ('note=say "seed": 11', "e"),
        ("why=1", ""),
    ],
)
def test_jobs_are_found_by_their_parameters(book: Book, wanted: str, found: str) -> None:
    book.add(job_id("a"), summary=Summary("./fit", {"seed": 1, "lr": 0.001, "fast": True}))
    book.add(job_id("b"), summary=Summary("./fit", {"seed": 11, "lr": 0.01, "fast": True}))
    book.add(job_id("c"), summary=Summary("./fit", {"seed": "1", "sizes": [1, 2]}))
    book.add(job_id("d"), summary=Summary("./fit", {"seed": 1.0, "lr": 0.01}))
    book.add(job_id("e"), summary=Summary("./fit", {"note": 'say "seed": 11'}))
    assert "".join(listed("-p", wanted)) == found


def test_the_newest_of_a_parameter_are_found_beside_other_filters(book: Book) -> None:
    for n in range(6):
        book.add(job_id(f"{n}a"), name=f"n{n % 2}", summary=Summary("./fit", {"seed": n % 3, "lr": 6}))
    assert listed("-p", "seed=0", "-p", "lr=6") == ["0a", "3a"]
    assert listed("-p", "seed=0", "--limit", "1") == ["3a"]
    assert listed("-p", "seed=0", "--name", "n0") == ["0a"]
    assert listed("-p", "seed=0", "--state", "open") == ["0a", "3a"]
    assert "-p takes KEY=VALUE" in invoke("jobs", "-p", "seed").stderr
    assert "no job fits" in invoke("cancel", "-p", "seed=9", "--yes").stdout
    with pytest.raises(SpecError, match="parameters are a mapping"):
        Session().jobs(parameters="seed=3")  # type: ignore[arg-type]


def test_a_line_for_each_job_the_newest_last(book: Book) -> None:
    now = time.time()
    book.add(job_id("a"), name="old", status=DONE, ago=3700, started=now - 3700, finished=now - 3580)
    book.add(job_id("b"), name="bad", status=ERROR, reason="walltime", ago=60)
    book.add(job_id("c"), name="now", status=RUNNING)
    rows = cells(invoke("jobs").stdout)[1:]
    assert rows[0] == ["a000000", "old", "there", "DONE", "1h01m", "2m00s"]
    assert rows[1] == ["b000000", "bad", "there", "ERROR", "walltime", "1m00s"]
    assert rows[2][3] == "RUNNING"
    assert float(rows[2][-1].removesuffix("s")) >= 5


def test_ids_are_cut_to_what_tells_them_apart(book: Book) -> None:
    book.add("1234567890abcdef0000", "1234567891abcdef0000", "2234567890abcdef0000", ago=1)
    assert [row[0] for row in cells(invoke("jobs").stdout)[1:]] == ["1234567890", "1234567891", "2234567"]


def test_the_newest_fifty(book: Book) -> None:
    book.add(*(f"{number:020x}" for number in range(60)))
    done = invoke("jobs")
    assert len(done.stdout.splitlines()) == 51
    assert done.stderr == "anyjob: the newest 50; --limit 0 shows all\n"
    assert len(listed("--limit", "0")) == 60
    done = invoke("jobs", "--limit", "60", "--json")
    assert [row["job_id"] for row in json.loads(done.stdout)][-1] == f"{59:020x}"
    assert done.stderr == ""


def test_filters(book: Book) -> None:
    book.add(job_id("a"), name="fit", tags={"study": "x"}, status=DONE, ago=7200)
    book.add(job_id("b"), name="fit", tags={"study": "y"}, status=ERROR)
    book.add(job_id("c"), status=QUEUED, tags={"study": "x", "more": "1"})
    assert listed("--name", "fit") == ["a", "b"]
    assert listed("--state", "done,error") == listed("--state", "ended") == ["a", "b"]
    assert listed("--state", "DONE", "--state", "queued") == ["a", "c"]
    assert listed("--state", "open") == ["c"]
    assert listed("--tag", "study=x") == ["a", "c"]
    assert listed("--tag", "study=x", "--tag", "more=1") == ["c"]
    assert listed("--since", "1h") == ["b", "c"]
    assert listed("--since", "2001-01-01") == ["a", "b", "c"]
    assert listed("--backend", "there") == ["a", "b", "c"]
    assert listed("-b", "inline") == []


def test_json_has_all_of_a_row(book: Book) -> None:
    book.add(job_id("b"), name="n", tags={"k": "v"}, status=ERROR, reason="signal", started=5.0, finished=6.0)
    (row,) = json.loads(invoke("jobs", "--json").stdout)
    assert row.pop("submitted") == pytest.approx(time.time() - 60, abs=30)
    assert row == {
        "job_id": job_id("b"),
        "name": "n",
        "work": "",
        "parameters": {},
        "tags": {"k": "v"},
        "kind": "command",
        "backend": "there",
        "native_id": None,
        "state": "ERROR",
        "reason": "signal",
        "message": "",
        "attempt": 1,
        "parent": None,
        "started": 5.0,
        "finished": 6.0,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["jobs", "--state", "RUNING"], "'RUNING' is no state; did you mean 'RUNNING'?"),
        (["jobs", "--since", "5"], "--since: '5' has no unit"),
        (["jobs", "--tag", "a"], "--tag takes KEY=VALUE, not 'a'"),
        (["show", "zz"], "no job 'zz' is in the ledger"),
        (["show", ""], "no job '' is in the ledger"),
        (["show", "../../etc"], "no job '../../etc' is in the ledger"),
        (["wait"], "name the jobs: by their ids, or by filters"),
        (["cancel"], "name the jobs: by their ids, or by filters"),
        (["rerun"], "name the jobs: by their ids, or by filters"),
        (["cancel", "abc", "--name", "x"], "either by their ids or by filters"),
        (["prune"], "Missing option '--older-than'"),
    ],
)
def test_what_cannot_be_meant(book: Book, arguments: list[str], said: str) -> None:
    done = invoke(*arguments)
    assert (done.exit_code, done.stdout) == (125, "")
    assert said in done.stderr


def test_an_ambiguous_id_lists_who_may_be_meant(book: Book) -> None:
    book.add("abc1" + "0" * 16, name="one", status=DONE)
    book.add("abc2" + "0" * 16, name="two")
    done = invoke("show", "abc")
    assert done.exit_code == 125
    told = done.stderr.splitlines()
    assert told[0] == "anyjob: error: 'abc' fits several jobs: give the id of one"
    assert [line.split()[:3] for line in told[1:]] == [
        ["abc1" + "0" * 16, "DONE", "one"],
        ["abc2" + "0" * 16, "QUEUED", "two"],
    ]
    assert shown("ABC1")["name"] == "one"


def test_jobs_of_one_name_are_told_apart_by_their_work(book: Book) -> None:
    for n in (1, 2):
        book.add(job_id(f"{n}"), name="sweep", summary=Summary("./fit " + "x" * 99 + "\n", {"seed": n}))
    first, *told = invoke("show", "sweep").stderr.splitlines()
    assert first.endswith(": give the id of one")
    many = invoke("cancel", "sweep").stderr.splitlines()
    assert many[0].endswith(": give the id of one, or --name sweep for all of that name")
    assert many[1:] == told
    assert [line.partition(" on there, ")[2].partition(": ")[2][:13] for line in told] == [
        "seed=1: ./fit",
        "seed=2: ./fit",
    ]
    assert max(map(len, told)) < 130


def test_a_name_that_is_like_one_that_there_is(book: Book) -> None:
    book.add(job_id("a"), name="powers")
    assert "; did you mean 'powers'?" in invoke("show", "powerz").stderr
    with pytest.raises(JobNotFoundError, match=r"; did you mean 'powers'\?"):
        get_job("powerz")
    book.add(job_id("b"), name="powers")
    with pytest.raises(JobNotFoundError, match=r"; jobs\(name='powers'\) gives all that are called so"):
        get_job("powers")


def test_what_was_used_is_told_beside_what_the_last_attempt_was_given() -> None:
    retries = {"times": 3, "on": ["memory"], "grow": {"memory": 4}, "most": {"memory": "512MiB"}}
    asked = make_resources({"memory": "64MiB", "cpus": 1, "retries": retries})
    found: dict[str, Any] = dict.fromkeys(
        ("cpu_time", "peak_gpu_memory", "read_bytes", "written_bytes", "started", "finished")
    )
    found["peak_memory"] = 108 * 2**20
    found["resources"] = {"memory": asked.memory, "cpus": 1, "retries": msgspec.to_builtins(asked.retries)}
    for followed, memory in ((["lost"], "64MiB"), (["retry"], "256MiB"), (["retry"] * 2, "512MiB")):
        found["attempts"] = [{"followed_by": why} for why in (*followed, None)]
        assert dict(usage_lines(found))["peak memory"] == f"108.0 MiB of {memory}"


def shown(start: str) -> dict[str, str]:
    done = invoke("show", start)
    assert done.exit_code == 0, done.stderr
    return dict(re.split(r"  +", line, maxsplit=1) for line in done.stdout.splitlines())


def test_show_tells_of_a_command(book: Book) -> None:
    book.add(
        job_id("a"),
        spec=Command(["sh", "-c", "exit 3"], env={"TOKEN": "hunter2"}, cwd="/else"),
        name="fit",
        tags={"k": "v"},
        status=ERROR,
        resources=Resources(cpus=2, memory=2**30, walltime=3600),
        reason="exit-code",
        message="exit code 3",
        exit_code=3,
        started=1000.0,
        finished=1090.0,
        peak_memory=3 * 2**20,
        cpu_time=135.0,
        read_bytes=812,
        written_bytes=5 * 2**30 + 2**29,
        host="node7",
    )
    found = shown("a")
    assert found["job"] == job_id("a")
    assert (found["name"], found["tags"]) == ("fit", "k=v")
    assert (found["state"], found["message"]) == ("ERROR (exit-code)", "exit code 3")
    assert found["work"] == "TOKEN=… sh -c 'exit 3'"
    assert found["resources"] == "cpus 2, memory 1GiB, walltime 1h"
    assert found["backend"] == "there (type local, on another-host)"
    assert found["finished"].endswith("(ran 1m30s)")
    assert (found["exit code"], found["host"]) == ("3", "node7")
    assert (found["cpu time"], found["peak memory"]) == ("2m15s (1.50 of 2 cpus)", "3.0 MiB of 1GiB")
    assert (found["read"], found["written"]) == ("812 B", "5.5 GiB")
    columns = "cpu-time,peak-memory,read,written"
    line = invoke("jobs", "--columns", columns).stdout.splitlines()[1]
    assert re.split("  +", line) == ["2m15s", "3.0 MiB", "812 B", "5.5 GiB"]
    assert found["cwd"] == "/else"
    book.add(job_id("b"), status=DONE, started=1000.0, finished=1000.01, cpu_time=0.02)
    assert shown("b")["cpu time"] == "0.0s", "of how many cpus cannot be told of one so short"
    assert "hunter2" not in invoke("show", "a").stdout + invoke("show", "a", "--json").stdout
    as_json = json.loads(invoke("show", "a", "--json").stdout)
    assert as_json["resources"] == {"cpus": 2, "memory": 2**30, "walltime": 3600.0}
    assert (as_json["cpu_time"], as_json["read_bytes"]) == (135.0, 812)
    assert as_json["spec"]["argv"] == ["sh", "-c", "exit 3"]
    assert (as_json["exit_code"], as_json["peak_memory"], as_json["cwd"]) == (3, 3 * 2**20, "/somewhere")


def test_show_says_nothing_of_how_long_a_job_ran_that_never_began(book: Book) -> None:
    book.add(job_id("a"), spec=Command(["true"]), status=JobStatus.CANCELLED, finished=time.time() - 90)
    assert re.search(r"\(\S+ ago\)$", shown("a")["finished"])


def test_show_tells_of_a_call_that_failed(book: Book) -> None:
    trace = "Traceback (most recent call last):\n" + "  a line\n" * 30 + "ValueError: no"
    book.add(
        job_id("a"),
        spec=Call("math:log", (-1,), {"base": 2}),
        status=ERROR,
        reason="exception",
        message="ValueError: no",
        traceback=trace,
    )
    out = invoke("show", "a").stdout
    assert "math:log(-1, base=2)" in out
    assert "…" in out
    assert out.rstrip().endswith("ValueError: no")
    assert json.loads(invoke("show", "a", "--json").stdout)["traceback"] == trace


def test_show_can_do_without_the_work(book: Book) -> None:
    book.add(job_id("a"), payload=b"cmissing_module\nfn\n.", status=DONE)
    out = invoke("show", "a").stdout
    assert f"cannot be read here: JobError: what job {job_id('a')} was handed cannot be read by" in out
    assert ": No module named 'missing_module'; it was submitted by" in out


def test_what_would_move_the_cursor_is_written_out(book: Book) -> None:
    book.add(job_id("a"), name="a\x1b[2Jb", status=DONE)
    assert "\x1b" not in invoke("jobs").stdout + invoke("show", "a").stdout


class Engine(TaskBackend):
    """An engine whose jobs move while nobody looks."""

    accepts: ClassVar[frozenset[str]] = frozenset({"command"})
    capabilities: Capabilities = Capabilities(durable=True, find=True)
    where: ClassVar[dict[str, JobStatus]] = {}
    asked: ClassVar[list[int]] = []
    is_up = True

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, str]]:
        for order in orders:
            native_id = f"n{len(self.where)}"
            self.where[native_id] = QUEUED
            yield order, native_id

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        self.asked.append(len(tickets))
        if not self.is_up:
            raise BackendUnavailableError("the engine has its day off")
        return {ticket.job_id: self.told(self.where[ticket.native_id]) for ticket in tickets}

    def told(self, status: JobStatus) -> Observation:
        if status is QUEUED:
            return Observation(status, queue_position=4)
        return Observation(status, cost=0.25, currency="USD")

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        return {}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Engine]]:
    """Three jobs that another session has handed over."""
    registry = Registry()
    registry.register_backend("engine", Engine)
    monkeypatch.setattr(Engine, "where", {})
    with Session(registry=registry, state=tmp_path / "state") as session:
        session.get_backend("engine").run_many([Command(["true"])] * 3)
    monkeypatch.setattr(Engine, "asked", [])
    set_default_session(Session(registry=registry, state=tmp_path / "state"))
    yield Engine
    set_default_session(None)


def states() -> list[str]:
    return [row["state"] for row in json.loads(invoke("jobs", "--json").stdout)]


def test_an_engine_is_asked_once_about_all_that_have_not_ended(engine: type[Engine]) -> None:
    """qiskit-ibm-runtime#2755, submitit#1759, Snakemake-Profiles/slurm#74, aiida-core#2535: one query."""
    engine.where.update(n0=DONE, n2=RUNNING)
    assert invoke("jobs", "--no-refresh").stdout.count("QUEUED") == 3
    assert engine.asked == []
    assert states() == ["DONE", "QUEUED", "RUNNING"]
    assert engine.asked == [3]


def test_an_engine_that_is_away_leaves_what_is_known(
    engine: type[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "is_up", False)
    done = invoke("jobs")
    assert (done.exit_code, done.stdout.count("QUEUED")) == (0, 3)
    assert done.stderr == (
        "anyjob: warning: backend 'engine': 3 jobs are not up to date: the engine has its day off\n"
    )


def test_places_in_the_queue_and_costs_are_as_the_engine_tells_them(engine: type[Engine]) -> None:
    engine.where.update(n2=RUNNING)
    table = cells(invoke("jobs", "--columns", "state,position,cost").stdout)[1:]
    assert table == [["QUEUED", "4"], ["QUEUED", "4"], ["RUNNING", "0.25", "USD"]]


def test_an_engines_own_id_will_do(engine: type[Engine]) -> None:
    found = json.loads(invoke("show", "n1", "--json").stdout)
    assert (found["native_id"], found["state"]) == ("n1", "QUEUED")


def test_a_cancel_that_is_refused(engine: type[Engine]) -> None:
    done = invoke("cancel", "n1")
    assert (done.exit_code, done.stdout) == (1, "1 not cancelled\n")


def test_a_look_makes_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJOB_STATE", str(tmp_path / "none"))
    set_default_session(None)
    for command in (["jobs"], ["show", "abc"], ["prune", "--older-than", "1d", "--dry-run"]):
        invoke(*command)
    set_default_session(None)
    assert not (tmp_path / "none" / "ledger.sqlite").exists()


def test_prune_counts_first(book: Book) -> None:
    book.add(job_id("a"), job_id("b"), status=DONE, finished=time.time() - 100)
    book.add(job_id("c"), status=DONE, finished=time.time())
    book.add(job_id("d"))
    assert invoke("prune", "--older-than", "1m", "--dry-run").stdout == "2 jobs would be forgotten\n"
    assert len(listed()) == 4
    assert invoke("prune", "--older-than", "1m").stdout == "2 jobs forgotten\n"
    assert listed() == ["c", "d"]


@given(st.floats(0, 1e9))
def test_lengths_of_time_are_short(seconds: float) -> None:
    text = span(seconds)
    assert len(text) <= 9
    assert text[-1] in "smh"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (9.94, "9.9s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (7500, "2h05m"),
        (90000, "1d01h"),
    ],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_groups_of_states() -> None:
    assert set(read_states(["open"])) | set(read_states(["ended"])) == set(JobStatus)
    assert read_states(["failed,ERROR"]) == (ERROR,)


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (0.004677295685, "0.004677 credits"),
        (0.0, "0 credits"),
        (3.0, "3 credits"),
        (99.999, "100 credits"),
        (1234.5678, "1234.57 credits"),
        (2500000.0, "2500000 credits"),
    ],
)
def test_costs_for_people(cost: float, text: str) -> None:
    assert money(cost, "credits") == text


# --- usage ----------------------------------------------------------------------------------------


def test_costs_are_shown_and_summed_up_by_currency(book: Book) -> None:
    book.add(job_id("a"), status=DONE, name="fit", started=10.0, finished=70.0, cost=0.1, currency="USD")
    book.add(job_id("b"), status=ERROR, name="fit", started=10.0, finished=40.0, cost=0.2, currency="USD")
    book.add(job_id("c"), status=DONE, name="plot", started=10.0, finished=20.0, cost=3.0, currency="credits")
    book.add(job_id("d"), name="plot")
    assert cells(invoke("jobs", "--columns", "id,cost").stdout) == [
        ["id", "cost"],
        ["a000000", "0.1", "USD"],
        ["b000000", "0.2", "USD"],
        ["c000000", "3", "credits"],
        ["d000000"],
    ]
    assert shown("a")["cost"] == "0.1 USD"
    assert json.loads(invoke("show", "c", "--json").stdout)["cost"] == 3.0
    assert "cost" not in shown("d")
    (line,) = json.loads(invoke("usage", "--json").stdout)
    assert (line["backend"], line["jobs"], line["done"], line["failed"]) == ("there", 4, 2, 1)
    assert (line["seconds"], line["cost"]) == (100.0, {"USD": pytest.approx(0.3), "credits": 3.0})
    by_name = invoke("usage", "--by", "name").stdout.splitlines()
    assert [" ".join(line.split()) for line in by_name] == [
        "name jobs done failed ran core-hours cost",
        "fit 2 1 1 1m30s 0.03 0.3 USD",
        "plot 2 1 0 10s 0.00 3 credits",
    ]
    assert json.loads(invoke("usage", "--name", "nothing", "--json").stdout) == []
    assert len(json.loads(invoke("usage", "--by", "kind", "--by", "day", "--json").stdout)) == 1
    assert len(json.loads(invoke("usage", "--by", "kind,day,host", "--json").stdout)) == 1
    assert "did you mean 'backend'" in invoke("usage", "--by", "backen").stderr
