"""joblib's own tests of its backends, those that it has for any of them: on the backend ``processes``.

`test_dispatch_multiprocessing` is for children of multiprocessing alone: it gives them a proxy of a manager.
"""

from __future__ import annotations

from typing import Any

import anyjob_joblib
import joblib.test.test_parallel as kit
import pytest

# What joblib says where a generator is left early: its tests do so.
pytestmark = pytest.mark.filterwarnings("ignore:.*tasks which were still being processed:UserWarning")
NAME = "anyjob"
ORDERED, UNORDERED = "generator", "generator_unordered"


class OnProcesses(anyjob_joblib.AnyjobBackend):
    """What the tests get by the name alone, which is all that they know of a backend."""

    def __init__(self, **options: Any) -> None:
        super().__init__("processes", **options)


@pytest.fixture(autouse=True)
def _on_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kit.BACKENDS, NAME, OnProcesses)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("test_simple_parallel", (NAME, 1, 2)),
        ("test_simple_parallel", (NAME, 2, 11)),
        ("test_simple_parallel", (NAME, -1, 100)),
        ("test_simple_parallel", (NAME, -2, 100)),
        ("test_parallel_pretty_print", (NAME, 2)),
        ("test_background_thread_parallelism", (NAME,)),
        ("test_nested_loop", (NAME, "threading")),
        ("test_nested_loop", ("threading", NAME)),
        ("test_parallel_as_context_manager", (NAME,)),
        ("test_parallel_timeout_success", (NAME,)),
        ("test_parallel_timeout_fail", (NAME,)),
        ("test_parallel_timeout_fail_with_generator", (NAME, ORDERED)),
        ("test_parallel_timeout_fail_with_generator", (NAME, UNORDERED)),
        ("test_error_in_task_iterator", (NAME,)),
        ("test_nested_exception_dispatch", (NAME,)),
        ("test_invalid_njobs", (NAME,)),
        ("test_njobs_converted_to_int", (NAME, 2.3)),
        ("test_auto_memmap_on_arrays_from_generator", (NAME,)),
        ("test_abort_backend", (2, NAME)),
        ("test_deadlock_with_generator", (NAME, ORDERED, 2)),
        ("test_deadlock_with_generator", (NAME, UNORDERED, -1)),
        ("test_multiple_generator_call_managed", (NAME, ORDERED, 2)),
        ("test_multiple_generator_call_separated", (NAME, ORDERED, UNORDERED, 2)),
        ("test_parallel_unordered_generator_returns_fastest_first", (NAME, 2)),
        ("test_lambda_expression", (NAME,)),
        ("test_backend_batch_statistics_reset", (NAME,)),
    ],
)
def test_of_joblib(name: str, arguments: tuple[Any, ...]) -> None:
    getattr(kit, name)(*arguments)
