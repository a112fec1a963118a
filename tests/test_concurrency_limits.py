"""How many jobs of a name, or with a tag, run at a time: against a model, and the whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from running_local import Local, running, until
from support.cli_program import invoke

import anyjob
from anyjob import Command, JobStatus
from anyjob.builtin.local.supervisor.scheduling.concurrency_limits import ConcurrencyLimits
from anyjob.builtin.local.supervisor.scheduling.ordering import FairOrder, Lane
from anyjob.errors import ConfigError, JobFileError, SpecError, UnsupportedSpecError
from anyjob.jobfile.reader import parse
from anyjob.resources import Resources, labels_of
from anyjob.views.details.facts_of import collect
from anyjob.views.details.queue_place import queue_place
from anyjob.views.explanation.waiting import explain_waiting

KINDS = [
    Resources(name="a"),
    Resources(name="b", tags={"k": "1"}),
    Resources(name="a", tags={"k": "1"}),
    Resources(tags={"k": "2"}),
    Resources(),
]
LABELS = sorted({label for kind in KINDS for label in labels_of(kind)})
LIMITS = st.dictionaries(st.sampled_from(LABELS), st.integers(0, 3))


class Starts(RuleBasedStateMachine):
    """Jobs of random names and tags that start and end, while limits change."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = ConcurrencyLimits()
        self.most: dict[str, int] = {}
        self.waiting: Counter[int] = Counter()
        self.running: dict[str, int] = {}
        self.number = 0

    def lanes(self) -> tuple[FairOrder, dict[Lane, int]]:
        turns, kinds = FairOrder(), {}
        for kind, count in self.waiting.items():
            if count:
                lane = Lane(0, 0, f"{kind}", self.limits.limited(KINDS[kind]))
                turns.add(lane)
                kinds[lane] = kind
        return turns, kinds

    def room_for(self, kind: int) -> bool:
        counts = Counter(label for each in self.running.values() for label in labels_of(KINDS[each]))
        return all(counts[label] < self.most.get(label, 99) for label in labels_of(KINDS[kind]))

    @rule(kind=st.integers(0, len(KINDS) - 1), count=st.integers(1, 3))
    def submit(self, kind: int, count: int) -> None:
        self.waiting[kind] += count

    @rule()
    def start(self) -> None:
        turns, kinds = self.lanes()
        lane = turns.next(allows=lambda lane: self.limits.allows(lane.limited))
        if lane is None:
            assert not any(self.waiting[kind] and self.room_for(kind) for kind in self.waiting), "it starves"
            return
        assert self.room_for(kinds[lane]), "there are too many"
        self.number += 1
        self.waiting[kinds[lane]] -= 1
        self.running[f"{self.number}"] = kinds[lane]
        self.limits.take(f"{self.number}", KINDS[kinds[lane]])

    @rule(data=st.data())
    def end(self, data: Any) -> None:
        if self.running:
            job_id = data.draw(st.sampled_from(sorted(self.running)))
            del self.running[job_id]
            self.limits.give_back(job_id)
            self.limits.give_back(job_id)  # who is told twice counts once

    @rule(most=LIMITS)
    def change(self, most: dict[str, int]) -> None:
        assert self.limits.set(most) is (most != self.most)
        self.most = most

    @rule()
    def lose_the_keeper(self) -> None:
        self.running.clear()
        self.limits.clear()

    @invariant()
    def as_counted(self) -> None:
        for kind in range(len(KINDS)):
            assert self.limits.allows(self.limits.limited(KINDS[kind])) is self.room_for(kind)


TestStarts = Starts.TestCase
TestStarts.settings = settings(max_examples=60, stateful_step_count=25)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path, slots=4) as made:
        yield made


def test_a_limit_holds_lets_others_by_and_is_changed_live(own: Local) -> None:
    gated = Command(["cat", own.fifo])
    fits = own.backend.run_many([gated] * 4, name="fit", limit=2, tags={"study": "a"})

    def run_now() -> int:
        return sum(job.status() is JobStatus.RUNNING for job in fits)

    until(lambda: run_now() == 2, "two run")
    assert own.backend.run(abs, -1, name="other").result(30) == 1, "others pass by"
    assert run_now() == 2
    (row,) = own.session.ledger.rows([fits[-1].job_id()]).values()
    told = explain_waiting(collect(own.session, row))
    assert told.headline.startswith("waits for the limit of fit")
    assert "2 of fit may run at a time, and 2 do" in told.why
    assert queue_place(fits[-1])[1] == "waits for the limit of fit: 2 running of 2 at a time"
    assert any("anyjob limit fit N" in way for way in told.ways_out)
    assert own.session.limit("fit", 3, backend=own.backend) == {"fit": 3}
    until(lambda: run_now() == 3, "another one runs")
    own.backend.limit("fit", None)
    assert own.backend.limit(tags={"study": "a"}, most=3) == {"tag:study=a": 3}
    until(lambda: run_now() >= 3, "three run")
    own.backend.limit(tags={"study": "a"})
    until(lambda: run_now() == 4, "all run")
    own.session.cancel(fits)


