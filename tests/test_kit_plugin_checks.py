"""The kit's checks of how plugins are made and shown fail where they should, and pass where they may."""

from __future__ import annotations

import socket
import subprocess
import sys
import unittest
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import wrong_backends_construction as wrong
import wrong_kinds
from hypothesis import given
from hypothesis import strategies as st
from right_backend import RightBackend
from support.distributions import install
from wrong_plugins import NAME, install_changed
from wrong_plugins import WRONG as FAULTS

from anyjob.jobfile.spec_builder import make_spec
from anyjob.registry.entry_points import BACKENDS
from anyjob.specs import Command, File, with_files
from anyjob.testing import (
    JobTypeConformance,
    PluginConformance,
    ProviderConformance,
    Samples,
    TaskBackendConformance,
)
from anyjob.testing.checks.engine.options import Construction, OptionValidation
from anyjob.testing.checks.engine.secrets import Secrets
from anyjob.testing.checks.plugin.distribution import Distribution
from anyjob.testing.checks.plugin.kinds import Lowering, Naming, Specs
from anyjob.testing.checks.plugin.listing import check_listing
from anyjob.testing.checks.plugin.user_input import command_line_fields, files_written, job_file_fields
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.distribution import DistributionHarness
from anyjob.testing.harness.job_type import JobTypeHarness
from anyjob.testing.harness.provider import ProviderHarness
from anyjob.testing.harness.samples import CALL, COMMAND
from anyjob.testing.harness.session_factory import SessionFactory
from anyjob.testing.instrumentation.audit_events import record_connections


@pytest.fixture
def made(engine_directory: Path, tmp_path: Path) -> Iterator[list[BackendHarness]]:
    """Harnesses that are closed at the end."""
    made: list[BackendHarness] = []
    yield made
    for harness in made:
        harness.close()


def checks_of(*classes: type[Any]) -> set[str]:
    return {name for each in classes for name in dir(each) if name.startswith("test_")}


# --- backends -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("check", "backend"), wrong.BACKENDS.items())
def test_a_backend_that_breaks_a_promise_fails_its_check(
    check: str,
    backend: type[RightBackend],
    engine_directory: Path,
    tmp_path: Path,
    made: list[BackendHarness],
) -> None:
    factory = SessionFactory("right", backend, {"directory": str(engine_directory)}, tmp_path / "state")
    made.append(BackendHarness.from_factory(factory))
    with pytest.raises(AssertionError):
        getattr(TaskBackendConformance(), check)(made[0])


SECRETS_TEST = """
import sys
sys.path.insert(0, {tests!r})
import pytest
import wrong_backends_construction
from right_backend import RightEngine
from anyjob.testing import TaskBackendConformance


class TestOpenly(TaskBackendConformance):
    backend_class = wrong_backends_construction.{backend}

    @pytest.fixture
    def options(self, tmp_path):
        (tmp_path / "engine").mkdir()
        yield {{"directory": str(tmp_path / "engine"), "token": "open-barley"}}
        RightEngine(tmp_path / "engine").stop()
"""


