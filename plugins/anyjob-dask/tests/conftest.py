"""Clusters, shared by the tests of a session, and sessions of anyjob with directories of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dask_lab
import pytest
from anyjob_dask.backend import DaskBackend
from anyjob_dask.cluster import Cluster

from anyjob import Session

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
def opened(anyjob_open: Callable[..., Session]) -> Callable[..., Session]:
    """Gives sessions on one state directory, each as another process would have it."""
    return lambda **options: anyjob_open({"backends": {"cluster": {"type": "dask", **options}}})


@pytest.fixture
def make(opened: Callable[..., Session]) -> Make:
    """Gives backends with these options."""
    return lambda **options: opened(**options).get_backend("cluster")


@pytest.fixture
def backend(make: Make, lab: dask_lab.Lab) -> DaskBackend:
    """A backend on the scheduler and worker that are shared."""
    return make(address=lab.address)
