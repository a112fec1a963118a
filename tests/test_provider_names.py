"""A backend that a provider offers is called as its user calls it, everywhere, and has options of its own."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from right_backend import RightOptions
from right_provider import CloudProvider, Machine
from support.cli_program import install, invoke
from support.scripted_backends import FindingBackend

from anyjob import (
    BackendConfiguration,
    BackendError,
    BaseProvider,
    Command,
    Config,
    ConfigError,
    JobStatus,
    Options,
    ProviderConfiguration,
    Registry,
    Secret,
    Session,
    UnknownNameError,
)

CONFIG = """
[backends.m1]
type = "lab-a/machine-1"
slots = 2

[backends.m2]
type = "lab-b/machine-1"

[providers.lab-a]
type = "cloud"
directory = "{directory}"
key = "s3cret-a"
slots = 7

[providers.lab-b]
type = "cloud"
directory = "{directory}"
key = "s3cret-b"
"""


@pytest.fixture
def cloud(engine_directory: Path, import_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two accounts of one service, installed as a plugin and configured; gives the engine's directory."""
    install(import_site, "acme-cloud", "[anyjob.providers]\ncloud = right_provider:CloudProvider\n")
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    place = tmp_path / "place"
    place.mkdir()
    (place / "anyjob.toml").write_text(CONFIG.format(directory=engine_directory))
    monkeypatch.chdir(place)
    return engine_directory


def opened() -> Session:
    return Session(Config.load(), Registry())


@pytest.fixture
def session(cloud: Path) -> Iterator[Session]:
    with opened() as session:
        yield session


