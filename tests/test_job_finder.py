"""Jobs are found again by whoever has the ledger, whatever is configured now; class and backend not named."""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.durable_backends import Account, ClusterBackend, Device, new_session
from support.ledgers import files_below

from anyjob import (
    BackendError,
    BackendUnavailableError,
    Call,
    Command,
    Config,
    ConfigError,
    JobError,
    JobNotFoundError,
    JobStatus,
    Registry,
    Session,
    SpecError,
    UnknownNameError,
    aio,
    hookimpl,
)
from anyjob.orders import Answer, Order
from anyjob.session.jobs.filters import as_time

RUNNING, QUEUED, DONE = JobStatus.RUNNING, JobStatus.QUEUED, JobStatus.DONE
LONG = 30
Open = Callable[..., Session]


@pytest.fixture(autouse=True)
def _empty_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClusterBackend, "clusters", {})
    monkeypatch.setattr(Device, "devices", {})


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Gives sessions on one state directory, each as another process would have it."""
    made: list[Session] = []

    def make(config: Any = None, *plugins: object) -> Session:
        made.append(new_session(tmp_path / "state", config, *plugins))
        return made[-1]

    yield make
    for session in made:
        session.close()


def one_cluster(name: str = "hpc", **options: Any) -> dict[str, Any]:
    return {"backends": {name: {"type": "cluster", **options}}}


# --- by id ----------------------------------------------------------------------------------------


def test_a_job_is_found_without_naming_its_class_or_backend(opened: Open) -> None:
    """cuda-quantum#3769, qBraid#878: re-create a job without knowing its class."""
    job = opened(one_cluster()).get_backend("hpc").run(Call(pow, (2, 3)), name="n", tags={"k": "v"}, cpus=2)
    again = opened(one_cluster()).get_job(job.job_id())
    assert (type(again), again, again.backend().name()) == (type(job), job, "hpc")
    assert again.spec() == Call(pow, (2, 3))
    assert again.native_id() == "here.0"
    assert again.metadata()["tags"] == {"k": "v"}
    ClusterBackend.clusters["here"].jobs["here.0"] = RUNNING
    assert again.status() is RUNNING


def test_ids_abbreviate_and_the_engines_ids_do_too(opened: Open) -> None:
    jobs = opened(one_cluster()).get_backend("hpc").run_many([Call(pow, (1, 1))] * 30)
    session = opened(one_cluster())
    for job in jobs:
        assert session.get_job(job.job_id()[:12]) == job
    assert session.get_job("here.7") == jobs[7]
    first = {job.job_id()[:1] for job in jobs}
    assert len(first) < 30
    shared = next(c for c in first if sum(job.job_id().startswith(c) for job in jobs) > 1)
    with pytest.raises(JobNotFoundError, match=r"fits several jobs \(.*give more of it"):
        session.get_job(shared)


@pytest.mark.parametrize("wrong", ["", "zzz", "../..", "%", "g" * 20, "0" * 21])
def test_an_id_that_there_is_not(opened: Open, wrong: str) -> None:
    session = opened(one_cluster())
    with pytest.raises(JobNotFoundError, match=r"get_job\(id, backend=…\)"):
        session.get_job(wrong)
    assert not session.services.ledger.exists  # to ask makes none
    session.get_backend("hpc").run(Call(pow, (1, 1)))
    with pytest.raises(JobNotFoundError):
        session.get_job(wrong)


def test_a_job_of_this_process_and_one_of_the_ledger_may_both_be_meant(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["abc" + "1" * 17, "abc" + "2" * 17, "d" * 20])
    monkeypatch.setattr("anyjob.runtime.submission.submit.new_id", lambda: next(ids))
    session = opened(one_cluster())
    durable = session.get_backend("hpc").run(Call(abs, (1,)))
    threads = session.get_backend("threads")
    here = threads.run(Call(abs, (2,)))
    with pytest.raises(JobNotFoundError, match="fits several jobs"):
        session.get_job("abc")
    assert [session.get_job(job.job_id()[:4]) for job in (durable, here)] == [durable, here]
    named = threads.run(Call(abs, (3,)), name="abc")
    assert session.get_job("abc") == named  # a name wins over what merely begins so


