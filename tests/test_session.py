"""`Session`: the one place where configuration, registry and backends meet."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.running_backends import CallsOnly
from support.scripted_backends import ScriptedBackend, ScriptedEngine
from support.waiting import wait_until

import anyjob
from anyjob import Config, Registry, Session
from anyjob.backend import BackendConfiguration, Capabilities
from anyjob.errors import (
    BackendNotFoundError,
    BrokenPluginError,
    ConfigError,
    JobNotFoundError,
    Refused,
    SpecError,
    UnknownNameError,
)
from anyjob.job import JobStatus
from anyjob.orders import Options
from anyjob.provider import BaseProvider, filter_backends
from anyjob.registry.hooks import HookManager
from anyjob.specs import Call, Command


class Account(BaseProvider):
    closed = 0

    def backends(
        self, name: str | None = None, filters: Callable[[Any], bool] | None = None, **kwargs: Any
    ) -> list[Any]:
        devices = [ScriptedBackend(BackendConfiguration(each), self) for each in ("fez", "torino")]
        return filter_backends([d for d in devices if name in (None, d.name())], filters, **kwargs)

    def close(self) -> None:
        type(self).closed += 1


def make(**values: Any) -> Session:
    registry = Registry()
    registry.register_backend("acme.plain", ScriptedBackend)
    registry.register_backend("acme.engine", ScriptedEngine)
    registry.register_backend("acme.calls", CallsOnly)
    registry.register_provider("acme", Account)
    return Session(Config.from_dict(values), registry)


@pytest.fixture
def session() -> Iterator[Session]:
    values = {
        "default_backend": "pool",
        "backends": {
            "pool": {"type": "threads", "slots": 1},
            "mine": {"type": "acme.plain", "qubits": 5},
            "fez": {"type": "ibm/fez"},
        },
        "providers": {"ibm": {"type": "acme", "url": "https://example.org"}},
    }
    with make(**values) as session:
        yield session


# --- look-up --------------------------------------------------------------------------------------


def test_a_configured_name_a_type_and_the_default(session: Session) -> None:
    assert session.get_backend("pool").slots == 1
    assert session.get_backend("mine").configuration().qubits == 5
    assert session.get_backend("threads").name() == "threads"  # an installed type
    assert session.get_backend() is session.get_backend("pool")
    assert session.default_backend() == "pool"


def test_a_backend_of_a_provider(session: Session) -> None:
    fez = session.get_backend("fez")
    assert (fez.name(), str(fez.provider())) == ("fez", "ibm")
    assert session.get_backend("ibm/torino").name() == "torino"
    assert fez.provider() is session.get_provider("ibm")
    assert session.get_provider("ibm")._configuration.url == "https://example.org"
    with pytest.raises(
        BackendNotFoundError,
        match=r"has no backend that matches 'osaka'; known of it: fez\n`anyjob providers check ibm`",
    ):
        session.get_backend("ibm/osaka")


def test_a_backend_is_made_once_and_anew_for_options_of_your_own(session: Session) -> None:
    assert session.get_backend("pool") is session.get_backend("pool")
    other = session.get_backend("pool", slots=3)
    assert other is not session.get_backend("pool")
    assert (other.slots, session.get_backend("pool").slots) == (3, 1)
    both = session.get_backend("mine", shots=10).configuration()
    assert (both.qubits, both.shots) == (5, 10)


def test_a_backend_that_was_closed_is_made_anew(session: Session) -> None:
    """What others still hold is closed; whoever asks gets one that works."""
    first = session.get_backend("threads")
    first.close()
    again = session.get_backend("threads")
    assert again is not first
    assert again is session.get_backend("threads")
    assert again.run(Call(abs, (-1,))).result(30) == 1


def test_many_threads_get_one_backend(session: Session) -> None:
    start, found = threading.Barrier(8), []

    def get() -> None:
        start.wait(20)
        found.append(session.get_backend("mine"))

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_a_typo_names_the_nearest_configured(session: Session) -> None:
    """microblog#126, snakemake-executor-plugin-slurm#77: a typo gave "can't load plugin"."""
    with pytest.raises(UnknownNameError, match="did you mean the configured 'mine'"):
        session.get_backend("mime")
    says = "backend 'hpc' is configured to be of type 'slrum'"
    with make(backends={"hpc": {"type": "slrum"}}) as other, pytest.raises(UnknownNameError, match=says):
        other.get_backend("hpc")


