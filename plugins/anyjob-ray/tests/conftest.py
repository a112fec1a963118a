"""One Ray for all tests, and backends on it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator

import pytest
import ray_lab
from anyjob_ray.backend import RayBackend

Make = Callable[..., RayBackend]
os.environ.update(ray_lab.environment())  # Ray reads them once, when it is imported


@pytest.fixture(scope="session")
def cluster() -> Iterator[ray_lab.Cluster]:
    """A cluster, started once."""
    # A node that has died is missed within seconds; one that is only slow is not.
    made = ray_lab.Cluster(health_check_period_ms=300, health_check_initial_delay_ms=1000)
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
def make(anyjob_backend: Make, connected: ray_lab.Cluster) -> Make:
    """Gives backends on the cluster, with these options."""
    return functools.partial(anyjob_backend, "ray", address=connected.address)


@pytest.fixture
def backend(make: Make, mode: str) -> RayBackend:
    """A backend on the cluster, in each mode."""
    return make(mode=mode)
