"""What plugins see of work before it runs, and what they may change of what it is given."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import anyjob, install, invoke
from support.scripted_backends import ScriptedEngine

from anyjob import (
    Amended,
    Call,
    Command,
    Config,
    File,
    JobRejectedError,
    Refused,
    Registry,
    Session,
    SpecError,
    aio,
    set_default_session,
)
from anyjob.backend import Capabilities
from anyjob.errors import BrokenPluginError


class Durable(ScriptedEngine):
    capabilities = Capabilities(durable=True, find=True)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.handed: list[list[Any]] = []

    def launch(self, orders: Any) -> Any:
        self.handed.append([order.resources for order in orders])
        return super().launch(orders)


class Policy:
    """A plugin that says of each job what it is told to."""

    def __init__(self, decide: Callable[[Any], Any]) -> None:
        self._decide = decide

    def anyjob_before_submit(self, resources: Any) -> Any:
        return self._decide(resources)


class ByTheSizeOfFiles:
    """Chooses by what goes with the work, and notes what it has seen."""

    def __init__(self) -> None:
        self.chosen_for = b""
        self.submitted = b""

    def anyjob_choose_backend(self, spec: Any) -> str:
        self.chosen_for = spec.files["data"].content
        return "acme.durable" if len(self.chosen_for) > 10 else "threads"

    def anyjob_before_submit(self, spec: Any) -> None:
        self.submitted = spec.files["data"].content


def session_with(state: Path, *plugins: Any, **config: Any) -> Session:
    registry = Registry()
    registry.register_backend("acme.durable", Durable)
    for plugin in plugins:
        registry.hooks.register(plugin)
    return Session(Config.from_dict(config), registry, state)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJOB_STRICT_PLUGINS", "1")


@pytest.mark.parametrize(("size", "backend"), [(3, "threads"), (30, "acme.durable")])
async def test_a_backend_is_chosen_by_the_work_as_it_will_run(
    size: int, backend: str, tmp_path: Path
) -> None:
    (tmp_path / "data").write_bytes(b"x" * size)
    plugin = ByTheSizeOfFiles()
    work = Command(["true"], files={"data": str(tmp_path / "data")})  # type: ignore[dict-item]
    with session_with(tmp_path / "state", plugin) as session:
        assert session.choose_backend(work).name() == backend
        for job in (session.run(work), await aio.run(work, session=session)):
            assert job.backend().name() == backend
            assert plugin.chosen_for == plugin.submitted == b"x" * size
            assert job.spec().files["data"].content == plugin.chosen_for


def test_what_was_seen_when_a_backend_was_chosen_is_what_runs(tmp_path: Path) -> None:
    class Changing(ByTheSizeOfFiles):
        def anyjob_choose_backend(self, spec: Any) -> str:
            chosen = super().anyjob_choose_backend(spec)
            (tmp_path / "data").write_bytes(b"changed since")
            return chosen

    (tmp_path / "data").write_bytes(b"seen")
    plugin = Changing()
    with session_with(tmp_path / "state", plugin) as session:
        job = session.run(Command(["true"], files={"data": File(str(tmp_path / "data"))}))
        assert job.spec().files["data"].content == b"seen"


def test_a_file_that_cannot_be_read_is_told_before_a_backend_is_chosen(tmp_path: Path) -> None:
    with (
        session_with(tmp_path, ByTheSizeOfFiles()) as session,
        pytest.raises(SpecError, match="cannot read the file 'nowhere'"),
    ):
        session.run(Command(["true"], files={"data": File("nowhere")}))


def test_a_plugin_amends_what_a_job_is_given_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def decide(resources: Any) -> Any:
        options = {"acme": {"queue": "short"}}
        return Amended("the rule", walltime="1h", tags={"project": "sun"}, options=options, notes={"a": "b"})

    caplog.set_level(logging.INFO, "anyjob.plugins")
    given = {"name": "fit", "tags": {"study": "s"}, "options": {"acme": {"reserved": True}}}
    said = (
        "Policy has set walltime='1h', tags={'project': 'sun'}, options={'acme': {'queue': 'short'}}: "
        "the rule"
    )
    with session_with(tmp_path, Policy(decide)) as session:
        job = session.run(Call(abs, (-1,)), "acme.durable", **given)
        backend: Any = job.backend()
        ((resources,),) = backend.handed
        assert (resources.walltime, resources.name) == (3600, "fit")
        assert resources.tags == {"study": "s", "project": "sun"}
        assert resources.options == {"acme": {"reserved": True, "queue": "short"}}
        assert job.metadata()["tags"] == resources.tags
        assert job.notes() == {"a": "b", "anyjob.amended": said}
    with session_with(tmp_path) as again:
        (found,) = again.jobs(tags={"project": "sun"})
        assert found.job_id() == job.job_id()
        assert found._record.resources.walltime == 3600
        assert found.notes()["anyjob.amended"] == said
    assert [record.getMessage() for record in caplog.records] == [said]


def test_each_plugin_sees_what_those_before_it_have_amended(tmp_path: Path) -> None:
    def limit(resources: Any) -> None:
        if resources.walltime > 1800:
            raise Refused("no more than half an hour")

    longest = Policy(limit)  # registered first, called last
    default = Policy(lambda resources: Amended("a default", walltime="1h"))
    with (
        session_with(tmp_path, longest, default) as session,
        pytest.raises(Refused, match=r"half an hour \(refused by the plugin Policy\)"),
    ):
        session.run(Call(abs, (-1,)), "threads")


def test_jobs_of_one_call_may_be_given_different_things(tmp_path: Path) -> None:
    """Those that are given the same are handed over together; one that is refused is in its place."""
    seen: list[int] = []

    def decide(resources: Any) -> Any:
        seen.append(1)
        if len(seen) == 3:
            raise Refused("the third")
        return None if len(seen) % 2 else Amended("the rule", cpus=2)

    with session_with(tmp_path, Policy(decide)) as session:
        backend: Any = session.get_backend("acme.durable")
        jobs = backend.map(abs, range(5))
        assert [job.metadata()["status"] for job in jobs].count("ERROR") == 1
        assert [[each.cpus for each in launch] for launch in backend.handed] == [[None, None], [2, 2]]
        assert [job._record.resources.cpus for job in jobs] == [None, 2, None, 2, None]
        assert [job.spec().args for job in jobs] == [(number,) for number in range(5)]
        with pytest.raises(JobRejectedError, match=r"the third \(refused by the plugin Policy\)"):
            jobs[2].result(10)


def test_where_one_of_several_hand_overs_fails_the_jobs_of_the_others_are_cancelled(tmp_path: Path) -> None:
    class FailsTheSecondTime(Durable):
        def launch(self, orders: Any) -> Any:
            if self.handed:
                raise OSError("no more")
            return super().launch(orders)

    seen: list[int] = []

    def decide(resources: Any) -> Any:
        seen.append(1)
        return Amended("the rule", cpus=len(seen))

    with session_with(tmp_path, Policy(decide)) as session:
        session.registry.register_backend("acme.failing", FailsTheSecondTime)
        with pytest.raises(OSError, match="no more") as raised:
            session.get_backend("acme.failing").map(abs, range(3))
        (note,) = raised.value.__notes__
        assert "that were" in note
        assert len(session.jobs()) == 1  # the others are in no ledger


def test_an_amendment_that_makes_no_sense_is_a_fault_of_its_plugin(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = Policy(lambda resources: Amended("the rule", waltime="1h"))
    with session_with(tmp_path, policy) as session:
        assert session.run(Call(abs, (-1,)), "threads").result() == 1
    assert "unknown resource 'waltime'; did you mean 'walltime'?" in caplog.text


@pytest.mark.usefixtures("strict")
def test_where_plugins_are_strict_such_an_amendment_is_raised(tmp_path: Path) -> None:
    policy = Policy(lambda resources: Amended("the rule", waltime="1h"))
    with (
        session_with(tmp_path, policy) as session,
        pytest.raises(BrokenPluginError, match="did you mean 'walltime'"),
    ):
        session.run(Call(abs, (-1,)), "threads")


# --- on the command line --------------------------------------------------------------------------

POLICY = """
import anyjob

