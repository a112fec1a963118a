"""What is said where an account, its type or a machine is not named rightly, or its token is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from right_provider import CloudEngine
from support.cli_program import install, invoke

from anyjob import BackendUnavailableError, Command, Config, Session

CONFIG = """
[backends.fast]
type = "lab-a/machine-1"

[backends.mistaken]
type = "lab-a"

[providers.lab-a]
type = "cloud"
directory = "{directory}"
key = {{ env = "KEY_OF_LAB_A" }}

[providers.lab-b]
type = "cloud"
directory = "{directory}"
"""


ONE_MACHINE = """
[backends.other]
type = "lab-a/machine-1"
slots = 2
"""


@pytest.fixture
def service(
    engine_directory: Path, import_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Two accounts of one service, installed as a plugin and configured; gives the service's directory."""
    install(import_site, "acme-cloud", "[anyjob.providers]\ncloud = right_provider:CloudProvider\n")
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    monkeypatch.setenv("KEY_OF_LAB_A", "s3cret-a")
    place = tmp_path / "place"
    place.mkdir()
    (place / "anyjob.toml").write_text(CONFIG.format(directory=engine_directory))
    monkeypatch.chdir(place)
    return engine_directory


def refused(name: str) -> str:
    done = invoke("run", "-b", name, "--", "true")
    assert done.exit_code == 125, done.output
    return done.stderr


@pytest.mark.usefixtures("service")
def test_an_account_in_place_of_a_backend_is_told_to_be_one() -> None:
    says = "no backend is called 'lab-a': it is a provider, which offers backends: name one of them"
    assert f"error: {says}, as lab-a/NAME; `anyjob providers check lab-a` lists them" in refused("lab-a")
    assert f"backend 'mistaken' is configured to be of type 'lab-a': {says}" in refused("mistaken")


@pytest.mark.usefixtures("service")
def test_a_type_in_place_of_an_account_is_told_with_the_accounts_of_it() -> None:
    says = "no backend is called 'cloud': it is a type of providers, and configured of it: lab-a, lab-b"
    assert f"{says}: name a backend of one, as lab-a/NAME" in refused("cloud")
    told = refused("cloud/machine-1")
    assert "provider 'cloud' is a type of providers that cannot be used as it is" in told
    assert "configured of it: lab-a, lab-b: name one of these" in told
    assert "directory: is missing" in told


@pytest.mark.usefixtures("service")
def test_nothing_is_meant_that_is_not_installed() -> None:
    told = refused("slrum")
    assert "did you mean" not in told
    assert "'slurm' comes with: pip install anyjob-slurm" in told
    assert "slurm" not in refused("lumen")


@pytest.mark.usefixtures("service")
def test_a_machine_that_is_not_there_is_told_with_the_nearest_of_those_that_are_known() -> None:
    told = refused("lab-a/machine-9")
    says = "provider lab-a has no backend that matches 'machine-9'; did you mean 'machine-1'?"
    assert f"{says}\n`anyjob providers check lab-a` lists those that it has" in told
    assert "backends()" not in told
    assert "known of it: machine-1\n" in refused("lab-a/heron")
    assert "matches 'heron'\n`anyjob providers check lab-b` lists" in refused("lab-b/heron")
    assert invoke("run", "-b", "lab-b/machine-2", "--", "true").exit_code == 0  # now the ledger knows it
    assert "known of it: machine-2\n" in refused("lab-b/heron")


def test_a_key_that_is_refused_is_told_with_the_account_and_where_its_option_is(service: Path) -> None:
    (service / "refused").touch()
    for name in ("lab-a/machine-1", "fast"):
        told = refused(name)
        assert "the service refuses the key of this account" in told
        assert "provider 'lab-a' is refused: " in told
        assert "anyjob.toml:11: providers.lab-a.key is read from environment variable 'KEY_OF_LAB_A'" in told
        assert "s3cret-a" not in told
    assert "provider 'lab-b' is refused: " in refused("lab-b/machine-1")


def test_a_message_of_several_lines_is_one_cell(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(directory: Path) -> None:
        raise BackendUnavailableError("it is away:\n  come again")

    monkeypatch.setattr("right_provider.check_key", refuse)
    done = invoke("providers", "check", "lab-a")
    assert "it is away: come again\n" in done.stdout


def test_a_job_is_attached_once_whatever_its_machine_is_called(service: Path) -> None:
    with Path("anyjob.toml").open("a") as stream:
        stream.write(ONE_MACHINE)
    native_id = CloudEngine(service).submit_elsewhere("machine-1")
    ours = [invoke("attach", name, native_id).stdout for name in ("fast", "other", "lab-a/machine-1")]
    assert ours[0]
    assert ours == ours[:1] * 3
    assert invoke("attach", "lab-b/machine-1", native_id).stdout != ours[0]  # another account
    with Session(Config.load()) as session:
        job = session.get_backend("other").run(Command(["true"]))
        again = session.get_backend("fast").attach(job.native_id() or "")
        assert again == job
        assert again.outcome(timeout=60).exit_code == 0
