"""One Ray for all tests, and sessions with directories of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray_lab
from anyjob_ray.backend import RayBackend

from anyjob import Config, Session

Make = Callable[..., RayBackend]
os.environ.update(ray_lab.environment())  # Ray reads them once, when it is imported


@pytest.fixture(scope="session")
def cluster() -> Iterator[ray_lab.Cluster]:
    """A cluster, started once."""
    made = ray_lab.Cluster()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def connected(cluster: ray_lab.Cluster) -> Iterator[ray_lab.Cluster]:
    """The cluster, with this process connected to it already: backends then use that connection."""
    import ray

    ray.init(cluster.address, log_to_driver=False, configure_logging=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()


@pytest.fixture(params=["fast", "durable"])
def mode(request: pytest.FixtureRequest) -> str:
    """Each of the modes."""
    return str(request.param)


@pytest.fixture
def opened(connected: ray_lab.Cluster, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Gives sessions on one state directory, each as another process would have it."""
    made: list[Session] = []

    def open_session(**options: Any) -> Session:
        given = {"type": "ray", "address": connected.address, **options}
        made.append(Session(Config.from_dict({"backends": {"cluster": given}}), state=tmp_path / "state"))
        return made[-1]

    yield open_session
    for session in made:
        session.close()


@pytest.fixture
def make(opened: Callable[..., Session]) -> Make:
    """Gives backends on the cluster, with these options."""

    def make_backend(**options: Any) -> RayBackend:
        backend: RayBackend = opened(**options).get_backend("cluster")
        return backend

    return make_backend


@pytest.fixture
def backend(make: Make, mode: str) -> RayBackend:
    """A backend on the cluster, in each mode."""
    return make(mode=mode)
