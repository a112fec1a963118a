"""Tries single checks of the conformance kit on backends, right and wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from right_backend import RightBackend, RightEngine
from right_plain import RightPlainBackend, plain_samples

from anyjob.testing import BackendHarness, TaskBackendConformance
from anyjob.testing.harness.session_factory import SessionFactory


@contextmanager
def harness_of(
    backend: type[Any], directory: Path, timeout: float = 30.0, never: str | None = None
) -> Iterator[BackendHarness]:
    """The harness of a backend that derives from one of the right ones.

    What it is known to wait for in vain is not waited for at length.
    """
    engine = None
    options: dict[str, Any] = {}
    if issubclass(backend, RightBackend):
        (directory / "engine").mkdir()
        engine = RightEngine(directory / "engine")
        options["directory"] = str(directory / "engine")
    samples = plain_samples() if issubclass(backend, RightPlainBackend) else None
    factory = SessionFactory("tried", backend, options, directory / "state")
    harness = BackendHarness.from_factory(factory, engine=engine, samples=samples, timeout=timeout)
    if never is not None:
        _give_up_soon(harness, never)
    try:
        yield harness
    finally:
        harness.close()
        if engine is not None:
            engine.stop()


def _give_up_soon(harness: BackendHarness, never: str) -> None:
    wait_until = harness.wait_until

    def wait_briefly(condition: Callable[[], Any], what: str) -> Any:
        if never in what:
            harness.timeout = 0.5
        return wait_until(condition, what)

    harness.wait_until = wait_briefly  # type: ignore[method-assign]


def check(name: str, harness: BackendHarness) -> None:
    """Do one check."""
    getattr(TaskBackendConformance(), name)(harness)
