"""A job that others have submitted becomes one of ours: with an id, a name, tags, and a row in the ledger."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.cli_program import install, invoke
from support.durable_backends import Cluster, ClusterBackend, new_session

from anyjob import (
    Command,
    CommandResult,
    JobError,
    JobNotFoundError,
    JobStatus,
    Spec,
    SpecError,
    TaskJob,
    set_default_session,
)

CONFIG = {"backends": {"hpc": {"type": "cluster", "address": "north"}}}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster that somebody has given two jobs."""
    cluster = Cluster()
    cluster.jobs |= {"4711": JobStatus.RUNNING, "4712": JobStatus.DONE}
    cluster.values["4712"] = pickle.dumps(42)
    monkeypatch.setattr(ClusterBackend, "clusters", {"north": cluster})
    return cluster


def test_it_is_listed_found_and_waited_for_as_ours_are(cluster: Cluster, tmp_path: Path) -> None:
    with new_session(tmp_path, CONFIG) as session:
        job = session.get_backend("hpc").attach("4711", name="calibration", tags={"study": "a"})
        assert session.jobs(name="calibration") == session.jobs(backend="hpc", tags={"study": "a"}) == [job]
    cluster.jobs["4711"] = JobStatus.DONE
    cluster.values["4711"] = pickle.dumps("cold")
    with new_session(tmp_path, CONFIG) as later:
        for asked in (job.job_id(), job.job_id()[:8], "4711", "calibration"):
            assert later.get_job(asked) == job
        assert later.get_job("4711", backend="hpc") == job
        again = later.get_job(job.job_id())
        assert again.result(timeout=30) == "cold"
        told = again.metadata()
        assert (told["kind"], told["route"], told["name"], told["tags"], told["native_id"]) == (
            "", [], "calibration", {"study": "a"}, "4711",
        )  # fmt: skip
        assert "4711, submitted elsewhere" in repr(again)
    cluster.jobs.clear()  # the cluster has forgotten it, and the ledger has not
    with new_session(tmp_path, CONFIG) as later:
        assert later.get_job(job.job_id()).result(timeout=30) == "cold"


class Lonely(Spec, frozen=True, tag="acme.lonely"):
    """Work of the one kind that a service takes."""


class LonelyResult(NamedTuple):
    text: str
    asked: Lonely | None


class LonelyJob(TaskJob):
    spec_type = Lonely

    @classmethod
    def lift(cls, spec: Lonely | None, to: str, value: str) -> LonelyResult:
        return LonelyResult(f"{to}: {value}", spec)


def test_where_a_backend_takes_one_kind_alone_it_is_of_that_kind(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClusterBackend, "accepts", frozenset({"acme.lonely"}))
    with new_session(tmp_path, CONFIG) as session:
        session.registry.register_job_type("acme.lonely", LonelyJob)
        job = session.get_backend("hpc").attach("4712")
        assert job.result(timeout=30) == LonelyResult("acme.lonely: 42", None)
        assert isinstance(job, LonelyJob)
        assert (job.metadata()["route"], job._record.spool) == (["acme.lonely"], None)
    with new_session(tmp_path, CONFIG) as without:
        again = without.get_job(job.job_id())
        assert (again.result(), again.metadata()["route"]) == (42, [])
        with pytest.raises(JobError, match="anyjob did not submit this job"):
            again.spec()
    with new_session(tmp_path, CONFIG) as later:
        later.registry.register_job_type("acme.lonely", LonelyJob)
        assert later.get_job(job.job_id()).result() == LonelyResult("acme.lonely: 42", None)


def test_a_program_of_others_has_a_result_of_its_kind_too(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClusterBackend, "accepts", frozenset({"command"}))
    with new_session(tmp_path, CONFIG) as session:
        result = session.get_backend("hpc").attach("4712").result(timeout=30)
    assert isinstance(result, CommandResult)
    assert (result.exit_code, result.stdout.path) == (0, None)


def test_it_is_the_same_job_however_often_and_wherever_it_is_attached(
    cluster: Cluster, tmp_path: Path
) -> None:
    with new_session(tmp_path, CONFIG) as session, new_session(tmp_path, CONFIG) as other:
        job = session.get_backend("hpc").attach("4711", name="first")
        assert session.get_backend("hpc").attach("4711", name="second") == job
        assert other.get_backend("hpc").attach("4711", name="third") == job
        assert [each.job_id() for each in other.jobs()] == [job.job_id()]
        assert session.jobs(name="third") == []