def anyjob_before_submit(resources):
    if resources.name == "forbidden":
        raise anyjob.Refused("not that one")
    if resources.walltime is None:
        return anyjob.Amended("the house's default", walltime="1h", tags={"project": "sun"})
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = tmp_path / "site"
    install(site, "acme-rules", "[anyjob.plugins]\nhouse = acme_rules\n", acme_rules=POLICY)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.syspath_prepend(str(site))
    set_default_session(None)
    yield
    set_default_session(None)
    sys.modules.pop("acme_rules", None)


@pytest.mark.usefixtures("_installed")
def test_the_command_line_says_what_was_amended_and_who_refused() -> None:
    said = "acme-rules has set walltime='1h', tags={'project': 'sun'}: the house's default"
    done = anyjob("run", "-b", "local", "--", "true")
    assert (done.returncode, done.stderr.decode()) == (0, f"anyjob: {said}\n")
    done = anyjob("jobs", "--tag", "project=sun", "--json")
    (job,) = json.loads(done.stdout)
    shown = invoke("show", job["job_id"])
    assert said in shown.stdout
    assert "walltime" in shown.stdout
    assert json.loads(invoke("show", job["job_id"], "--json").stdout)["notes"] == {"anyjob.amended": said}
    done = anyjob("run", "-b", "inline", "--name", "forbidden", "--", "true")
    assert done.stderr == b"anyjob: error: not that one (refused by the plugin acme-rules)\n"


@pytest.mark.usefixtures("_installed")
def test_a_check_of_a_backend_minds_no_policy_of_others_unless_asked_to(tmp_path: Path) -> None:
    rule = POLICY.replace('resources.name == "forbidden"', "True")
    (tmp_path / "site" / "acme_rules.py").write_text(rule)
    done = anyjob("backends", "check", "inline", "--quick")
    assert done.returncode == 0, done.stdout
    assert "those of acme-rules are left out" in done.stdout.decode()
    done = anyjob("backends", "check", "inline", "--quick", "--hooks")
    assert done.returncode == 1
    assert "refused by the plugin acme-rules" in done.stdout.decode()