@pytest.mark.parametrize("backend", [wrong.Showing, wrong.FailingOpenly, wrong.WritingDown, wrong.Logging])
def test_a_failed_check_of_secrets_does_not_tell_them(backend: type[Any], tmp_path: Path) -> None:
    """What an author's tests print is kept by services that others can read."""
    test = SECRETS_TEST.format(tests=str(Path(__file__).parent), backend=backend.__name__)
    (tmp_path / "test_theirs.py").write_text(test)
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:logging"]
    done = subprocess.run(
        [*pytest_, "-k", "secret", "test_theirs.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "holds the text of a secret option" in done.stdout, done.stdout + done.stderr
    assert " failed" in done.stdout, done.stdout
    assert "open-barley" not in done.stdout + done.stderr


def test_sockets_of_this_machine_are_no_network(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with record_connections() as seen:
            client.connect(str(tmp_path / "s"))
            client.sendmsg([b"x"])
    assert seen == []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside, record_connections() as seen:
        outside.connect(("127.0.0.1", 9))
    assert seen == ["socket.connect of ('127.0.0.1', 9)"]


def test_each_check_of_backends_has_a_wrong_one() -> None:
    assert checks_of(Construction, OptionValidation, Secrets) == set(wrong.BACKENDS)


class Conforms:
    """The checks of this module alone; the rest is tried elsewhere."""

    @pytest.fixture
    def options(self, engine_directory: Path) -> Mapping[str, Any]:
        return {"directory": str(engine_directory)}

    @pytest.fixture
    def harness(self, options: Mapping[str, Any], tmp_path: Path) -> Iterator[BackendHarness]:
        harness = BackendHarness.from_factory(
            SessionFactory("right", wrong.Secretive, options, tmp_path / "state")
        )
        yield harness
        harness.close()


class TestTheSecretiveConforms(Conforms, Construction, OptionValidation, Secrets):
    """Right, and with a secret, so that no check of secrets is skipped."""


class TestTheConnectedConforms(Conforms, Construction, Secrets):
    """A secret that is in the environment already."""

    @pytest.fixture
    def options(self, engine_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
        monkeypatch.setenv("RIGHT_TOKEN", "open-barley")
        return {"directory": str(engine_directory), "token": {"env": "RIGHT_TOKEN"}}


# --- kinds of work --------------------------------------------------------------------------------


@pytest.mark.parametrize(("check", "wrong_kind"), wrong_kinds.KINDS.items())
def test_a_kind_that_breaks_a_promise_fails_its_check(
    check: str, wrong_kind: tuple[str, type[wrong_kinds.ReportJob]], tmp_path: Path
) -> None:
    name, job_class = wrong_kind
    harness = JobTypeHarness(
        name,
        job_class,
        wrong_kinds.samples_of(job_class.spec_type),
        invalid=[{"title": ""}],
        backends={"local": {}} if "ledger" in check else {"inline": {}},
        state=tmp_path / "state",
    )
    try:
        with pytest.raises(AssertionError):
            getattr(JobTypeConformance(), check)(harness)
    finally:
        harness.close()


def test_each_check_of_kinds_has_a_wrong_one() -> None:
    assert checks_of(Naming, Specs, Lowering) == set(wrong_kinds.KINDS)


class TestReportConforms(JobTypeConformance):
    job_class = wrong_kinds.ReportJob

    @pytest.fixture
    def samples(self) -> list[Samples]:
        return wrong_kinds.samples_of(wrong_kinds.Report)

    @pytest.fixture
    def invalid(self) -> list[dict[str, Any]]:
        return [{"title": ""}]


class TestCommandConforms(JobTypeConformance):
    job_type = "command"

    @pytest.fixture
    def samples(self) -> list[Samples]:
        line = 'test "$(cat - "$ANYJOB_SPOOL/files/b")" = ab'
        files = {"b": File("of-b", b"b")}
        return [
            COMMAND,
            Samples(
                kind="command", succeeds=Command(["sh", "-c", line], stdin=File("of-a", b"a"), files=files)
            ),
        ]

    @pytest.fixture
    def invalid(self) -> list[dict[str, Any]]:
        return [{"argv": []}, {"argv": ["a"], "env": {"=": ""}}]


class TestPythonConforms(JobTypeConformance):
    job_type = "python"

    @pytest.fixture
    def samples(self) -> list[Samples]:
        return [CALL]

    @pytest.fixture
    def invalid(self) -> list[dict[str, Any]]:
        return [{"fn": None}]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(
    title=TEXT,
    content=st.binary(),
    values=st.dictionaries(TEXT.filter(lambda key: "=" not in key), st.integers(-(2**63), 2**63 - 1)),
)
def test_what_a_spec_holds_can_be_written_whatever_it_is(
    title: str, content: bytes, values: dict[str, int]
) -> None:
    report = wrong_kinds.Report(title, File("page.txt", content), values)
    with files_written(report) as spec:
        for fields in (job_file_fields(spec), command_line_fields(spec)):
            assert with_files(make_spec(wrong_kinds.Report, fields, "here")) == with_files(spec)
    assert msgspec.structs.replace(with_files(spec), template=report.template) == report


# --- whole distributions --------------------------------------------------------------------------


def no_description(site: Path) -> None:
    (metadata,) = site.glob("*.dist-info/METADATA")
    metadata.write_text(metadata.read_text().partition("\n\n")[0] + "\n")


DISTRIBUTIONS = {
    "test_each_of_its_names_answers": "incompatible",
    "test_it_has_no_errors": "raises",
    "test_it_has_no_warnings": "no-upper-bound",
    "test_it_is_typed": "untyped",
    "test_it_says_what_it_is": "no description",
}
"""For each check of distributions what is wrong with one that fails it."""


@pytest.mark.parametrize(("check", "fault"), DISTRIBUTIONS.items())
def test_a_distribution_that_breaks_a_promise_fails_its_check(check: str, fault: str, site: Path) -> None:
    install_changed(site, *(FAULTS[fault].changes if fault in FAULTS else ()))
    if fault == "no description":
        no_description(site)
    if fault == "incompatible":
        (entry_points,) = site.glob("*.dist-info/entry_points.txt")
        entry_points.write_text(entry_points.read_text().replace("v1 =", "v0 ="))
    with pytest.raises(AssertionError):
        getattr(PluginConformance(), check)(DistributionHarness(NAME))


def test_each_check_of_distributions_has_a_wrong_one() -> None:
    assert checks_of(Distribution) == set(DISTRIBUTIONS)


def test_a_right_distribution_conforms(site: Path) -> None:
    install_changed(site)
    plugin = DistributionHarness(NAME)
    for check in checks_of(Distribution):
        getattr(PluginConformance(), check)(plugin)


def test_a_distribution_that_is_not_there_is_missed() -> None:
    with pytest.raises(AssertionError, match="'anyjob-nobody' registers nothing here"):
        PluginConformance().test_each_of_its_names_answers(DistributionHarness("anyjob-nobody"))


class TestAnyjobItself(PluginConformance):
    distribution = "anyjob"


# --- listing --------------------------------------------------------------------------------------

LISTING = "test_to_list_it_does_not_import_its_engine"
ACME = {
    "anyjob.api": {"v1": "anyjob_acme"},
    "anyjob.backends": {"acme": "anyjob_acme:Backend"},
    "anyjob.job_types": {"acme.report": "anyjob_acme:ReportJob"},
    "anyjob.providers": {"acme": "anyjob_acme:Provider"},
    "anyjob.plugins": {"acme": "anyjob_acme_hooks"},
}
HOOKS = "from anyjob import hookimpl\n\n\n@hookimpl\ndef anyjob_finished(job): ...\n"


def install_acme(site: Path, hooks: str) -> None:
    """Install a plugin, the engine that it requires, and a library that it uses without saying so."""
    install(site, "heavy-engine", modules={"heavy_engine/__init__.py": ""})
    install(site, "other-engine", modules={"other_engine.py": ""})
    modules = {"anyjob_acme.py": "import heavy_engine\n", "anyjob_acme_hooks.py": hooks}
    install(site, "anyjob-acme", groups=ACME, modules=modules, requires=["anyjob", "heavy-engine>=1"])


@pytest.fixture
def check_of_listing(tmp_path: Path, made: list[BackendHarness]) -> Callable[[str], None]:
    """Do the check of listing of one of the classes of the kit."""

    def backend() -> None:
        class Check(TaskBackendConformance):
            sdk = ("other_engine",)

        made.append(BackendHarness.from_factory(SessionFactory("acme", None, {}, tmp_path)))
        Check().test_to_list_it_does_not_import_its_engine(made[0])

    def kind() -> None:
        class Check(JobTypeConformance):
            sdk = ("other_engine",)

        Check().test_to_list_it_does_not_import_its_engine(
            JobTypeHarness("acme.report", None, [], backends={}, state=tmp_path)
        )

    def provider() -> None:
        class Check(ProviderConformance):
            sdk = ("other_engine",)

        harness = ProviderHarness(SessionFactory("acme", None, {}, tmp_path, "providers"))
        Check().test_to_list_it_does_not_import_its_engine(harness)

    found = {"backend": backend, "kind": kind, "provider": provider}
    return lambda which: found[which]()


SUBJECTS = pytest.mark.parametrize("subject", ["backend", "kind", "provider"])


@SUBJECTS
def test_a_plugin_whose_engine_is_not_imported_by_listing_passes(
    subject: str, site: Path, check_of_listing: Callable[[str], None]
) -> None:
    install_acme(site, HOOKS)
    check_of_listing(subject)


@SUBJECTS
@pytest.mark.parametrize("module", ["heavy_engine", "other_engine"])
def test_a_hook_module_that_imports_the_engine_fails_the_check_of_listing(
    module: str, subject: str, site: Path, check_of_listing: Callable[[str], None]
) -> None:
    install_acme(site, f"import {module}\n{HOOKS}")
    with pytest.raises(AssertionError, match=f"imports {module}, by a hook module of anyjob-acme"):
        check_of_listing(subject)


@SUBJECTS
def test_a_name_that_does_not_answer_fails_the_check_of_listing(
    subject: str, site: Path, check_of_listing: Callable[[str], None]
) -> None:
    install_acme(site, HOOKS)
    modules = {"other_acme.py": ""}
    groups = {
        group: {name: value.replace("anyjob_acme", "other_acme") for name, value in names.items()}
        for group, names in ACME.items()
    }
    install(site, "other-acme", groups=groups, modules=modules)
    with pytest.raises(AssertionError, match=r"does not answer: anyjob-acme is ambiguous, .*other-acme"):
        check_of_listing(subject)


def test_a_name_that_is_not_installed_is_not_listed() -> None:
    with pytest.raises(unittest.SkipTest, match="not installed, and so is not listed"):
        check_listing(BACKENDS, "nothing-of-this-name")


WRONG: list[tuple[type[Any], str]] = [
    *((backend, check) for check, backend in wrong.BACKENDS.items()),
    *((kind, check) for check, (_, kind) in wrong_kinds.KINDS.items()),
    *((DistributionHarness, check) for check in (*DISTRIBUTIONS, LISTING)),
]
"""What is wrong above, and the check that it fails."""
