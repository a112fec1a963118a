"""The kit tests a plugin, and not the policy of others that are installed beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit_trials import check, harness_of
from right_backend import RightBackend, RightEngine

from anyjob.errors import AnyjobError
from anyjob.registry.lookup import Registry
from anyjob.testing import BackendHarness, JobTypeConformance, TaskBackendConformance
from anyjob.testing.environment.isolated_registry import IsolatedRegistry
from anyjob.testing.harness.session_factory import SessionFactory

POLICY = """
import anyjob

def anyjob_before_submit():
    raise anyjob.Refused("nothing runs here")
"""
CHECK = "test_work_that_succeeds_is_done_and_gives_its_result"


@pytest.fixture
def policy(isolated_registry: IsolatedRegistry) -> Iterator[None]:
    """A distribution with a policy is installed, which is no business of what is tested."""
    isolated_registry.install(
        "acme-rules",
        entry_points={"anyjob.plugins": {"rules": "acme_refuses"}},
        modules={"acme_refuses.py": POLICY},
    )
    assert Registry().hook_plugins()
    yield
    isolated_registry.forget()


@pytest.mark.usefixtures("policy")
def test_a_policy_of_others_is_left_out(tmp_path: Path) -> None:
    with harness_of(RightBackend, tmp_path) as harness:
        check(CHECK, harness)


@pytest.mark.usefixtures("policy")
def test_a_policy_of_others_that_is_asked_for_says_that_it_refused(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    engine = RightEngine(tmp_path / "engine")
    options = {"directory": str(tmp_path / "engine")}
    factory = SessionFactory("tried", RightBackend, options, tmp_path / "state", foreign_hooks=True)
    try:
        with (
            closing(BackendHarness.from_factory(factory, engine=engine)) as harness,
            pytest.raises(AnyjobError, match=r"nothing runs here \(refused by the plugin acme-rules\)"),
        ):
            check(CHECK, harness)
    finally:
        engine.stop()


def test_the_hooks_of_what_is_tested_are_called(isolated_registry: IsolatedRegistry, tmp_path: Path) -> None:
    isolated_registry.install(
        "acme",
        entry_points={
            "anyjob.backends": {"acme.pool": "acme_pool:Pool"},
            "anyjob.plugins": {"acme": "acme_pool"},
        },
        modules={"acme_pool.py": f"from anyjob.builtin.threads import ThreadsBackend as Pool\n{POLICY}"},
    )
    factory = SessionFactory("acme.pool", None, {}, tmp_path / "state")
    with factory.make_session() as session, pytest.raises(AnyjobError, match="refused by the plugin acme"):
        session.run("math:sqrt", 4, backend="acme.pool")


def test_hooks_that_are_left_out_stay_so_and_those_of_the_program_are_called(
    isolated_registry: IsolatedRegistry,
) -> None:
    modules = {"rules.py": "def anyjob_submitted(job): pass\n"}
    plugins = {"anyjob.plugins": {"rules": "rules"}}
    isolated_registry.install("acme-rules", entry_points=plugins, modules=modules)
    hooks = isolated_registry.hooks
    assert hooks.implements("anyjob_submitted")
    assert hooks.restrict("other") == ["acme-rules"]
    assert not hooks.implements("anyjob_submitted")
    isolated_registry.refresh()
    assert not hooks.implements("anyjob_submitted")

    class Own:
        def anyjob_finished(self, job: Any) -> None: ...

    hooks.register(Own())
    assert hooks.implements("anyjob_finished")


def test_each_class_of_the_kit_can_be_told_to_call_them() -> None:
    for kit in (TaskBackendConformance, JobTypeConformance):
        assert kit.foreign_hooks is False