def test_two_that_attach_at_the_same_time_have_one_job(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_session(tmp_path, CONFIG) as session, new_session(tmp_path, CONFIG) as other:
        backend: Any = session.get_backend("hpc")
        faster: list[Any] = []
        ask = backend.observe

        def observe(tickets: Any) -> Any:
            if not faster:
                faster.append(other.get_backend("hpc").attach("4711"))
            return ask(tickets)

        monkeypatch.setattr(backend, "observe", observe)
        assert [backend.attach("4711")] == faster
        assert len(session.jobs()) == 1


def test_a_job_of_ours_is_found_by_the_id_that_the_engine_has_given_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    with new_session(tmp_path, CONFIG) as session:
        ours = session.get_backend("hpc").run(Command(["true"]))
    native_id = ours.native_id()
    assert native_id is not None
    with new_session(tmp_path, CONFIG) as later:
        assert later.get_backend("hpc").attach(native_id) == ours
        assert later.get_job(ours.job_id()).spec() == Command(["true"])


def test_what_it_was_handed_is_not_known(cluster: Cluster, tmp_path: Path) -> None:
    with new_session(tmp_path, CONFIG) as session:
        job = session.get_backend("hpc").attach("4712")
        assert job.result(timeout=30) == 42
        assert repr(job)
    with new_session(tmp_path, CONFIG) as later:
        for each in (job, later.get_job(job.job_id())):
            with pytest.raises(JobError, match="anyjob did not submit this job"):
                each.spec()
        with pytest.raises(JobError, match="anyjob did not submit this job"):
            later.rerun([later.get_job(job.job_id())])
        assert later.jobs() == [job]


def test_nothing_is_entered_that_the_engine_does_not_know_or_that_cannot_be_called_so(
    cluster: Cluster, tmp_path: Path
) -> None:
    with new_session(tmp_path, CONFIG) as session:
        with pytest.raises(JobNotFoundError, match=r"'hpc' was given no job '4711' by us: attach\('4711'\)"):
            session.get_job("4711", backend="hpc")
        with pytest.raises(JobNotFoundError, match="backend 'hpc' has no job '4713'"):
            session.get_backend("hpc").attach("4713")
        with pytest.raises(SpecError, match="name is text"):
            session.get_backend("hpc").attach("4711", name=7)  # type: ignore[arg-type]
        assert session.jobs() == []


# --- on the command line --------------------------------------------------------------------------


@pytest.fixture
def place(
    cluster: Cluster, import_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    install(import_site, "acme", "[anyjob.backends]\ncluster = support.durable_backends:ClusterBackend\n")
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    monkeypatch.chdir(tmp_path)
    Path("anyjob.toml").write_text('[backends.hpc]\ntype = "cluster"\naddress = "north"\n')
    yield
    set_default_session(None)


def test_a_job_that_is_known_keeps_its_name_and_that_is_said(place: None) -> None:
    first = invoke("attach", "hpc", "4711", "--name", "one")
    again = invoke("attach", "hpc", "4711", "--name", "other", "--tag", "study=a")
    assert (again.exit_code, again.stdout, first.stderr) == (0, first.stdout, "")
    says = f"4711 was a job here already, {first.stdout.strip()}, called 'one': it keeps its name and tags"
    assert again.stderr == f"anyjob: {says}\n"
    for same in (["--name", "one"], []):
        assert invoke("attach", "hpc", "4711", *same).stderr == ""


def test_the_command_prints_our_ids(place: None) -> None:
    done = invoke("attach", "hpc", "4711", "4712", "--name", "calibration", "--tag", "study=a")
    assert done.exit_code == 0, done.stderr
    ours = done.stdout.split()
    listed = invoke("jobs", "--name", "calibration", "--columns", "id,state,work").stdout
    for job_id, state, native_id in zip(ours, ("RUNNING", "DONE"), ("4711", "4712"), strict=True):
        assert job_id[:7] in listed
        assert f"{native_id}, submitted elsewhere" in listed
        assert state in listed
    shown = invoke("show", ours[1])
    assert shown.exit_code == 0, shown.stderr
    assert "work       4712, submitted elsewhere\n" in shown.stdout
    assert invoke("result", ours[1]).stdout.strip() == "42"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["hpc", "4713"], "backend 'hpc' has no job '4713'"),
        (["hpcc", "4711"], "hpc"),
        (["threads", "4711"], "keeps no jobs that somebody else could look at"),
        (["local", "4711"], "backend 'local' has no job '4711'"),
        (["hpc", "4711", "--tag", "study"], "--tag"),
    ],
)
def test_the_command_says_what_is_wrong(place: None, arguments: list[str], told: str) -> None:
    done = invoke("attach", *arguments)
    assert done.exit_code == 125
    assert told in done.stderr
