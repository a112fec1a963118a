"""Tries single checks of the conformance kit on backends, right and wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from right_backend import RightBackend, RightEngine
from right_plain import RightPlainBackend, plain_samples

from anyjob.testing import BackendHarness, TaskBackendConformance
from anyjob.testing.harness.recipe import Origin


@contextmanager
def place_of(
    backend: type[Any], home: Path, patience: float = 30.0, never: str | None = None
) -> Iterator[BackendHarness]:
    """The place of a backend that derives from one of the right ones.

    What it is known to wait for in vain is not waited for at length.
    """
    engine = None
    options: dict[str, Any] = {}
    if issubclass(backend, RightBackend):
        (home / "engine").mkdir()
        engine = RightEngine(home / "engine")
        options["directory"] = str(home / "engine")
    samples = plain_samples() if issubclass(backend, RightPlainBackend) else None
    origin = Origin("tried", backend, options, home / "state")
    harness = BackendHarness.of(origin, engine=engine, samples=samples, patience=patience)
    if never is not None:
        _give_up_soon(harness, never)
    try:
        yield harness
    finally:
        harness.close()
        if engine is not None:
            engine.stop()


def _give_up_soon(harness: BackendHarness, never: str) -> None:
    until = harness.until

    def waits(look: Callable[[], Any], what: str) -> Any:
        if never in what:
            harness.patience = 0.5
        return until(look, what)

    harness.until = waits  # type: ignore[method-assign]


def check(name: str, harness: BackendHarness) -> None:
    """Do one check."""
    getattr(TaskBackendConformance(), name)(harness)
