"""Sessions and batches of qiskit-ibm-runtime, and what a device tells of its time."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import circuits_lab as lab
import pytest
import qiskit_ibm_runtime
from anyjob_qiskit import Circuit
from anyjob_qiskit.devices.device_times import device_times
from qiskit_aer.jobs import AerJob

from anyjob import BackendError, ConfigError, Session


@pytest.mark.parametrize("mode", ["session", "batch"])
def test_circuits_run_in_a_session_or_a_batch(
    mode: str, labs: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    kind = getattr(qiskit_ibm_runtime, mode.title())

    class Noted(kind):  # type: ignore[misc, valid-type]
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.given, self.ran = given, 0
            opened.append(self)

        def _run(self, *args: Any, **given: Any) -> Any:
            found = super()._run(*args, **given)
            self.ran += 1
            return found

    monkeypatch.setattr(qiskit_ibm_runtime, mode.title(), Noted)
    backend = labs.get_backend("fake")
    with getattr(backend, f"open_{mode}")(max_time="1h 30m"):
        jobs = [backend.run(Circuit(lab.bell(), shots=200)) for _ in range(2)]
        with (
            pytest.raises(BackendError, match="has a session or a batch open: leave that first"),
            backend.open_batch(),
        ):
            pass
    assert [sum(job.result(60).counts.values()) for job in jobs] == [200, 200]
    (one,) = opened
    assert one.given == {"backend": backend.device, "max_time": "1h 30m"}
    assert one.ran == 2
    with pytest.raises(Exception, match="closed"):
        one._run("sampler", {})
    backend.run(Circuit(lab.bell(), shots=5)).result(60)
    assert one.ran == 2


def test_a_session_that_cannot_be_opened_is_told(labs: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(BackendError, match="no session can be opened: 'Invalid max_time value"),
        labs.get_backend("fake").open_session("soon"),
    ):
        pass
    monkeypatch.setitem(sys.modules, "qiskit_ibm_runtime", None)
    with (
        pytest.raises(ConfigError, match=r"pip install 'anyjob-qiskit\[ibm\]'"),
        labs.get_backend("lab").open_batch(),
    ):
        pass


class Timed:
    """A job of a device that tells its times."""

    def __init__(self, metrics: Any) -> None:
        self._metrics = metrics

    def metrics(self) -> Any:
        if isinstance(self._metrics, Exception):
            raise self._metrics
        return self._metrics


TIMES = {"created": "2026-11-29T01:00:00Z", "running": "2026-11-29T01:00:05.5Z", "finished": None}
START = datetime(2026, 11, 29, 1, 0, 5, 500_000, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"timestamps": TIMES, "usage": {"quantum_seconds": 3, "seconds": 5}}, (START, None, 3.0)),
        ({"timestamps": TIMES, "usage": {"qpu_charge_time_seconds": 2.5}}, (START, None, 2.5)),
        ({"timestamps": None, "usage": {"quantum_seconds": -1, "seconds": 5}}, (None, None, 5.0)),
        ({"timestamps": {"running": "yesterday"}, "usage": "much"}, (None, None, None)),
        (RuntimeError("no metrics today"), (None, None, None)),
        (["none"], (None, None, None)),
    ],
)
def test_times_of_a_device_are_told_as_far_as_they_can_be_read(metrics: Any, told: Any) -> None:
    assert tuple(device_times(Timed(metrics), None)) == told
    dated = SimpleNamespace(date=datetime(2026, 11, 29, 1, 0, 5, 500_000, tzinfo=UTC), time_taken=2)
    if told == (None, None, None):
        assert tuple(device_times(Timed(metrics), dated)) == (START - 2, START, None)


def test_a_job_of_the_local_mode_does_not_tell_wrong_times(labs: Session) -> None:
    """It says itself that it was finished a microsecond after it had begun."""
    job = labs.get_backend("sampler").run(Circuit(lab.bell(), shots=50))
    job.result(60)
    found = job.metadata()
    assert (found["started"], found["finished"], found["cost"]) == (None, None, 0)


def test_metadata_has_start_end_and_usage_of_a_device(labs: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = labs.get_backend("fake")
    job = backend.run(Circuit(lab.bell(), shots=50))
    assert (job.metadata()["started"], job.metadata()["finished"]) == (None, None)
    job.result(60)
    found = job.metadata()
    assert job.metadata()["submitted"] - 1 < found["started"] <= found["finished"] < time.time() + 1
    metrics = {"timestamps": TIMES, "usage": {"quantum_seconds": 8}}
    monkeypatch.setattr(AerJob, "metrics", lambda self: metrics, raising=False)
    alone, shared, other = (
        labs.get_backend("fake", seed=seed).run_many([Circuit(lab.bell()), Circuit((lab.bell(),) * 3)])
        for seed in (1, None, 2)
    )
    for jobs, costs in ((alone, [8, 8]), (shared, [2, 6]), (other, [8, 8])):
        for job in jobs:
            job.result(60)
        told = [job.metadata() for job in jobs]
        assert [(each["started"], each["cost"]) for each in told] == [(START, cost) for cost in costs]
        assert {each["currency"] for each in told} == {"quantum seconds"}