def test_options_that_are_wrong_are_refused(session: Session) -> None:
    with pytest.raises(ConfigError, match="slots"):
        session.get_backend("pool", slosts=3)
    with pytest.raises(
        ConfigError, match=r"comes from provider 'ibm', .* move 'shots' to \[providers\.ibm\]"
    ):
        session.get_backend("fez", shots=3)


def test_kinds_of_work_are_looked_up(session: Session) -> None:
    assert session.get_job_type("python") is anyjob.PythonJob
    assert {"command", "python"} <= set(session.job_types())


def test_backends_are_filtered(session: Session) -> None:
    def names(**how: Any) -> list[str]:
        return [backend.name() for backend in session.backends(**how)]

    assert names()[:3] == ["pool", "mine", "fez"]
    assert {"inline", "threads", "processes", "acme.calls"} <= set(names())
    assert names(filters=lambda backend: backend.name() == "mine") == ["mine"]
    runs = {"pool", "inline", "threads", "processes", "acme.calls", "acme.engine"}
    for work in ("command", Command, Command(["ls"])):
        assert runs <= set(names(can_run=work))
        assert not {"mine", "fez"} & set(names(can_run=work))
    assert not runs & set(names(durable=True))
    assert runs <= set(names(durable=False, can_run="python"))


class KeepsOptions(Options, frozen=True):
    keep: bool = False


class Keeps(CallsOnly):
    """Whether it is durable is an option."""

    Options = KeepsOptions

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.capabilities = Capabilities(durable=self.options.keep)


def test_what_a_backend_can_do_may_depend_on_its_options() -> None:
    kept, passing = {"type": "keeps", "keep": True}, {"type": "keeps"}
    with make(backends={"kept": kept, "passing": passing}) as session:
        session.registry.register_backend("keeps", Keeps)
        assert session.backends(durable=True, can_run="python")[0].name() == "kept"
        durable = {b.name() for b in session.backends(durable=True)}
        assert "kept" in durable
        assert "passing" not in durable


def test_a_backend_that_cannot_be_made_is_left_out_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    with make(backends={"odd": {"type": "threads", "slots": 0}}) as session, caplog.at_level(logging.WARNING):
        assert "odd" not in [backend.name() for backend in session.backends()]
    assert "odd" in caplog.text
    assert "slots" in caplog.text


# --- work -----------------------------------------------------------------------------------------


def test_run_takes_a_function_with_its_arguments(session: Session) -> None:
    """Every peer's submit(fn, *args)."""
    inline = session.get_backend("inline")
    assert session.run(divmod, 17, 5, backend="inline").result() == (3, 2)
    assert session.run(divmod, 17, 5, backend=inline, name="by name").metadata()["name"] == "by name"
    assert session.run("math:sqrt", 4, backend="inline").result() == 2
    assert session.run(str.upper, "inline", backend="inline").result() == "INLINE"
    assert session.run(Call(abs, (-1,)), "inline").result() == 1
    assert asyncio.run(anyjob.aio.run(divmod, 17, 5, backend="inline", session=session)).result() == (3, 2)


def test_run_takes_a_name_a_backend_or_the_default(session: Session) -> None:
    jobs = [
        session.run(Call(abs, (-3,))),
        session.run(Call(abs, (-3,)), "inline", name="here"),
        session.run(Call(abs, (-3,)), session.get_backend("threads")),
    ]
    assert [str(job.backend()) for job in jobs] == ["pool", "inline", "threads"]
    assert [job.result() for job in jobs] == [3, 3, 3]
    assert jobs[1].metadata()["name"] == "here"
    assert session.wait(jobs).done == jobs
    assert set(session.as_completed(jobs)) == set(jobs)


def test_a_job_is_found_by_its_id_or_a_prefix_of_it(session: Session) -> None:
    """qBraid#878, cuda-quantum#3769: re-create a job without knowing its class."""
    jobs = session.get_backend("pool").map(abs, range(20))
    job = jobs[7]
    assert session.get_job(job.job_id()) == job
    prefix = next(
        job.job_id()[:n]
        for n in range(1, 20)
        if [other.job_id().startswith(job.job_id()[:n]) for other in jobs].count(True) == 1
    )
    found = session.get_job(prefix)
    assert found == job
    assert type(found) is type(job)
    assert session.get_job(job.job_id(), backend="pool") == job
    for unknown in ("zzz", ""):
        with pytest.raises(JobNotFoundError):
            session.get_job(unknown)