def test_the_same_handle_is_shared_in_a_process(opened: Open) -> None:
    session = opened(one_cluster())
    job = session.get_backend("hpc").run(Call(pow, (1, 1)))
    assert session.get_job(job.job_id())._record is job._record
    assert session.jobs()[0]._record is job._record


def test_jobs_are_looked_for_since_a_day_or_a_time_of_one() -> None:
    now = datetime.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert as_time("2026-11-30") == datetime(2026, 11, 30).timestamp()
    assert as_time(" 2026-11-30 14:05") == datetime(2026, 11, 30, 14, 5).timestamp()
    assert as_time("2026-11-30T14:05+02:00") == datetime(2026, 11, 30, 12, 5, tzinfo=UTC).timestamp()
    assert as_time("Yesterday") in {  # it may have become midnight meanwhile
        (day - timedelta(days=1)).timestamp() for day in (midnight, midnight + timedelta(days=1))
    }
    assert as_time("1-12") == pytest.approx(now.timestamp() - 36 * 3600, abs=600)  # still Slurm's 36 hours


@pytest.mark.parametrize("wrong", ["2026-13-01", "2026-11-30 noon", "9999999-01-01", "tomorrow"])
def test_what_is_no_day_or_time_is_refused_with_what_is(wrong: str) -> None:
    with pytest.raises(SpecError, match=r"^--since: .*(is no day or time: |yesterday, 2026-11-30 14:00)"):
        as_time(wrong, what="--since")


def test_a_month_is_not_taken_for_thousands_of_days_and_some_hours() -> None:
    with pytest.raises(SpecError, match=r"^--since: '2026-11' names no day: write 2026-11-01$"):
        as_time("2026-11", what="--since")


def test_a_datetime_that_no_clock_has_shown_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^since: datetime\.datetime\(1, 1, 1, 0, 0\) is no time: "):
        as_time(datetime.min)


# --- which backend ----------------------------------------------------------------------------------


def test_a_renamed_backend_is_the_same(opened: Open) -> None:
    job = opened(one_cluster("old")).get_backend("old").run(Call(pow, (1, 1)))
    session = opened(one_cluster("new"))
    assert session.get_job(job.job_id()).backend() is session.get_backend("new")


def test_each_job_is_asked_about_on_its_own_cluster(opened: Open) -> None:
    both = {"backends": {"a": {"type": "cluster", "address": "a"}, "b": {"type": "cluster", "address": "b"}}}
    session = opened(both)
    jobs = [session.get_backend(name).run(Call(pow, (1, 1))) for name in "ab"]
    # Names are exchanged: what was configured as a is b now, and the other way round.
    swapped = {"backends": {"a": both["backends"]["b"], "b": both["backends"]["a"]}}
    later = opened(swapped)
    for job, name in zip(jobs, "ba", strict=True):
        again = later.get_job(job.job_id())
        assert again.backend() is later.get_backend(name)
        assert again.status() is QUEUED
    assert {name: cluster.asked for name, cluster in ClusterBackend.clusters.items()} == {
        "a": ["a.0"],
        "b": ["b.0"],
    }


@pytest.mark.parametrize(
    "config",
    [None, one_cluster(address="there"), one_cluster(partition="long")],
    ids=["removed", "moved", "changed"],
)
def test_a_changed_configuration_loses_no_job(opened: Open, config: Any) -> None:
    job = opened(one_cluster()).get_backend("hpc").run(Call(pow, (1, 1)))
    session = opened(config)
    again = session.get_job(job.job_id())
    assert again.status() is QUEUED
    assert ClusterBackend.clusters["here"].asked
    assert "there" not in ClusterBackend.clusters
    assert again.backend().options.partition == "debug"
    assert session.get_job(job.job_id()).backend() is again.backend()  # and is not made each time
    assert session.jobs()[0].backend() is again.backend()


