"""What is ours: where calls run, large arrays, errors, resources, and how many run at a time."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import anyjob_joblib
import cloudpickle
import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import anyjob

cloudpickle.register_pickle_by_value(__import__(__name__))


def described(array: Any) -> tuple[str, bool, float]:
    return type(array).__name__, array.flags.writeable, float(array.sum())


def test_large_arrays_are_mapped_by_jobs_of_local_and_their_files_removed(tmp_path: Path) -> None:
    large, small = np.ones(200_000), np.ones(3)
    objects = np.array([None, "x"] * 100_000)
    with parallel_config(backend="anyjob", run_on="local", temp_folder=str(tmp_path)):
        found = Parallel()(delayed(described)(each) for each in (large, large, small))
        (kept,) = Parallel(n_jobs=2)(delayed(len)(each) for each in [objects])
        in_memory = Parallel(max_nbytes=None)([delayed(described)(large), delayed(described)(small)])
    assert found == [("memmap", False, 200_000.0)] * 2 + [("ndarray", True, 3.0)]
    assert kept == 200_000
    assert in_memory[0] == ("ndarray", True, 200_000.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("by_name", "processes"), [(True, 2), (False, 6)])
def test_local_has_warm_processes_by_its_name_and_is_as_configured_else(
    by_name: bool, processes: int
) -> None:
    """A GridSearchCV imported scikit-learn anew for each batch."""
    run_on = "local" if by_name else anyjob.get_backend("local", slots=2)
    with parallel_config(backend="anyjob", run_on=run_on, n_jobs=2):
        used = set(Parallel(batch_size=1)(delayed(os.getpid)() for _ in range(6)))
    assert (len(used) < 6) is by_name


def test_threads_have_the_objects_of_the_caller() -> None:
    large, seen = np.zeros(200_000), []
    with parallel_config(backend="anyjob", run_on="threads", n_jobs=2):
        Parallel()(delayed(seen.append)(large) for _ in range(3))
    assert all(each is large for each in seen)
    assert len(seen) == 3


@pytest.mark.parametrize("run_on", ["inline", "threads"])
def test_so_many_run_at_a_time_as_n_jobs_says(run_on: str) -> None:
    lock, counts = threading.Lock(), {"now": 0, "most": 0}
    together = threading.Barrier(2)

    def call(number: int) -> int:
        with lock:
            counts["now"] += 1
            counts["most"] = max(counts.values())
        if run_on == "threads" and number < 2:
            together.wait(60)
        with lock:
            counts["now"] -= 1
        return number

    with parallel_config(backend="anyjob", run_on=run_on):
        assert Parallel(n_jobs=2, batch_size=1)(delayed(call)(i) for i in range(3000)) == list(range(3000))
    assert counts["most"] == (2 if run_on == "threads" else 1)


def test_what_fails_is_raised_and_names_the_way_out() -> None:
    with parallel_config(backend="anyjob", run_on="processes", n_jobs=2):
        with pytest.raises(ZeroDivisionError) as caught:
            Parallel()(delayed(divmod)(1, number) for number in (1, 0))
        assert isinstance(caught.value.__cause__, anyjob.RemoteError)
        with pytest.raises(anyjob.JobFailedError, match="exit"):
            Parallel()(delayed(os._exit)(3) for _ in range(2))
        with pytest.raises(Exception, match="pickle"):
            Parallel()(delayed(id)(threading.Lock()) for _ in range(2))
    with pytest.raises(anyjob.SpecError, match="'lots' is not understood"):
        parallel_config(backend="anyjob", run_on="processes", memory="lots")
    with pytest.raises(anyjob.UnknownNameError, match="no backend is called 'nowhere'"):
        parallel_config(backend="anyjob", run_on="nowhere")
    with (
        parallel_config(backend="anyjob", run_on="local", cpus=4000),
        pytest.raises(anyjob.JobRejectedError, match="it asks for 4000 cpus"),
    ):
        Parallel()(delayed(abs)(number) for number in (1, 2))


def test_a_grid_search_is_the_same_as_with_joblib_alone() -> None:
    data, target = make_classification(200, random_state=0)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)
    alone = search.fit(data, target).cv_results_["mean_test_score"]
    with parallel_config(backend="anyjob", run_on="processes", n_jobs=2):
        again = search.fit(data, target).cv_results_["mean_test_score"]
    assert alone.tolist() == again.tolist()


def test_jobs_are_found_by_what_they_are_called() -> None:
    with parallel_config(backend="anyjob", run_on="local", n_jobs=2, name="fit", tags={"study": "a"}):
        Parallel(batch_size=2)(delayed(abs)(number) for number in range(4))
    assert len(anyjob.jobs(name="fit", tags={"study": "a"}, state="DONE")) == 2
    assert (
        anyjob_joblib.AnyjobBackend("local").effective_n_jobs(-1) == anyjob.get_backend("local").options.slots
    )
