from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import click
import pytest
from support import distributions as build

from anyjob.backend import BaseBackend
from anyjob.errors import (
    AmbiguousNameError,
    BlockedPluginError,
    BrokenPluginError,
    IncompatiblePluginError,
    PluginError,
    UnknownNameError,
)
from anyjob.job import BaseJob
from anyjob.provider import BaseProvider
from anyjob.registry.entry_points import BACKENDS, COMMANDS, GROUPS, JOB_TYPES, PLUGINS, PROVIDERS
from anyjob.registry.listing import ListingEntry
from anyjob.registry.lookup import Registry


def registry(*path: Path, **environ: str) -> Registry:
    return Registry([str(each) for each in path], environ)


def states(lines: list[ListingEntry]) -> dict[str, str]:
    return {f"{line.distribution}:{line.name}": line.state for line in lines}


class Mine(BaseBackend):
    def run(self, *args: Any, **kwargs: Any) -> None: ...


class Other(Mine):
    pass


# Names that answer


def test_a_name_gives_the_class(import_site: Path) -> None:
    build.install_backend(import_site, "good")
    found = registry(import_site).backend("good")
    assert issubclass(found, BaseBackend)
    assert found.__module__ == "anyjob_good"


def test_each_kind_of_name_gives_its_object(import_site: Path) -> None:
    module = (
        "import click\nfrom anyjob.provider import BaseProvider\nfrom anyjob.job import BaseJob\n"
        "class Job(BaseJob): pass\nclass Provider(BaseProvider): pass\n@click.command()\ndef tell(): pass\n"
    )
    groups = {
        JOB_TYPES: {"acme.job": "acme_all:Job"},
        PROVIDERS: {"acme": "acme_all:Provider"},
        COMMANDS: {"tell": "acme_all:tell"},
    }
    build.install(import_site, "acme-all", groups=groups, modules={"acme_all.py": module})
    found = registry(import_site)
    assert issubclass(found.job_type("acme.job"), BaseJob)
    assert issubclass(found.provider("acme"), BaseProvider)
    assert isinstance(found.command("tell"), click.Command)


def test_a_name_imports_the_one_plugin_that_answers(tmp_path: Path) -> None:
    """xarray#10178, opentelemetry-python#3054, airflow#47189: one name imports one plugin."""
    for name in ("one", "two", "three"):
        build.install_backend(tmp_path / "site", name)
    program = (
        "import sys; from anyjob.registry.lookup import Registry; Registry().backend('two')\n"
        "print(sorted(n for n in sys.modules if n.startswith('anyjob_')))\n"
        "print([n for n in ('importlib_metadata', 'pluggy', 'typing', 're', 'enum') if n in sys.modules])"
    )
    assert build.python(program, tmp_path / "site") == "['anyjob_two']\n[]\n"


def test_listing_imports_no_plugin(tmp_path: Path) -> None:
    build.install_backend(tmp_path / "site", "one")
    build.install_backend(tmp_path / "site", "two")
    program = (
        "import sys; from anyjob.registry.lookup import Registry; r = Registry()\n"
        "r.listing(); r.names('anyjob.backends')\n"
        "r.origin('anyjob.backends', 'one')\n"
        "print([n for n in sys.modules if n.startswith('anyjob_')])"
    )
    assert build.python(program, tmp_path / "site") == "[]\n"