def test_jobs_lists_those_of_all_backends_plain_ones_too(session: Session) -> None:
    task = session.run(Call(abs, (-3,)))
    plain = session.get_backend("mine").run(JobStatus.DONE)
    assert set(map(id, session.jobs())) >= {id(plain)}
    assert task in session.jobs()
    assert session.get_job("7") is plain


def test_what_a_plain_backend_does_not_find_again_is_said(session: Session) -> None:
    with pytest.raises(anyjob.BackendError, match="does not override retrieve_job"):
        session.get_job("17", backend="mine")


# --- hooks ----------------------------------------------------------------------------------------


class Hooks:
    """What a plugin may do, as an object."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def anyjob_choose_backend(self, spec: Any, candidates: Any) -> str | None:
        self.heard.append(("choose", tuple(candidates)[:2]))
        return "inline" if isinstance(spec, Call) else None

    def anyjob_before_submit(self, spec: Any, resources: Any) -> None:
        if resources.name == "forbidden":
            raise Refused("work of that name is not allowed")

    def anyjob_job_environment(self, job_id: str) -> dict[str, str]:
        return {"TRACE": job_id}

    def anyjob_submitted(self, job: Any) -> None:
        self.heard.append(("submitted", job.job_id()))

    def anyjob_status_changed(self, job: Any, old: Any, new: Any) -> None:
        self.heard.append((job.job_id(), old.name, new.name))

    def anyjob_finished(self, job: Any, outcome: Any) -> None:
        self.heard.append(("finished", job.job_id(), outcome.status.name))


class Installed:
    """Stands for the entry point of a plugin."""

    distribution, name, value = "acme", "hooks", "acme:hooks"

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin

    def load(self) -> Any:
        return self.plugin


@pytest.fixture
def hooks(session: Session, monkeypatch: pytest.MonkeyPatch) -> Hooks:
    hooks = Hooks()
    monkeypatch.setattr(Registry, "hooks", HookManager([Installed(hooks)], strict=True))  # type: ignore[list-item]
    return hooks


def test_hooks_hear_of_a_job_in_order(session: Session, hooks: Hooks) -> None:
    job = session.run(Command(["sh", "-c", 'echo "$TRACE"']))
    assert job.backend().name() == "pool"
    assert job.result().stdout.text() == f"{job.job_id()}\n"
    heard = [event for event in hooks.heard if event[0] in (job.job_id(), "finished")]
    assert heard == [
        (job.job_id(), "INITIALIZING", "QUEUED"),
        (job.job_id(), "QUEUED", "RUNNING"),
        (job.job_id(), "RUNNING", "DONE"),
        ("finished", job.job_id(), "DONE"),
    ]
    assert ("submitted", job.job_id()) in hooks.heard
    assert ("choose", ("pool", "mine")) in hooks.heard


def test_a_hook_chooses_the_backend_that_nobody_named(session: Session, hooks: Hooks) -> None:
    assert session.run(Call(abs, (1,))).backend().name() == "inline"
    assert session.run(Call(abs, (1,)), "threads").backend().name() == "threads"
    assert session.choose_backend(Call(abs, (1,))).name() == "inline"


def test_the_default_is_chosen_where_nobody_chooses(session: Session) -> None:
    assert session.choose_backend(Call(abs, (1,))) is session.get_backend()


def test_a_hook_may_refuse(session: Session, hooks: Hooks) -> None:
    with pytest.raises(Refused, match=r"^work of that name is not allowed \(refused by the plugin acme\)$"):
        session.run(Call(abs, (1,)), name="forbidden")
    assert not [event for event in hooks.heard if event[0] == "submitted"]


class RaisesOnce(list[Any]):
    """What a hook hears, which raises once: at the first event of which this is a part."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at: str | None = at

    def append(self, event: Any) -> None:
        if self.at in event:
            self.at = None
            raise RuntimeError("broken")
        super().append(event)


@pytest.mark.parametrize("name", ["inline", "threads", "processes"])
@pytest.mark.parametrize("at", ["QUEUED", "RUNNING", "submitted", "DONE", "finished"])
def test_a_strict_hook_that_raises_once_changes_nothing_of_the_jobs(
    session: Session, hooks: Hooks, name: str, at: str
) -> None:
    """opentelemetry-python-contrib#2923, #3550: fail fast in CI; that is neither to hang nor to lose jobs."""
    hooks.heard = RaisesOnce(at)
    backend = session.get_backend(name)
    jobs: list[Any] = []
    raised = []

    def outcomes() -> list[JobStatus]:
        found = []
        for job in jobs:
            try:
                found.append(job.outcome(timeout=20).status)
            except BrokenPluginError as error:
                raised.append(error)
        return found

    try:
        jobs = backend.map(abs, range(6))
    except BrokenPluginError as error:  # as early as it was known; what was handed over is cancelled, or done
        raised.append(error)
    wait_until(lambda: (outcomes() and raised) or not jobs)
    assert outcomes() == [JobStatus.DONE] * len(jobs)
    assert len(raised) == 1
    assert [job.result(20) for job in backend.map(abs, range(-3, 0))] == [3, 2, 1]
    for job in backend.jobs():
        assert job.outcome(timeout=20).status in (JobStatus.DONE, JobStatus.CANCELLED)