def told(*arguments: str) -> Any:
    done = invoke(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_it_is_called_as_it_was_configured(session: Session) -> None:
    one, other = session.get_backend("m1"), session.get_backend("m2")
    assert (one.name(), str(one), repr(one)) == ("m1", "m1", "<Machine('m1') from lab-a>")
    assert (other.name(), repr(other)) == ("m2", "<Machine('m2') from lab-b>")
    bare = session.get_backend("lab-a/machine-2")
    assert repr(bare) == "<Machine('lab-a/machine-2') from lab-a>"
    assert [each.configuration().backend_name for each in (one, other, bare)] == [
        "machine-1", "machine-1", "machine-2",
    ]  # fmt: skip
    assert session.get_provider("lab-a").get_backend("machine-1").name() == "lab-a/machine-1"
    assert one.provider().get_backend("lab-a/machine-1").name() == "lab-a/machine-1"


def test_what_a_provider_gives_itself_is_a_backend_of_the_session(session: Session) -> None:
    given: list[Any] = []
    for name in ("lab-a", "lab-b"):
        account: Any = session.get_provider(name)
        given += [
            account.get_backend("machine-2"),
            account.least_busy(qubits=27),
            *account.backends(qubits=27),
            *account.backends(filters=lambda each: each.name() == "machine-2"),
        ]
    assert [each.name() for each in given] == ["lab-a/machine-2"] * 4 + ["lab-b/machine-2"] * 4
    for backend in given:
        expected = session.get_backend(backend.name())
        assert backend.ledger_row == expected.ledger_row
        assert backend.services is expected.services
        assert backend.options == expected.options
    ended, long = ([each.run(Command(work)) for each in given] for work in (["true"], ["sleep", "60"]))
    with opened() as later:
        for name, own in (("lab-a/machine-2", slice(4)), ("lab-b/machine-2", slice(4, 8))):
            found = later.jobs(backend=name)
            assert {job.job_id() for job in found} == {job.job_id() for job in ended[own] + long[own]}
            assert {job.backend().name() for job in found} == {name}
        again = [later.get_job(job.job_id()) for job in long]
        assert all(later.cancel(again))
        assert {job.outcome(timeout=30).status for job in again} == {JobStatus.CANCELLED}
        assert {later.get_job(job.job_id()).result(timeout=30).exit_code for job in ended} == {0}


def test_a_copy_of_a_provider_is_no_sessions(session: Session) -> None:
    account = session.get_provider("lab-a")
    copied = copy.deepcopy(account)
    assert copied == account
    assert copied.get_backend("machine-2").name() == "machine-2"
    assert account.get_backend("machine-2").name() == "lab-a/machine-2"
    assert list(inspect.signature(account.least_busy).parameters) == ["filters", "kwargs"]


class Demanding(CloudProvider):
    class BackendOptions(RightOptions, frozen=True, kw_only=True):
        project: str


def test_what_needs_options_of_its_own_is_told(
    engine_directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry()
    registry.register_provider("demanding", Demanding)
    config = {"lab": {"type": "demanding", "directory": str(engine_directory)}}
    with Session(Config.from_dict({"providers": config}), registry, tmp_path / "state") as session:
        account = session.get_provider("lab")
        with pytest.raises(ConfigError, match="project: is missing"):
            account.get_backend("machine-1")
        assert account.backends() == []
        assert "lab/machine-1" in caplog.text
        assert "project" in caplog.text


class Lonely(Machine):
    """Asks its provider for what it needs."""

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.key = provider.options.key


def test_what_a_program_made_by_itself_says_why_it_is_not_made_anew(session: Session, cloud: Path) -> None:
    by_hand = CloudProvider.from_options("by-hand", {"directory": str(cloud)})
    machine = Lonely(BackendConfiguration("machine-1"), by_hand, options=RightOptions(cloud))
    machine.services = session.services
    job = machine.run(Command(["true"]))
    with opened() as later:
        backend = later.get_job(job.job_id()).backend()
        with pytest.raises(
            BackendError, match=r"a program made it by itself, .* \(AttributeError: .*\)\. Jobs"
        ):
            backend.terminate([])


def test_its_jobs_are_found_by_each_of_its_names(session: Session) -> None:
    first = session.get_backend("m1").run(Command(["true"]), name="first")
    second = session.get_backend("m2").run(Command(["true"]), name="second")
    for job in (first, second):
        job.wait_for_final_state(timeout=30)
    with opened() as later:
        for names, found in (
            (["m1", "lab-a/machine-1"], [first]),
            (["m2", "lab-b/machine-1"], [second]),
            (["cloud/machine-1"], [first, second]),
            (["lab-a/machine-2", "local", "cloud/nothing"], []),
        ):
            for name in names:
                assert later.jobs(backend=name) == found, name
        assert later.get_job(first.job_id()).backend().name() == "m1"
        assert later.get_job(second.job_id()).backend().name() == "m2"
        for wrong, nearest in (("labb-a/machine-1", "lab-a/machine-1"), ("lokal", "local")):
            with pytest.raises(UnknownNameError, match=f"is called '{wrong}'; did you mean '{nearest}'"):
                later.jobs(backend=wrong)


def test_its_jobs_are_found_under_the_name_of_today(session: Session, cloud: Path) -> None:
    """One backend may have several names: which of them was used last makes no difference."""
    first = session.get_backend("m1").run(Command(["true"]))
    second = session.get_backend("lab-a/machine-1", slots=2).run(Command(["true"]))
    assert [job.backend().name() for job in (first, second)] == ["m1", "lab-a/machine-1"]
    with opened() as later:
        for name in ("m1", "lab-a/machine-1", "cloud/machine-1"):
            assert later.jobs(backend=name) == [first, second], name
    renamed = Path("anyjob.toml").read_text().replace("lab-a", "home").replace("m1]", "mine]")
    Path("anyjob.toml").write_text(renamed)
    with opened() as later:
        assert later.jobs(backend="mine") == []  # another account, of which nothing but the name is known
    keyless = renamed.replace('key = "s3cret-a"\n', "")
    Path("anyjob.toml").write_text(keyless)
    with opened() as later:
        job = later.get_backend("mine").run(Command(["true"]))
    Path("anyjob.toml").write_text(keyless.replace("home", "house").replace("mine]", "ours]"))
    with opened() as later:
        assert later.jobs(backend="ours") == [job]
        assert later.get_job(job.job_id()).backend().name() == "ours"


def test_a_name_that_stands_for_another_backend_leads_to_its_jobs(session: Session) -> None:
    """Whatever it stands for tomorrow, the ledger knows on which one the jobs are."""
    backend = session.get_backend("lab-a/old-machine")
    assert (backend.name(), backend.type_name) == ("lab-a/machine-2", "cloud/machine-2")
    job = backend.run(Command(["true"]))
    with opened() as later:
        assert later.jobs(backend="lab-a/machine-2") == later.jobs(backend="cloud/machine-2") == [job]
        assert later.get_job(job.job_id()).backend().configuration().backend_name == "machine-2"


def test_names_of_one_local_backend_are_all_found(tmp_path: Path) -> None:
    config = Config.from_dict({"backends": {name: {"type": "inlined"} for name in ("a", "b")}})
    registry = Registry()
    registry.register_backend("inlined", FindingBackend)
    with Session(config, registry, tmp_path / "state") as session:
        one, other = session.get_backend("a").run("work"), session.get_backend("b").run("work")
    assert [one.backend().name(), other.backend().name()] == ["a", "b"]
    with Session(config, registry, tmp_path / "state") as session:
        rows = session.ledger.select(backends=session.backend_numbers("a"))
        assert rows == session.ledger.select(backends=session.backend_numbers("b"))
        assert len(rows) == 2


def test_jobs_of_this_process_only_are_found_by_each_name() -> None:
    with Session() as session:
        threads = session.get_backend("threads")
        job = threads.run(Command(["true"]))
        assert session.jobs(backend="threads") == [job]
        assert session.jobs(backend="inline") == []


def test_the_command_line_knows_each_of_its_names(cloud: Path) -> None:
    assert invoke("run", "-b", "m1", "--name", "first", "--", "true").exit_code == 0
    assert invoke("run", "-b", "lab-b/machine-1", "--name", "second", "--", "true").exit_code == 0
    for name, found in (
        ("m1", ["first"]),
        ("lab-a/machine-1", ["first"]),
        ("m2", ["second"]),
        ("cloud/machine-1", ["first", "second"]),
        ("machine-2", None),
    ):
        done = invoke("jobs", "-b", name, "--json")
        if found is None:
            assert done.exit_code == 125
            assert "no backend is called 'machine-2'; did you mean" in done.stderr
        else:
            assert [job["name"] for job in json.loads(done.stdout)] == found, name
    assert [job["backend"] for job in told("jobs")] == ["m1", "lab-b/machine-1"]
    job_id = told("jobs", "-b", "m1")[0]["job_id"]
    shown = told("show", job_id)
    assert (shown["backend"], shown["backend_type"], shown["backend_provider"]) == (
        "m1", "cloud/machine-1", "lab-a",
    )  # fmt: skip
    assert shown["backend_distribution"] == "acme-cloud"
    assert "m1 (type cloud/machine-1, of provider lab-a)" in invoke("show", job_id).stdout
    for arguments in (["show", job_id], ["config", "show"], ["backends", "show", "m1"]):
        assert "s3cret" not in invoke(*arguments).output + invoke(*arguments, "--json").output
    state = opened().ledger.state
    assert b"s3cret" not in b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())


def test_it_is_listed_and_shown_with_the_options_of_both(cloud: Path) -> None:
    lines = {line["name"]: line for line in told("backends", "list")}
    assert (lines["m1"]["type"], lines["m1"]["distribution"]) == ("lab-a/machine-1", "acme-cloud")
    shown = told("backends", "show", "m1")
    assert (shown["name"], shown["provider"], shown["distribution"]) == ("m1", "lab-a", "acme-cloud 1.0")
    options = {each["name"]: each for each in shown["options"]}
    assert list(options) == [
        "directory", "slots", "providers.lab-a.directory", "providers.lab-a.key", "providers.lab-a.slots",
    ]  # fmt: skip
    assert (options["slots"]["value"], options["providers.lab-a.slots"]["value"]) == (2, 7)
    assert options["directory"]["value"] == options["providers.lab-a.directory"]["value"] == str(cloud)
    assert options["directory"]["origin"] == options["providers.lab-a.directory"]["origin"]
    assert options["providers.lab-a.key"]["value"] == "***"
    text = invoke("backends", "show", "m1").stdout
    assert "m1: type lab-a/machine-1, from acme-cloud 1.0" in text
    assert "missing" not in text


def test_its_check_finds_nothing_wrong(cloud: Path) -> None:
    checked = told("backends", "check", "m1")
    assert checked["ok"] is True
    assert len(checked["promises"]) > 5
    assert {each["state"] for each in checked["promises"]} <= {"ok", "skipped"}


# --- options --------------------------------------------------------------------------------------


def test_each_backend_has_options_of_its_own_and_else_those_of_its_provider(session: Session) -> None:
    assert session.get_backend("m1").options.slots == 2
    assert session.get_backend("m2").options.slots == 4
    assert session.get_backend("lab-a/machine-1").options.slots == 7
    assert session.get_backend("m1", slots=3).options.slots == 3
    assert session.get_backend("lab-a/machine-1", slots=5).options.slots == 5
    assert session.get_backend("m1").options.slots == 2


def test_wrong_options_of_a_backend_are_told_by_the_check_and_when_it_is_made(cloud: Path) -> None:
    text = Path("anyjob.toml").read_text()
    Path("anyjob.toml").write_text(text.replace("slots = 2", "slosts = 2\nslots = true"))
    done = invoke("config", "check")
    assert done.exit_code == 1
    assert "anyjob.toml:4: backends.m1.slosts: unknown option; did you mean 'slots'?" in done.stderr
    assert "anyjob.toml:5: backends.m1.slots: expected integer, got boolean" in done.stderr
    with opened() as session, pytest.raises(ConfigError, match=r"backends\.m1\.slosts: unknown option"):
        session.get_backend("m1")


def test_the_options_of_a_provider_are_there_when_it_runs(session: Session) -> None:
    options: Any = session.get_provider("lab-a").options
    assert (options.slots, options.key) == (7, Secret("s3cret-a"))
    with pytest.raises(ConfigError, match=r"provider 'x': directory: is missing; expected path"):
        CloudProvider.from_options("x", {})


class PlainOptions(Options, frozen=True):
    """Options of whatever declares them."""

    region: str = "here"
    key: Secret | None = None


class Bare(BaseProvider):
    """Declares options, and has a constructor of the old interface, which knows nothing of them."""

    Options = PlainOptions

    def __init__(self, configuration: Any = None, provider: Any = None) -> None:
        super().__init__(configuration, provider)

    def backends(self, name: str | None = None, filters: Any = None, **kwargs: Any) -> list[Any]:
        return []


class ByName(Bare):
    def __init__(self, region: str, key: str) -> None:
        super().__init__()
        self.seen = region, key


class Backend(FindingBackend):
    Options = PlainOptions


def test_whatever_declares_options_has_them() -> None:
    bare: Any = Bare.from_options("x", {"region": "there"})
    assert (bare.options.region, bare.configuration().region) == ("there", "there")
    by_name: Any = ByName.from_options("x", {"key": "s3cret"})
    assert (by_name.seen, by_name.options.region) == (("here", "s3cret"), "here")
    backend: Any = Backend.from_options("x", {"region": "there", "backend_version": "2"})
    assert (backend.options.region, backend.version(), backend.configuration().region) == (
        "there",
        "2",
        "there",
    )
    for declares in (Bare, Backend):
        with pytest.raises(ConfigError, match="'x': regoin: unknown option; did you mean 'region'"):
            declares.from_options("x", {"regoin": "there"})


def test_no_configuration_shows_a_secret_that_stands_in_it() -> None:
    table = {
        "type": "x",
        "api-key": "hush",
        "login": {"password": "hush"},
        "url": "https://me:hush@example.org",
    }
    config = Config.from_dict({"providers": {"lab": table}, "backends": {"b": table}})
    options = config.providers["lab"].options
    provider = ProviderConfiguration("lab", **options)
    backend = BackendConfiguration("lab", "", token="hush", login={"password": "hush"})
    for shown in (provider, backend):
        assert "hush" not in f"{shown!r} {vars(shown)} {shown.to_dict()}"
        assert "example" in repr(provider)
    assert "hush" not in f"{vars(config)} {config.providers} {options} {vars(options)} {options!r}"
    assert provider.url == "https://me:hush@example.org"  # it can be used as it is
    assert f"{backend.token}{backend.login['password']}" == "hushhush"
    assert config.to_dict(redact=False)["providers"]["lab"] == table
    assert "hush" in repr(config.to_dict(redact=False))


# --- providers that share -------------------------------------------------------------------------


class Sharing(BaseProvider):
    """Gives the same objects each time."""

    BackendOptions = PlainOptions

    def __init__(self, configuration: Any = None, provider: Any = None) -> None:
        super().__init__(configuration, provider)
        self.one = FindingBackend(BackendConfiguration("one"), self)
        self.closed = 0

    def backends(self, name: str | None = None, filters: Any = None, **kwargs: Any) -> list[Any]:
        return [self.one] if name in (None, "one") else []

    def close(self) -> None:
        self.closed += 1


def test_an_object_that_a_provider_keeps_is_a_sessions_from_the_first(tmp_path: Path) -> None:
    registry = Registry()
    registry.register_provider("sharing", Sharing)
    with Session(Config.from_dict({}), registry, tmp_path / "state") as session:
        account = session.get_provider("sharing")
        one = account.get_backend("one")
        assert account.get_backend("one") is account.backends()[0] is one
        job = one.run("work")
        assert session.jobs(backend="sharing/one") == [job]
        assert session.get_backend("sharing/one", region="else").options.region == "else"
        assert one.options.region == "here"
        (row,) = session.ledger.backend_rows().values()
        assert (row.label, row.account) == ("sharing/one", "sharing")


def test_a_provider_that_gives_one_object_twice_is_made_for_each_name() -> None:
    registry = Registry()
    registry.register_provider("sharing", Sharing)
    config = {name: {"type": "sharing/one", "region": name} for name in ("a", "b")}
    with Session(Config.from_dict({"backends": config}), registry) as session:
        backends = [session.get_backend(name) for name in ("a", "b", "sharing/one")]
        backends.append(session.get_backend("a", region="else"))
        assert [each.options.region for each in backends] == ["a", "b", "here", "else"]
        assert session.get_backend("a") is backends[0]
        # Code of the old interface may tell its service its own name: that stays.
        assert {each.name() for each in backends} == {"one"}
        assert repr(backends[1]) == "<FindingBackend('b') from sharing>"
        providers = [each.provider() for each in backends]
        job = backends[1].run("work")
        assert session.jobs(backend="b") == [job]
        assert session.jobs(backend="a") == []
    assert [each.closed for each in providers] == [1, 1, 1, 1]
