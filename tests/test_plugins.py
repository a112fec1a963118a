from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import distributions as build

from anyjob.errors import BrokenPluginError, Refused
from anyjob.hookspecs import hookimpl
from anyjob.registry.entry_points import PLUGINS
from anyjob.registry.hooks import HookManager
from anyjob.registry.lookup import Registry


def install(import_site: Path, name: str, text: str) -> None:
    """Install a distribution anyjob-NAME with a hook module hooks_of_NAME."""
    module = f"hooks_of_{name}"
    text = "from anyjob import hookimpl\n" + text
    groups = {PLUGINS: {name: module}}
    build.install(import_site, f"anyjob-{name}", groups=groups, modules={f"{module}.py": text})


def hooks(import_site: Path, **environ: str) -> HookManager:
    return Registry([str(import_site)], environ).hooks


GOOD = "@hookimpl\ndef anyjob_job_environment(job_id):\n    return {'SEEN': job_id}\n"


def environment(manager: HookManager) -> Any:
    return manager.call("anyjob_job_environment", session=None, backend=None, job_id="7", spec=None)


def submit(manager: HookManager) -> None:
    manager.call("anyjob_before_submit", session=None, backend=None, job_id="7", spec=None, resources=None)


def test_an_implementation_is_called_with_what_it_asks_for(import_site: Path) -> None:
    install(import_site, "good", GOOD)
    assert environment(hooks(import_site)) == [{"SEEN": "7"}]


def test_plugins_load_on_the_first_call_and_once(import_site: Path) -> None:
    install(import_site, "good", GOOD)
    manager = hooks(import_site)
    assert "hooks_of_good" not in sys.modules
    assert manager.implements("anyjob_job_environment")
    module = sys.modules["hooks_of_good"]
    environment(manager)
    assert sys.modules["hooks_of_good"] is module


def test_the_marker_may_be_left_out(import_site: Path) -> None:
    install(import_site, "plain", GOOD.replace("@hookimpl\n", ""))
    assert environment(hooks(import_site)) == [{"SEEN": "7"}]


def test_without_plugins_pluggy_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from anyjob.registry.lookup import Registry; h = Registry([]).hooks\n"
        "assert not h.implements('anyjob_submitted') and h.call('anyjob_submitted', job=1) == []\n"
        "assert h.call('anyjob_choose_backend', session=1, spec=1, candidates=[]) is None\n"
        "h.call('anyjob_configure', config=1)\n"
        "print([n for n in ('pluggy', 'anyjob.hookspecs', 'logging', 'inspect') if n in sys.modules])"
    )
    assert build.python(program) == "[]\n"