# --- its life -------------------------------------------------------------------------------------


def test_closing_closes_what_it_has_made_and_nothing_else() -> None:
    with make(providers={"ibm": {"type": "acme"}}) as session:
        engine = session.get_backend("acme.engine")
        pool = session.get_backend("threads", slots=1)
        session.get_backend("ibm/fez")
        mine = ScriptedEngine.make()
        closed = Account.closed
    assert Account.closed == closed + 1
    assert engine._tracker._watcher.closed
    assert pool.is_closed
    assert not mine._tracker._watcher.closed
    session.close()
    assert session.get_backend("acme.engine") is not engine  # it may be used again
    session.close()


def test_one_that_does_not_close_keeps_no_other_open(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make()
    plain, pool = session.get_backend("acme.plain"), session.get_backend("threads")

    def fail() -> None:
        raise RuntimeError("stuck")

    monkeypatch.setattr(plain, "close", fail)
    with caplog.at_level(logging.WARNING):
        session.close()
    assert pool.is_closed
    assert "acme.plain: RuntimeError: stuck" in caplog.text


def test_a_session_of_your_own_reads_nothing_and_touches_nothing_global(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "anyjob.toml").write_text("this is no TOML [")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYJOB_BACKEND", "nowhere")
    before = dict(os.environ)
    one, other = make(default_backend="inline"), make(default_backend="threads")
    with one, other:
        assert one.run(Call(abs, (-1,))).result() == other.run(Call(abs, (-1,))).result() == 1
        assert [one.get_backend().name(), other.get_backend().name()] == ["inline", "threads"]
        assert one.get_backend("threads") is not other.get_backend("threads")
        job = other.run(Call(abs, (-1,)))
        with pytest.raises(JobNotFoundError):
            one.get_job(job.job_id())
    assert dict(os.environ) == before
    assert sorted(tmp_path.iterdir()) == [tmp_path / "anyjob.toml"]


def test_the_functions_of_the_package_use_the_default_session() -> None:
    session = make(default_backend="inline", providers={"ibm": {"type": "acme"}})
    anyjob.set_default_session(session)
    try:
        assert anyjob.default_session() is session
        job = anyjob.run(Call(abs, (-1,)))
        assert job.result() == 1
        assert anyjob.get_backend() is session.get_backend("inline")
        assert anyjob.get_job(job.job_id()) == job
        assert job in anyjob.jobs()
        assert anyjob.get_job_type("python") is anyjob.PythonJob
        assert "python" in anyjob.job_types()
        assert str(anyjob.get_provider("ibm")) == "ibm"
        assert "inline" in [backend.name() for backend in anyjob.backends(can_run="python", durable=False)]
    finally:
        anyjob.set_default_session(None)
        session.close()


def test_the_default_session_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJOB_BACKEND", "inline")
    anyjob.set_default_session(None)
    try:
        assert anyjob.default_session().default_backend() == "inline"
        assert anyjob.default_session() is anyjob.default_session()
    finally:
        anyjob.default_session().close()
        anyjob.set_default_session(None)


def test_a_resource_that_is_none_is_told(session: Session) -> None:
    with pytest.raises(SpecError, match="did you mean 'walltime'"):
        session.run(Call(abs, (1,)), waltime="1h")


def test_a_wrong_default_says_where_it_came_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "anyjob.toml").write_text('default_backend = "lptop"\n')
    anyjob.set_default_session(None)
    with pytest.raises(UnknownNameError, match=r"the default backend is 'lptop' \(.*anyjob.toml:1\)"):
        anyjob.get_backend()


def test_what_the_configuration_says_in_vain_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "anyjob.toml").write_text('defaultbackend = "inline"\n')
    anyjob.set_default_session(None)
    anyjob.get_backend("inline")
    anyjob.get_backend("threads")
    (told,) = caplog.messages
    assert "anyjob.toml:1: defaultbackend: unknown key; did you mean 'default_backend'?" in told
