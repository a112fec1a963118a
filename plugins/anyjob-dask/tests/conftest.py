"""Clusters, shared by the tests of a session, and backends on them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import dask_lab
import pytest
from anyjob_dask.backend import DaskBackend
from anyjob_dask.client.cluster import Cluster

Make = Callable[..., DaskBackend]


def pytest_configure(config: pytest.Config) -> None:
    """Dask leaves the sockets of connections that broke to the garbage collector."""
    config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dask_lab.Lab]:
    """A scheduler and a worker, as an administrator starts them."""
    made = dask_lab.Lab(tmp_path_factory.mktemp("lab"))
    made.wait()
    yield made
    made.close()


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Callable[..., dask_lab.Lab]]:
    """Gives clusters that a test may break."""
    made: list[dask_lab.Lab] = []

    def make(*workers: tuple[str, ...], more: tuple[str, ...] = ()) -> dask_lab.Lab:
        home = tmp_path / f"lab-{len(made)}"
        home.mkdir()
        made.append(dask_lab.Lab(home, workers, *more))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[Cluster]:
    """The cluster that a backend starts for itself where it is given no address, shared by the tests."""
    cluster = Cluster(4, None, one_worker=True)
    yield cluster
    cluster.close()


@pytest.fixture
def make(anyjob_backend: Make) -> Make:
    """Gives backends with these options."""
    return functools.partial(anyjob_backend, "dask")


@pytest.fixture
def backend(make: Make, lab: dask_lab.Lab) -> DaskBackend:
    """A backend on the scheduler and worker that are shared."""
    return make(address=lab.address)