def test_secrets_are_references_and_never_in_the_ledger(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "do-not-tell-1")
    (tmp_path / "token").write_text("do-not-tell-2")
    (tmp_path / "token").chmod(0o600)
    backends = {
        "by-env": {"type": "cluster", "token": {"env": "MY_TOKEN"}},
        "by-file": {"type": "cluster", "token": {"file": str(tmp_path / "token")}},
        "by-text": {"type": "cluster", "token": "do-not-tell-3"},
        "plain": {"type": "device", "token": "do-not-tell-4", "url": "https://me:do-not-tell-5@there"},
        "plain-env": {"type": "device", "auth": {"env": "MY_TOKEN"}},
    }
    session = opened({"backends": backends})
    jobs = {
        name: session.get_backend(name).run(*([] if "plain" in name else [Call(pow, (1, 1))]))
        for name in backends
    }
    session.jobs()
    content = b"".join(path.read_bytes() for path in files_below(session.services.ledger.state))
    assert b"MY_TOKEN" in content
    assert b"do-not-tell" not in content

    later = opened()
    found = later.get_job(jobs["by-env"].job_id()).backend()
    assert found.options.token.get() == "do-not-tell-1"
    with pytest.raises(BackendError, match=r"cannot be made.*nobody can ask.*Configure it again as it was"):
        later.get_job(jobs["by-text"].job_id()).status()


def test_a_backend_of_a_provider_is_found_by_the_account(opened: Open) -> None:
    def config(provider: str, **options: Any) -> dict[str, Any]:
        return {
            "backends": {"q": {"type": f"{provider}/fez"}},
            "providers": {provider: {"type": "account", **options}},
        }

    job = opened(config("ibm", url="one")).get_backend("q").run()
    renamed = opened(config("other-name", url="one"))
    assert renamed.get_job(job.job_id()).backend() is renamed.get_backend("q")
    other = opened(config("ibm", url="two"))
    found = other.get_job(job.job_id()).backend()
    assert found is not other.get_backend("q")
    assert found.provider()._configuration.url == "one"
    assert isinstance(opened().get_job(job.job_id()).backend().provider(), Account)


def test_a_backend_that_was_had_by_its_path_is_found_by_the_account(opened: Open) -> None:
    """Its options are a secret in the configuration itself, so that it cannot be made of the ledger."""
    config = {"providers": {"ibm": {"type": "account", "token": "do-not-tell"}}}
    session = opened(config)
    job = session.get_backend("ibm/fez").run()
    again = opened(config)
    found = again.get_job(job.job_id())
    assert found.backend() is again.get_backend("ibm/fez")