def test_jobs_of_a_job_do_not_wait_for_the_limit_that_it_holds(own: Local) -> None:
    def parent() -> Any:
        return anyjob.get_backend("local").run(abs, -3, name="same").result(30)

    own.backend.limit("same", 1)
    job = own.backend.run(parent, name="same")
    assert job.result(60) == 3


def test_limits_that_make_no_sense_are_told(own: Local, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="limit=2 is of the jobs of one name: give that, too"):
        own.backend.run(abs, -1, limit=2)
    with pytest.raises(SpecError, match="does not do: it must be a whole number, 0 or more"):
        own.backend.limit("fit", "x")
    with pytest.raises(SpecError, match="a limit is of the jobs of a name, or with a tag"):
        own.backend.limit()
    with pytest.raises(ConfigError, match="limits"):
        own.backend.set_options({"limits": {"fit": -1}})
    with (
        anyjob.Session(anyjob.Config.from_dict({}), state=tmp_path / "other") as session,
        pytest.raises(UnsupportedSpecError, match="'threads' cannot limit how many jobs of a name"),
    ):
        session.run(abs, -1, backend="threads", name="fit", limit=2)
    for text in ("limit = -1", "limit = true", "limit = 2"):
        with pytest.raises(JobFileError, match="limit"):
            parse(f'{text}\n[command]\nargv = ["true"]', "f.toml")


def test_a_limit_on_the_command_line_asks_for_a_name_in_its_words() -> None:
    done = invoke("run", "--limit", "2", "--", "true")
    assert (done.exit_code, "as --name fit" in done.stderr) == (125, True), done.stderr


@pytest.mark.usefixtures("local_cli")
def test_the_command_line_and_job_files(tmp_path: Path) -> None:
    assert invoke("limit").stdout == "no limits\n"
    assert invoke("limit", "fit", "3").stdout == "fit: 3 at a time\n"
    assert "tag:study=a: 2 at a time" in invoke("limit", "--tag", "study=a", "2").stdout
    assert invoke("limit", "fit", "none").stdout == "tag:study=a: 2 at a time\n"
    done = invoke("run", "--limit", "5", "--name", "one", "--", "true")
    assert done.exit_code == 0, done.stderr
    file = tmp_path / "sweep.toml"
    file.write_text('name = "sweep"\nlimit = 4\n[command]\nargv = ["true"]\n[matrix]\nx = [1, 2]\n')
    done = invoke("run", str(file))
    assert done.exit_code == 0, done.stderr
    found = json.loads(invoke("limit", "--json").stdout)
    assert found == {"tag:study=a": 2, "one": 5, "sweep": 4}
    assert invoke("limit", "one").stdout == "one: 5 at a time\n"
    assert invoke("limit", "--tag", "study=a").stdout == "tag:study=a: 2 at a time\n"
    assert invoke("limit", "other").stdout == "no limits\n"
    assert "limit of what? Give a name" in invoke("limit", "3").stderr
    assert "how many: anyjob limit fit 3" in invoke("limit", "fit", "3", "4").stderr
    assert "not 'x'" in invoke("limit", "fit", "x").stderr


@pytest.mark.usefixtures("local_cli")
def test_a_limit_of_a_name_that_no_job_has_is_told() -> None:
    assert (
        "no job is called 'unheard' yet, it holds for those that come"
        in invoke("limit", "unheard", "3").stderr
    )
    told = invoke("limit", "--tag", "never=set", "3")
    assert "no job has the tag never=set yet, it holds for those that come" in told.stderr
    assert invoke("run", "--name", "unheard", "--tag", "never=set", "--", "true").exit_code == 0
    assert invoke("limit", "unheard", "2").stderr == invoke("limit", "--tag", "never=set", "2").stderr == ""
    told = invoke("limit", "unheardd", "2")
    assert "no job is called 'unheardd' yet; did you mean 'unheard'?" in told.stderr
    assert "unheardd: 2 at a time" in told.stdout
    assert invoke("limit", "unheardddd", "none").stderr == ""