BAD = {
    "raising": ("raise RuntimeError('bad luck')", "bad luck"),
    "exiting": ("import sys; sys.exit(1)", r"sys\.exit"),
    "syntax": ("def f(:\n", "SyntaxError"),
    "dependency": ("import absent_engine", "'absent_engine', which is not installed"),
    "unknown": ("@hookimpl\ndef anyjob_finnished(job): pass", "did you mean 'anyjob_finished'"),
    "unmarked": ("def anyjob_submited(job): pass", "did you mean 'anyjob_submitted'"),
    "misnamed": (
        "@hookimpl\ndef something_else(): pass",
        "'something_else', which is no hook: the hooks are",
    ),
    "argument": (
        "@hookimpl\ndef anyjob_finished(job, outcom): pass",
        "asks for 'outcom'.*did you mean 'outcome'",
    ),
    "alien": ("@hookimpl\ndef anyjob_finished(job, zzz): pass", "asks for 'zzz'.*it has job, outcome"),
    "default": (  # pluggy#442
        "@hookimpl\ndef anyjob_finished(job, outcome=None): pass",
        "takes 'outcome' with a default.*write plain 'outcome'",
    ),
    "keyword": ("@hookimpl\ndef anyjob_finished(job, *, outcome): pass", "takes 'outcome'.*by its name only"),
    "coroutine": ("@hookimpl\nasync def anyjob_finished(job): pass", "must be a plain function"),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef anyjob_finished(job):\n    yield\n",
        "must be a plain function",
    ),
    "empty": ("", "implements no hook"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_plugin_is_reported_and_the_others_work(
    name: str, import_site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """llm#1280, conda#12460: isolated, and listed with its cause."""
    install(import_site, name, BAD[name][0])
    install(import_site, "good", GOOD)
    manager = hooks(import_site)
    assert environment(manager) == [{"SEEN": "7"}]
    environment(manager)
    (problem,) = manager.problems.values()
    with pytest.raises(BrokenPluginError, match=BAD[name][1]):
        raise problem
    (record,) = [record for record in caplog.records if record.name == "anyjob.plugins"]
    assert f"anyjob-{name} 1.0" in record.getMessage()


@pytest.mark.parametrize("name", BAD)
def test_a_broken_plugin_raises_where_plugins_are_strict(name: str, import_site: Path) -> None:
    """opentelemetry-python-contrib#2923, #3550: ``ANYJOB_STRICT_PLUGINS=1`` fails fast in CI."""
    install(import_site, name, BAD[name][0])
    manager = hooks(import_site, ANYJOB_STRICT_PLUGINS="1")
    for _ in range(2):
        with pytest.raises(BrokenPluginError, match=BAD[name][1]):
            environment(manager)


def test_an_implementation_that_raises_is_reported_once_and_the_rest_run(
    import_site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install(import_site, "good", GOOD)
    install(import_site, "failing", GOOD.replace("return", "raise KeyError('lost') or"))
    manager = hooks(import_site)
    assert environment(manager) == environment(manager) == [{"SEEN": "7"}]
    (record,) = caplog.records
    assert "anyjob-failing" in record.getMessage()
    assert "KeyError" in record.getMessage()
    assert record.exc_info is not None
    assert record.levelno == logging.WARNING


def test_an_implementation_that_raises_does_where_plugins_are_strict(import_site: Path) -> None:
    """opentelemetry-python-contrib#2923: fail fast in CI."""
    install(import_site, "failing", GOOD.replace("return", "raise KeyError('lost') or"))
    with pytest.raises(BrokenPluginError, match=r"anyjob-failing 1\.0 raised KeyError: 'lost'"):
        environment(hooks(import_site, ANYJOB_STRICT_PLUGINS="1"))


def test_refused_passes_through_from_before_submit_and_from_nowhere_else() -> None:
    class Plugin:
        def anyjob_before_submit(self) -> None:
            raise Refused("no walltime")

        def anyjob_submitted(self) -> None:
            raise Refused("too late")

    manager = HookManager()
    manager.register(Plugin())
    with pytest.raises(Refused, match="no walltime"):
        submit(manager)
    assert manager.call("anyjob_submitted", job=None) == []


def test_another_exception_from_before_submit_does_not_refuse(caplog: pytest.LogCaptureFixture) -> None:
    class Plugin:
        def anyjob_before_submit(self) -> None:
            raise ValueError("a bug")

    manager = HookManager()
    manager.register(Plugin())
    submit(manager)
    assert "ValueError: a bug" in caplog.text


def test_the_first_answer_counts_where_one_is_wanted() -> None:
    def plugin(answer: str | None) -> SimpleNamespace:
        return SimpleNamespace(anyjob_choose_backend=lambda candidates: answer)

    manager = HookManager()
    for answer in ("first", "second", None):
        manager.register(plugin(answer))
    chosen = manager.call("anyjob_choose_backend", session=None, spec=None, candidates=["first", "second"])
    assert chosen == "second"


def test_the_options_of_the_marker_are_heeded() -> None:
    class First:
        @hookimpl(tryfirst=True)
        def anyjob_job_environment(self) -> dict[str, str]:
            return {"from": "first"}

    class Named:
        @hookimpl(specname="anyjob_job_environment")
        def give(self) -> dict[str, str]:
            return {"from": "named"}

    manager = HookManager()
    manager.register(First())
    manager.register(Named())
    assert [given["from"] for given in environment(manager)] == ["first", "named"]


def test_the_configuration_reaches_plugins_that_are_loaded_later(import_site: Path) -> None:
    install(import_site, "late", "got = []\ndef anyjob_configure(config):\n    got.append(config)\n")
    manager = hooks(import_site)
    manager.call("anyjob_configure", config="early")
    assert "hooks_of_late" not in sys.modules
    assert not manager.implements("anyjob_submitted")
    manager.call("anyjob_configure", config="more")
    assert sys.modules["hooks_of_late"].got == ["early", "more"]


def test_a_plugin_is_taken_out_again() -> None:
    plugin = SimpleNamespace(anyjob_job_environment=lambda: {"A": "1"})
    manager = HookManager()
    manager.register(plugin)
    assert manager.implements("anyjob_job_environment")
    manager.unregister(plugin)
    assert not manager.implements("anyjob_job_environment")
    assert environment(manager) == []
    with pytest.raises(ValueError, match="not registered"):
        manager.unregister(plugin)


def test_what_a_program_registers_is_checked_at_once() -> None:
    manager = HookManager()
    with pytest.raises(BrokenPluginError, match="did you mean 'anyjob_submitted'"):
        manager.register(SimpleNamespace(anyjob_submit=lambda job: None))
    with pytest.raises(BrokenPluginError, match="is a class"):
        manager.register(type("Plugin", (), {"anyjob_submitted": lambda self: None}))


def test_the_same_plugin_from_two_distributions_is_called_once(import_site: Path) -> None:
    install(import_site, "good", GOOD)
    build.install(import_site, "anyjob-copy", groups={PLUGINS: {"copy": "hooks_of_good"}})
    build.install(
        import_site,
        "anyjob-alias",
        groups={PLUGINS: {"alias": "hooks_of_alias:hooks_of_good"}},
        modules={"hooks_of_alias.py": "import hooks_of_good\n"},
    )
    assert environment(hooks(import_site)) == [{"SEEN": "7"}]


def test_a_switched_off_plugin_is_not_loaded(import_site: Path) -> None:
    install(import_site, "good", GOOD)
    assert environment(hooks(import_site, ANYJOB_DISABLE_PLUGINS="anyjob-good")) == []
    assert "hooks_of_good" not in sys.modules


def test_a_plugin_may_call_hooks_while_it_is_imported(import_site: Path) -> None:
    install(
        import_site,
        "good",
        "import builtins\nbuiltins.manager_of_test.call('anyjob_submitted', job=None)\n" + GOOD,
    )
    import builtins

    manager = hooks(import_site)
    builtins.manager_of_test = manager  # type: ignore[attr-defined]
    try:
        assert environment(manager) == [{"SEEN": "7"}]
        assert manager.problems == {}
    finally:
        del builtins.manager_of_test  # type: ignore[attr-defined]


def test_threads_that_call_at_once_all_find_the_plugins_loaded(import_site: Path) -> None:
    install(import_site, "good", GOOD)
    install(import_site, "other", GOOD)
    manager = hooks(import_site)
    start = threading.Barrier(6)
    answers: list[Any] = []

    def call() -> None:
        start.wait()
        answers.append(environment(manager))

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[{"SEEN": "7"}] * 2] * 6


def test_the_manager_says_whose_hook_is_being_called(import_site: Path) -> None:
    manager = HookManager()
    seen: list[Any] = []
    manager.register(SimpleNamespace(anyjob_submitted=lambda: seen.append(manager.current)), "mine")
    manager.call("anyjob_submitted", job=None)
    assert [each.name for each in seen] == ["mine"]
    assert manager.current is None