def test_a_warm_look_up_reads_nothing(import_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.install_backend(import_site, "good")
    found = registry(import_site)
    first = found.backend("good")
    monkeypatch.setattr(Registry, "_resolve", None)
    assert found.backend("good") is first


def test_nothing_is_read_until_a_name_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyjob.registry.lookup.Scan", None)
    Registry()


def test_the_names_of_the_core_are_entry_points_like_others() -> None:
    names = Registry().names(BACKENDS)
    assert {"inline", "processes", "threads"} <= set(names)
    origin = Registry().origin(BACKENDS, "inline")
    assert origin is not None
    assert origin.distribution == "anyjob"


def test_origin_says_who_answers_without_loading(import_site: Path) -> None:
    build.install(import_site, "broken", groups={BACKENDS: {"broken": "nowhere:X"}})
    origin = registry(import_site).origin(BACKENDS, "broken")
    assert origin is not None
    assert (origin.distribution, origin.version, origin.value) == ("broken", "1.0", "nowhere:X")
    assert registry(import_site).origin(BACKENDS, "absent") is None


# Names that do not


def test_a_typo_is_told_the_nearest_names(import_site: Path) -> None:
    """microblog#126, snakemake-executor-plugin-slurm#77: a typo gave "can't load plugin"."""
    build.install_backend(import_site, "acmegrid")
    with pytest.raises(UnknownNameError, match=r"did you mean 'acmegrid'\?; installed: acmegrid") as caught:
        registry(import_site).backend("acmegird")
    assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize(
    ("ask", "name", "command"),
    [
        ("backend", "slurm", "pip install anyjob-slurm"),
        ("backend", "slrum", "pip install anyjob-slurm"),
        ("backend", "dask", "pip install anyjob-dask"),
        ("backend", "ray", "pip install anyjob-ray"),
        ("backend", "aer", "pip install anyjob-qiskit"),
        ("backend", "qiskit", "pip install anyjob-qiskit"),
        ("provider", "qiskit", "pip install anyjob-qiskit"),
        ("job_type", "circuit", "pip install anyjob-qiskit"),
    ],
)
def test_a_well_known_plugin_is_told_with_its_pip_command(
    ask: str, name: str, command: str, import_site: Path
) -> None:
    """microblog#126: nearest names and the pip command."""
    with pytest.raises(UnknownNameError, match=command):
        getattr(registry(import_site), ask)(name)


def test_a_name_of_another_kind_is_told(import_site: Path) -> None:
    build.install(import_site, "acme", groups={JOB_TYPES: {"acme.sql": "m:J"}})
    with pytest.raises(UnknownNameError, match=r"'acme\.sql' is a job type"):
        registry(import_site).backend("acme.sql")


def test_a_core_that_is_not_installed_is_told(import_site: Path) -> None:
    with pytest.raises(UnknownNameError, match="anyjob itself is not installed here"):
        registry(import_site).backend("inline")


def test_a_name_that_only_a_shadowed_copy_has_is_told(import_site: Path, tmp_path: Path) -> None:
    build.install(import_site, "anyjob-same", "2.0")
    build.install_backend(tmp_path / "later", "same", "1.0")
    with pytest.raises(UnknownNameError, match=r"later.* has it, but imports find anyjob-same 2\.0"):
        registry(import_site, tmp_path / "later").backend("same")


def test_two_distributions_of_one_name_are_both_named(import_site: Path) -> None:
    """adlfs#302, aiida-core#696, ibmq-provider#43: both are named, and the way to pick."""
    build.install_backend(import_site, "same", "1.2", distribution="acme-one")
    build.install_backend(import_site, "same", "3.4", distribution="acme-two")
    found = registry(import_site)
    with pytest.raises(AmbiguousNameError) as caught:
        found.backend("same")
    for part in ("acme-one 1.2", "acme-two 3.4", "'acme-one:same'", "'acme-two:same'"):
        assert part in str(caught.value)
    assert found.backend("acme-two:same").__module__ == "acme_two"
    assert found.backend("Acme_One:same").__module__ == "acme_one"
    assert found.origin(BACKENDS, "same") is None
    assert states(found.listing(BACKENDS)) == {"acme-one:same": "ambiguous", "acme-two:same": "ambiguous"}
    assert found.names(BACKENDS) == ["same"]


def test_a_third_party_cannot_take_a_name_of_the_core_unseen(import_site: Path) -> None:
    build.install_backend(import_site, "inline", distribution="acme")
    with pytest.raises(AmbiguousNameError, match="'anyjob:inline'"):
        Registry().backend("inline")
    assert Registry(environ={"ANYJOB_DISABLE_PLUGINS": "acme"}).origin(BACKENDS, "inline") is not None


def test_identical_duplicates_are_no_clash(import_site: Path) -> None:
    build.install_backend(import_site, "same", distribution="acme-one")
    build.install(import_site, "acme-renamed", groups={BACKENDS: {"same": "acme_one:Backend"}})
    found = registry(import_site)
    assert found.backend("same").__module__ == "acme_one"
    assert states(found.listing(BACKENDS)) == {"acme-one:same": "ok", "acme-renamed:same": "duplicate"}


def test_an_editable_duplicate_is_listed_and_answers_once(import_site: Path, tmp_path: Path) -> None:
    """importlib_metadata#410: de-duplicated; only the distribution that imports would find."""
    build.install_backend(import_site, "twice")
    build.egg_info(tmp_path / "src", "anyjob-twice", "1.1", {BACKENDS: {"twice": "anyjob_twice:Backend"}})
    found = registry(import_site, tmp_path / "src")
    found.backend("twice")
    assert [(line.version, line.state) for line in found.listing(BACKENDS)] == [
        ("1.0", "ok"),
        ("1.1", "duplicate"),
    ]


# Broken plugins

BROKEN = {
    "raising": ("raise RuntimeError('bad luck')", "RuntimeError: bad luck"),
    "exiting": ("import sys; sys.exit(3)", r"it called sys\.exit\(3\)"),
    "syntax": ("def broken(:\n", "SyntaxError"),
    "dependency": ("import acme_engine.client", "needs the module 'acme_engine', which is not installed"),
    "part": ("import anyjob_part.inner", "reinstall anyjob-part"),
    "attribute": ("", "has no attribute 'Backend'"),
    "function": ("def Backend(): pass", "is not a subclass of anyjob.backend.BaseBackend"),
    "alien": ("class Backend: pass", "the class Backend, which is not a subclass of anyjob"),
    "instance": ("Backend = 'text'", "is 'text', which is not a subclass"),
}


def install_broken(import_site: Path, name: str) -> None:
    module = f"anyjob_{name}"
    groups = {BACKENDS: {name: f"{module}:Backend"}}
    build.install(
        import_site, f"anyjob-{name}", groups=groups, modules={f"{module}/__init__.py": BROKEN[name][0]}
    )


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_told_with_its_cause(name: str, import_site: Path) -> None:
    """dbt-core#2006: a plugin's missing dependency was shown as something else."""
    install_broken(import_site, name)
    with pytest.raises(BrokenPluginError, match=BROKEN[name][1]) as caught:
        registry(import_site).backend(name)
    assert f"anyjob-{name} 1.0" in str(caught.value)
    assert f"anyjob_{name}:Backend" in str(caught.value)


def test_a_broken_plugin_harms_no_other_and_is_listed(import_site: Path) -> None:
    """llm#1280, conda#12460: one bad plugin killed everything."""
    for name in BROKEN:
        install_broken(import_site, name)
    build.install_backend(import_site, "good")
    (import_site / "anyjob_odd-1.0.dist-info").mkdir()
    (import_site / "anyjob_odd-1.0.dist-info" / "entry_points.txt").write_text(
        "[anyjob.backends]\nno value\n"
    )
    found = registry(import_site)
    assert issubclass(found.backend("good"), BaseBackend)
    assert set(found.names(BACKENDS)) == {*BROKEN, "good"}
    (odd,) = [line for line in found.listing() if line.distribution == "anyjob-odd"]
    assert (odd.state, odd.name) == ("broken", "")
    assert "no value" in odd.why


def test_the_cause_is_kept(import_site: Path) -> None:
    install_broken(import_site, "raising")
    with pytest.raises(BrokenPluginError) as caught:
        registry(import_site).backend("raising")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_interrupt_while_a_plugin_is_imported_passes_through(import_site: Path) -> None:
    groups = {BACKENDS: {"slow": "anyjob_slow:B"}}
    build.install(
        import_site, "anyjob-slow", groups=groups, modules={"anyjob_slow.py": "raise KeyboardInterrupt"}
    )
    with pytest.raises(KeyboardInterrupt):
        registry(import_site).backend("slow")


def test_stale_metadata_is_told_apart_from_a_missing_dependency(import_site: Path) -> None:
    """qiskit#12165: metadata whose module is gone: reinstall it, or uninstall it."""
    build.install(import_site, "anyjob-gone", groups={BACKENDS: {"gone": "anyjob_gone.core:Backend"}})
    with pytest.raises(BrokenPluginError, match="is stale: reinstall or uninstall anyjob-gone"):
        registry(import_site).backend("gone")


def test_a_value_that_is_no_reference_is_told(import_site: Path) -> None:
    build.install(import_site, "anyjob-odd", groups={BACKENDS: {"odd": "not a module"}})
    with pytest.raises(BrokenPluginError, match="is no 'module:attribute'"):
        registry(import_site).backend("odd")


def test_a_plugin_for_another_interface_is_told_with_both_versions(import_site: Path) -> None:
    """pennylane#117, snakemake#2426: the plugin interface has a version of its own."""
    groups = {"anyjob.api": {"v9": "future"}, BACKENDS: {"future": "future:Backend"}}
    build.install(
        import_site, "anyjob-future", groups=groups, modules={"future.py": "raise AssertionError('imported')"}
    )
    found = registry(import_site)
    with pytest.raises(IncompatiblePluginError, match="plugin API v9, and this anyjob has v1"):
        found.backend("future")
    (line,) = found.listing(BACKENDS)
    assert (line.state, line.api) == ("incompatible", "v9")


def test_a_plugin_for_two_interfaces_is_taken(import_site: Path) -> None:
    groups = {"anyjob.api": {"v9": "both", "v1": "both"}, BACKENDS: {"both": "both:Backend"}}
    build.install(import_site, "anyjob-both", groups=groups, modules={"both.py": build.backend_module()})
    assert registry(import_site).backend("both").__module__ == "both"


def test_an_incompatible_rival_makes_no_clash(import_site: Path) -> None:
    build.install_backend(import_site, "same", distribution="acme-one")
    groups = {"anyjob.api": {"v9": "m"}, BACKENDS: {"same": "m:B"}}
    build.install(import_site, "acme-two", groups=groups)
    assert registry(import_site).backend("same").__module__ == "acme_one"


# The environment


@pytest.mark.parametrize("value", ["anyjob-one", "Anyjob_One", "one", "two, one", "*", "anyjob-o*"])
def test_plugins_are_switched_off_by_distribution_or_name(value: str, import_site: Path) -> None:
    build.install_backend(import_site, "one")
    found = registry(import_site, ANYJOB_DISABLE_PLUGINS=value)
    with pytest.raises(BlockedPluginError, match="ANYJOB_DISABLE_PLUGINS"):
        found.backend("one")
    assert states(found.listing(BACKENDS)) == {"anyjob-one:one": "blocked"}
    assert found.names(BACKENDS) == []


def test_only_some_plugins_are_left_on(import_site: Path) -> None:
    build.install_backend(import_site, "one")
    build.install_backend(import_site, "two")
    found = Registry(environ={"ANYJOB_ONLY_PLUGINS": "anyjob-one"})
    found.backend("one")
    with pytest.raises(BlockedPluginError, match="ANYJOB_ONLY_PLUGINS"):
        found.backend("two")
    assert found.origin(BACKENDS, "inline") is not None


def test_the_core_is_switched_off_only_name_by_name() -> None:
    assert Registry(environ={"ANYJOB_DISABLE_PLUGINS": "*"}).origin(BACKENDS, "inline") is not None
    assert Registry(environ={"ANYJOB_DISABLE_PLUGINS": "anyjob"}).origin(BACKENDS, "inline") is not None
    found = Registry(environ={"ANYJOB_DISABLE_PLUGINS": "inline"})
    with pytest.raises(BlockedPluginError):
        found.backend("inline")


def test_one_of_a_clash_can_be_switched_off(import_site: Path) -> None:
    build.install_backend(import_site, "same", distribution="acme-one")
    build.install_backend(import_site, "same", distribution="acme-two")
    assert registry(import_site, ANYJOB_DISABLE_PLUGINS="acme-two").backend("same").__module__ == "acme_one"


# What a program registers


def test_what_a_program_registers_wins_in_its_own_registry_only(import_site: Path) -> None:
    build.install_backend(import_site, "good")
    mine, other = registry(import_site), registry(import_site)
    mine.register_backend("good", Mine)
    assert mine.backend("good") is Mine
    assert other.backend("good") is not Mine
    assert states(mine.listing(BACKENDS)) == {":good": "ok", "anyjob-good:good": "duplicate"}
    assert mine.backend("anyjob-good:good") is not Mine


def test_registering_wins_over_what_was_looked_up_before(import_site: Path) -> None:
    build.install_backend(import_site, "good")
    found = registry(import_site)
    found.backend("good")
    found.register_backend("good", Mine)
    assert found.backend("good") is Mine


def test_two_classes_cannot_be_registered_under_one_name(import_site: Path) -> None:
    found = registry(import_site)
    found.register_backend("mine", Mine)
    found.register_backend("mine", Mine)
    with pytest.raises(AmbiguousNameError, match="'mine' is registered already"):
        found.register_backend("mine", Other)


def test_only_the_right_classes_can_be_registered(import_site: Path) -> None:
    found = registry(import_site)
    with pytest.raises(BrokenPluginError, match="the class Mine, which is not a subclass of anyjob"):
        found.register_job_type("mine", Mine)  # type: ignore[arg-type]
    with pytest.raises(BrokenPluginError, match=r"not a subclass of anyjob\.provider\.BaseProvider"):
        found.register_provider("mine", Mine)  # type: ignore[arg-type]


HOOKS = """
from anyjob.hookspecs import hookimpl
from anyjob.backend import BaseBackend

class Device(BaseBackend):
    def run(self, *args, **kwargs): pass

@hookimpl
def anyjob_register(registry):
    registry.register_backend("acme.device", Device)
    registry.register_backend("good", Device)
"""


def install_hooks(import_site: Path, text: str = HOOKS) -> None:
    build.install(
        import_site, "anyjob-acme", groups={PLUGINS: {"acme": "acme_hooks"}}, modules={"acme_hooks.py": text}
    )


def test_a_hook_registers_names_that_metadata_cannot_know(import_site: Path) -> None:
    install_hooks(import_site)
    found = registry(import_site)
    assert found.backend("acme.device").__name__ == "Device"
    assert found.backend("anyjob-acme:acme.device").__name__ == "Device"
    origin = found.origin(BACKENDS, "acme.device")
    assert origin is not None
    assert origin.distribution == "anyjob-acme"
    assert "acme.device" in found.names(BACKENDS)


def test_hooks_are_not_asked_for_what_metadata_answers_and_do_not_take_it(import_site: Path) -> None:
    install_hooks(import_site)
    build.install_backend(import_site, "good")
    found = registry(import_site)
    first = found.backend("good")
    assert "acme_hooks" not in sys.modules
    found.backend("acme.device")
    assert registry(import_site).backend("good") is first
    assert states(found.listing(BACKENDS))["anyjob-acme:good"] == "duplicate"


def test_a_name_registered_by_a_hook_can_be_switched_off(import_site: Path) -> None:
    install_hooks(import_site)
    with pytest.raises(BlockedPluginError):
        registry(import_site, ANYJOB_DISABLE_PLUGINS="acme.device").backend("acme.device")


def test_a_hook_may_look_names_up_while_it_registers(import_site: Path) -> None:
    text = HOOKS.replace(
        '    registry.register_backend("good", Device)',
        "    try:\n        registry.backend('absent')\n    except LookupError:\n        pass",
    )
    install_hooks(import_site, text)
    assert registry(import_site).backend("acme.device").__name__ == "Device"


def test_a_plugin_registered_by_the_program_is_asked_too(import_site: Path) -> None:
    class Plugin:
        def anyjob_register(self, registry: Registry) -> None:
            registry.register_backend("late", Mine)

    found = registry(import_site)
    with pytest.raises(UnknownNameError):
        found.backend("late")
    found.hooks.register(Plugin())
    assert found.backend("late") is Mine


def test_a_broken_hook_plugin_is_named_where_a_name_is_unknown(import_site: Path) -> None:
    install_hooks(import_site, "raise RuntimeError('bad luck')")
    found = registry(import_site)
    with pytest.raises(UnknownNameError, match=r"may bring names is broken: .*bad luck"):
        found.backend("acme.device")
    (line,) = found.listing(PLUGINS)
    assert (line.state, "bad luck" in line.why) == ("broken", True)


def test_listing_does_not_raise_where_plugins_are_strict(import_site: Path) -> None:
    """opentelemetry-python-contrib#2923, #3550: isolated in daily use, failing fast in CI."""
    install_hooks(import_site, "raise RuntimeError('bad luck')")
    found = registry(import_site, ANYJOB_STRICT_PLUGINS="1")
    assert [line.state for line in found.listing(PLUGINS)] == ["broken"]
    with pytest.raises(BrokenPluginError, match="bad luck"):
        found.backend("absent")


def test_a_listing_without_hooks_imports_no_hook_plugin(import_site: Path) -> None:
    install_hooks(import_site)
    build.install_backend(import_site, "good")
    found = registry(import_site)
    assert states(found.listing(hooks=False)) == {"anyjob-acme:acme": "ok", "anyjob-good:good": "ok"}
    assert found.names(BACKENDS, hooks=False) == ["good"]
    assert [each.name for each in found.hook_plugins()] == ["acme"]
    assert "acme_hooks" not in sys.modules
    assert found.names(BACKENDS) == ["acme.device", "good"]
    assert registry(import_site, ANYJOB_DISABLE_PLUGINS="anyjob-acme").hook_plugins() == []


# Refreshing


def test_refresh_finds_what_was_installed_meanwhile(import_site: Path) -> None:
    """xarray#7478, pennylane#907: a plugin installed meanwhile was not seen."""
    found = registry(import_site)
    with pytest.raises(UnknownNameError):
        found.backend("late")
    build.install_backend(import_site, "late")
    found.refresh()
    assert issubclass(found.backend("late"), BaseBackend)


def test_refresh_forgets_what_was_removed_and_tries_again_what_failed(import_site: Path) -> None:
    build.install_backend(import_site, "gone")
    install_broken(import_site, "raising")
    found = registry(import_site)
    found.backend("gone")
    with pytest.raises(BrokenPluginError):
        found.backend("raising")
    for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt"):
        (import_site / "anyjob_gone-1.0.dist-info" / name).unlink()
    (import_site / "anyjob_raising" / "__init__.py").write_text(build.backend_module() + "# repaired\n")
    found.refresh()
    assert issubclass(found.backend("raising"), BaseBackend)
    with pytest.raises(UnknownNameError):
        found.backend("gone")


def test_refresh_loads_new_hook_plugins_and_keeps_what_the_program_registered(import_site: Path) -> None:
    found = registry(import_site)
    found.register_backend("mine", Mine)
    assert not found.hooks.implements("anyjob_register")
    install_hooks(import_site)
    found.refresh()
    assert found.backend("acme.device").__name__ == "Device"
    assert found.backend("mine") is Mine


def test_a_new_process_sees_what_pip_has_installed(tmp_path: Path) -> None:
    """xarray#7478: a new process always sees it."""
    program = (
        "from anyjob.registry.lookup import Registry; print(Registry().origin('anyjob.backends', 'piped'))"
    )
    (tmp_path / "site").mkdir()
    assert build.python(program, tmp_path / "site") == "None\n"
    groups = {BACKENDS: {"piped": "piped:B"}}
    built = build.wheel(tmp_path, "anyjob-piped", groups=groups, modules={"piped.py": "B = 1"})
    build.pip_install(tmp_path / "site", str(built))
    assert build.python(program, tmp_path / "site") == "piped = piped:B of anyjob-piped 1.0\n"


def test_many_threads_get_one_class(import_site: Path) -> None:
    build.install_backend(import_site, "good")
    found = registry(import_site)
    start = threading.Barrier(8)
    answers: list[type] = []

    def ask() -> None:
        start.wait()
        answers.append(found.backend("good"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1


def test_a_listing_tells_what_metadata_tells(import_site: Path) -> None:
    build.install_backend(import_site, "good", "2.5")
    (line,) = registry(import_site).listing(BACKENDS)
    assert line.to_dict() == {
        "group": BACKENDS,
        "name": "good",
        "value": "anyjob_good:Backend",
        "distribution": "anyjob-good",
        "version": "2.5",
        "location": f"{import_site}/anyjob_good-2.5.dist-info",
        "api": "v1",
        "state": "ok",
        "why": "",
        "renamed": "",
        "deprecated": False,
        "editable": "",
        "summary": "",
        "links": {},
        "docs": "",
    }
    assert {each.group for each in Registry().listing()} <= set(GROUPS)


def test_errors_about_plugins_share_a_base() -> None:
    for error in (UnknownNameError, AmbiguousNameError, BlockedPluginError, IncompatiblePluginError):
        assert issubclass(error, PluginError)