def test_a_configured_provider_that_cannot_be_made_hides_no_job(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = opened({"providers": {"ibm": {"type": "account", "url": "one"}}}).get_backend("ibm/fez").run()
    make = Account.__init__

    def picky(self: Account, configuration: Any = None, provider: Any = None) -> None:
        make(self, configuration, provider)
        configuration.url.upper()  # raises what a plugin may raise where an option is missing

    monkeypatch.setattr(Account, "__init__", picky)
    again = opened({"backends": {"q": {"type": "account/fez"}}})
    assert again.get_job(job.job_id()).backend().provider()._configuration.url == "one"


def test_a_type_that_is_not_installed_any_more(opened: Open, tmp_path: Path) -> None:
    session = opened(one_cluster())
    open_job, ended = session.get_backend("hpc").run_many([Call(pow, (1, 1))] * 2, tags={"k": "v"})
    cluster = ClusterBackend.clusters["here"]
    cluster.jobs["here.1"], cluster.values["here.1"] = DONE, pickle.dumps(1)
    assert ended.done()
    device_job = session.get_backend("device").run()
    with Session(Config.from_dict({}), Registry(), state=tmp_path / "state") as bare:
        assert [job.job_id() for job in bare.jobs()] == [open_job.job_id(), ended.job_id()]
        again = bare.get_job(ended.job_id())
        assert again.done()
        assert again.result() == 1
        assert again.metadata()["tags"] == {"k": "v"}
        for ask in (bare.get_job(open_job.job_id()).status, bare.get_job(open_job.job_id()).cancel):
            with pytest.raises(
                BackendError, match=r"'hpc', of type 'cluster', cannot be made.*not installed|no"
            ):
                ask()
        with pytest.raises(BackendError):
            bare.get_job(device_job.job_id())


def test_a_host_other_than_this_one(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that is ours lives on its host: elsewhere it is read, and nothing else."""
    monkeypatch.setattr(ClusterBackend, "queues_in_ledger", True)
    with monkeypatch.context() as there:
        there.setattr("anyjob.ledger.identity.HOST", "there")
        session = opened(one_cluster())
        job = session.get_backend("hpc").run(Call(pow, (1, 1)), cpus=3)
        session.services.ledger.close()
    here = opened(one_cluster())
    again = here.get_job(job.job_id())
    assert again.backend() is not here.get_backend("hpc")
    with pytest.raises(BackendError, match="that of host there: cancel its jobs there"):
        again.cancel()
    with pytest.raises(BackendError, match="that of host there: hand it work there"):
        again.backend().run(Call(pow, (1, 1)))
    (anew,) = here.rerun([again])
    assert anew.backend() is here.get_backend("hpc")
    assert anew.metadata()["job_id"] != job.job_id()
    assert anew._record.resources.cpus == 3


# --- many -----------------------------------------------------------------------------------------


def test_jobs_are_listed_by_what_they_are(opened: Open) -> None:
    session = opened({**one_cluster(), "default_backend": "hpc"})
    backend = session.get_backend("hpc")
    fits = backend.map(abs, range(3), name="fit", tags={"k": "v"})
    other = backend.run(Command(["true"]))
    ClusterBackend.clusters["here"].jobs["here.1"] = DONE
    assert fits[1].done()
    later = opened(one_cluster())
    assert later.jobs() == [*fits, other]
    assert later.jobs(name="fit") == fits
    assert later.jobs(name="fit", state="done") == [fits[1]]
    assert later.jobs(state=["queued", DONE], limit=2) == [fits[2], other]
    assert later.jobs(tags={"k": "v"}, limit=1) == [fits[2]]
    assert later.jobs(limit=2**70) == [*fits, other]
    assert later.jobs(state="ended") == [fits[1]]
    assert later.jobs(backend="hpc", since="1h") == [*fits, other]
    assert later.jobs(backend="cluster") == [*fits, other]
    assert later.jobs(backend="inline") == later.jobs(since=4e9) == []
    with pytest.raises(UnknownNameError, match="no backend is called 'hcp'; did you mean 'hpc'"):
        later.jobs(backend="hcp")
    local = later.get_backend("inline").run(Call(abs, (1,)), name="fit", tags={"n": 1})
    assert later.jobs(name="fit") == [*fits, local]
    numbered: Any = {"n": 1}  # the values of tags are text, here too
    assert later.jobs(tags=numbered) == [local]


@pytest.mark.parametrize(
    ("looked_for", "said"),
    [
        ({"limit": -1}, "limit: -1 does not do"),
        ({"limit": 1.5}, "limit: 1.5 does not do"),
        ({"since": float("nan")}, "since: nan is no time"),
        ({"since": "tomorrow"}, "since: 'tomorrow' is not understood"),
        ({"state": "DNOE"}, "state: 'DNOE' is no state; did you mean 'DONE'?"),
        ({"state": ["DONE", 3]}, "state: 3 is no state"),
        ({"state": 3}, "state: 3 is no state"),
        ({"name": 3}, "name: jobs are looked for by its text, not by 3"),
        ({"backend": 3}, "backend: jobs are looked for by its text, not by 3"),
        ({"tags": "k"}, "tags are a mapping"),
    ],
    ids=str,
)
def test_what_jobs_cannot_be_looked_for_by_is_said(
    opened: Open, looked_for: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        opened().jobs(**looked_for)
    assert said in str(caught.value)


def test_a_job_is_named_by_text_and_an_error_has_little_of_it(opened: Open) -> None:
    for no_text in (3, None, b"3f2"):
        with pytest.raises(SpecError, match="a job is named by its id"):
            opened().get_job(no_text)  # type: ignore[arg-type]
    with pytest.raises(JobNotFoundError) as caught:
        opened().get_job("a" * 1_000_000)
    assert len(str(caught.value)) < 1000


def test_a_module_that_is_not_here_is_told_with_who_had_it(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_there.py").write_text("def fn():\n    return 1\n")
    with monkeypatch.context() as there:
        there.syspath_prepend(str(tmp_path))
        import only_there  # type: ignore[import-not-found]

        job = opened(one_cluster()).get_backend("hpc").run(Call(only_there.fn))
    del sys.modules["only_there"]
    again = opened(one_cluster()).get_job(job.job_id())
    with pytest.raises(JobError, match=r"No module named 'only_there'; it was submitted by .*python"):
        again.spec()


def test_rerun_keeps_what_was_asked_for_and_goes_in_bulk(opened: Open) -> None:
    backend = opened(one_cluster()).get_backend("hpc")
    jobs = backend.map(abs, range(5), name="fit", walltime="1h", tags={"k": "v"}, cpus=2)
    jobs.append(backend.run(Command(["true"]), name="other"))
    later = opened(one_cluster())
    anew = later.rerun([later.get_job(job.job_id()) for job in jobs], walltime="4h")
    assert [job.spec() for job in anew] == [job.spec() for job in jobs]
    assert not set(anew) & set(jobs)
    resources = anew[0]._record.resources
    assert (resources.name, resources.walltime, resources.cpus, resources.tags) == (
        "fit",
        14400,
        2,
        {"k": "v"},
    )
    assert anew[5]._record.resources.name == "other"
    rows = later.services.ledger.rows([job.job_id() for job in anew])
    assert len({row.bulk for row in rows.values()}) == 2
    shared = later.services.ledger.bulk(rows[anew[0].job_id()].bulk)[2]
    assert shared is not None


def test_a_rerun_that_cannot_go_on_is_taken_back(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        raise BackendUnavailableError("the cluster is away")
        yield

    session = opened({"backends": {name: {"type": "cluster", "address": name} for name in ("one", "two")}})
    jobs = [session.get_backend(name).run(Call(abs, (1,))) for name in ("one", "two")]
    monkeypatch.setattr(session.get_backend("two"), "launch", unreachable)
    with pytest.raises(BackendUnavailableError, match="is away") as raised:
        session.rerun(jobs)
    (anew,) = session.jobs(backend="one")
    assert raised.value.__notes__ == [f"anyjob: jobs of backend 'one' that were cancelled: {anew.job_id()}"]
    assert anew.cancelled()


def test_work_that_cannot_be_read_keeps_all_from_being_run_anew(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened({"backends": {name: {"type": "cluster"} for name in ("one", "two")}})
    job = session.get_backend("one").run(Call(abs, (1,)))
    (tmp_path / "only_there.py").write_text("def fn():\n    return 1\n")
    with monkeypatch.context() as there:
        there.syspath_prepend(str(tmp_path))
        import only_there

        lost = session.get_backend("two").run(Call(only_there.fn))
    del sys.modules["only_there"]
    later = opened({"backends": {name: {"type": "cluster"} for name in ("one", "two")}})
    with pytest.raises(JobError, match="No module named 'only_there'"):
        later.rerun([later.get_job(each.job_id()) for each in (job, lost)])
    assert later.jobs() == [later.get_job(job.job_id()), later.get_job(lost.job_id())]


def test_a_plain_job_cannot_be_run_anew(opened: Open) -> None:
    session = opened()
    job = session.get_backend("device").run()
    with pytest.raises(JobError, match="plain job"):
        session.rerun([job])


# --- what a crash leaves --------------------------------------------------------------------------


class Crash(BaseException):
    """Stands for the death of the process."""


def test_a_crash_between_launch_and_record_is_repaired(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """executorlib#412: a restart must find what was submitted, and not submit it twice."""
    session = opened(one_cluster())
    backend = session.get_backend("hpc")
    launch = ClusterBackend.launch

    def dies(self: ClusterBackend, orders: list[Order]) -> Iterator[tuple[Order, Answer]]:
        list(launch(self, orders))
        raise Crash
        yield

    with monkeypatch.context() as patch:
        patch.setattr(ClusterBackend, "launch", dies)
        patch.setattr(type(backend.recorder), "remove", lambda *_: None)  # a dead process removes nothing
        with pytest.raises(Crash):
            backend.run(Call(pow, (1, 1)))
    (job,) = opened(one_cluster()).jobs()
    assert job.native_id() is None
    assert job.status() is QUEUED
    assert job.native_id() == "here.0"
    assert len(ClusterBackend.clusters["here"].jobs) == 1


# --- hooks ------------------------------------------------------------------------------------------


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.finished: list[str] = []
        self.changes: list[tuple[JobStatus | None, JobStatus]] = []

    @hookimpl
    def anyjob_finished(self, job: Any) -> None:
        self.finished.append(job.job_id())

    @hookimpl
    def anyjob_status_changed(self, old: JobStatus | None, new: JobStatus) -> None:
        self.changes.append((old, new))


def test_the_end_is_told_once_in_all_sessions(opened: Open) -> None:
    ears = [Listener() for _ in range(3)]
    job = opened(one_cluster(), ears[0]).get_backend("hpc").run(Call(pow, (1, 1)))
    again = opened(one_cluster(), ears[1]).get_job(job.job_id())
    ClusterBackend.clusters["here"].jobs["here.0"] = DONE
    for each in (job, again):
        each.wait_for_final_state(timeout=LONG)
        each.outcome(LONG)
    opened(one_cluster(), ears[2]).get_job(job.job_id())
    assert [told for ear in ears for told in ear.finished] == [job.job_id()]
    assert [ear.changes[-1][1] for ear in ears[:2]] == [DONE, DONE]
    assert ears[2].changes == []


def test_an_end_that_nobody_heard_of_is_told_by_the_next_that_looks(opened: Open) -> None:
    job = opened(one_cluster()).get_backend("hpc").run(Call(pow, (1, 1)))
    ClusterBackend.clusters["here"].jobs["here.0"] = DONE
    assert job.done()
    ears = [Listener() for _ in range(2)]
    for ear in ears:
        opened(one_cluster(), ear).jobs()
    assert [ear.finished for ear in ears] == [[job.job_id()], []]


# --- plain backends -----------------------------------------------------------------------------------


def test_a_plain_job_is_found_by_our_id_and_by_theirs(opened: Open) -> None:
    """cuda-quantum#3769: a job of somebody else's class, by nothing but its id."""
    first = opened({"backends": {"d": {"type": "device", "device": "x"}}})
    job = first.get_backend("d").run("work")
    (row,) = first.services.ledger.select()
    assert (row.kind, row.native_id, row.label) == ("plain", "dev-0", "d")
    for config in ({"backends": {"renamed": {"type": "device", "device": "x"}}}, None):
        later = opened(config)
        for job_id in ("dev-0", row.job_id, row.job_id[:8]):
            again = later.get_job(job_id)
            assert (type(again), again.job_id(), again.result()) == (type(job), "dev-0", "counts of dev-0")
        assert later.jobs() == [again]
    assert first.get_job(row.job_id) is first.get_job("dev-0") is job
    assert first.jobs() == [job]


def test_their_id_may_be_that_of_several_devices(opened: Open) -> None:
    config = {"backends": {name: {"type": "device", "device": name} for name in "xy"}}
    first = opened(config)
    for name in "xy":
        first.get_backend(name).run()
    later = opened(config)
    with pytest.raises(JobNotFoundError, match="fits several jobs"):
        later.get_job("dev-0")
    assert later.get_job("dev-0", backend="y").backend().name() == "y"
    assert sorted(job.backend().name() for job in later.jobs()) == ["x", "y"]


def test_the_state_of_a_plain_job_is_written_when_it_is_seen(opened: Open) -> None:
    first = opened()
    job = first.get_backend("device").run()
    ledger = first.services.ledger

    def state() -> JobStatus:
        return ledger.select()[0].status

    assert job.running()
    assert state() is RUNNING
    job.backend().jobs["dev-0"] = JobStatus.ERROR
    assert state() is RUNNING
    again = opened().get_job("dev-0")
    again.wait_for_final_state(LONG)
    assert state() is JobStatus.ERROR
    assert opened().jobs(state="RUNNING") == []
    assert [found.job_id() for found in opened().jobs(state="ERROR")] == ["dev-0"]


def test_a_waiter_in_the_background_writes_it_too(opened: Open) -> None:
    first = opened()
    jobs = [first.get_backend("device").run() for _ in range(2)]
    jobs[0].backend().jobs.update({"dev-0": DONE, "dev-1": JobStatus.CANCELLED})
    first.wait(jobs, LONG)
    assert [row.status for row in first.services.ledger.select()] == [DONE, JobStatus.CANCELLED]


async def test_what_async_code_sees_is_written_too(opened: Open) -> None:
    session = opened()
    first, second = (session.get_backend("device").run() for _ in range(2))
    first.backend().jobs.update({"dev-0": DONE, "dev-1": RUNNING})
    await aio.wait_for_final_state(first, timeout=LONG)
    assert await aio.status(second) is RUNNING
    assert [row.status for row in session.services.ledger.select()] == [DONE, RUNNING]


def test_an_id_that_comes_late_is_entered_then(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Device.run

    def late(self: Device, work: Any = None) -> Any:
        job = run(self, work)
        job._job_id = None
        self.jobs[None] = JobStatus.INITIALIZING  # type: ignore[index]
        return job

    monkeypatch.setattr(Device, "run", late)
    session = opened()
    job = session.get_backend("device").run()
    assert job.status() is JobStatus.INITIALIZING
    assert session.jobs() == [job]
    assert session.services.ledger.select() == []
    job._job_id = "dev-0"
    assert job.running()
    (row,) = session.services.ledger.select()
    assert (row.native_id, row.status) == ("dev-0", RUNNING)
    assert session.jobs() == [job]


def test_the_end_of_a_plain_job_is_told_once_in_all_sessions(opened: Open) -> None:
    ears = [Listener() for _ in range(2)]
    sessions = [opened(None, ear) for ear in ears]
    job = sessions[0].get_backend("device").run()
    again = sessions[1].get_job("dev-0")
    job.backend().jobs["dev-0"] = DONE
    for session, each in zip(sessions, (job, again), strict=True):
        session.wait([each], LONG)
    assert [told for ear in ears for told in ear.finished] == ["dev-0"]


def test_a_plain_backend_that_finds_no_jobs_stays_in_the_process(opened: Open) -> None:
    session = opened()
    job = session.get_backend("forgetful").run()
    assert session.jobs() == [job]
    assert job.running()
    assert not session.services.ledger.exists
    assert opened().jobs() == []


def test_a_plain_job_that_its_backend_does_not_know_does_not_hide_others(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    first = opened()
    backend: Device = first.get_backend("device")
    kept, lost = backend.run(), backend.run()
    del backend.jobs["dev-1"]
    later = opened()
    assert [job.job_id() for job in later.jobs()] == ["dev-0"]
    assert "is left out: device 'device' has no job 'dev-1'" in caplog.text
    with pytest.raises(JobNotFoundError, match="has no job 'dev-1'"):
        later.get_job("dev-1")
    assert (kept.job_id(), lost.job_id()) == ("dev-0", "dev-1")


def test_a_ledger_that_cannot_be_written_does_not_lose_a_plain_job(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").touch()
    with caplog.at_level(logging.WARNING, "anyjob"):
        job = opened().get_backend("device").run()
    assert job.running()
    assert "is not in the ledger" in caplog.text


def test_a_bad_configuration_is_said_where_it_is_asked_for(opened: Open) -> None:
    with pytest.raises(ConfigError):
        opened(one_cluster(colour="blue")).get_backend("hpc")
