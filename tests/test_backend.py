"""`BaseBackend`: what it says of itself, and how it is made."""

from __future__ import annotations

from typing import Any

import pytest
from support.scripted_backends import ScriptedBackend, ScriptedEngine

from anyjob.backend import BackendConfiguration, BackendStatus, BaseBackend, Capabilities
from anyjob.errors import BackendError, ConfigError
from anyjob.job import JobStatus


def make(name: str = "fez", **options: Any) -> ScriptedBackend:
    return ScriptedBackend(BackendConfiguration(name, "1.2", **options))


def test_run_is_abstract() -> None:
    with pytest.raises(TypeError, match="run"):
        BaseBackend(BackendConfiguration("x"))  # type: ignore[abstract]


def test_a_backend_says_what_its_configuration_says() -> None:
    backend = make(n_qubits=5)
    assert (backend.name(), backend.version()) == ("fez", "1.2")
    assert backend.configuration().n_qubits == 5
    assert backend.configuration().to_dict() == {
        "backend_name": "fez",
        "backend_version": "1.2",
        "n_qubits": 5,
    }
    assert backend.properties() is None
    assert backend.provider() is None
    backend.close()
    backend.close()


def test_any_object_with_these_attributes_is_a_configuration() -> None:
    class Theirs:
        backend_name = "theirs"
        backend_version = 3

    backend = ScriptedBackend(Theirs(), "an account")
    assert (backend.name(), backend.version(), backend.provider()) == ("theirs", "3", "an account")


def test_status_is_operational_with_nothing_pending() -> None:
    assert make().status() == BackendStatus("fez", "1.2", operational=True, pending_jobs=0, status_msg="")
    assert make().status() != BackendStatus("fez", "1.2", pending_jobs=1)
    assert "pending_jobs=0" in repr(make().status())


def test_str_and_repr() -> None:
    assert str(make()) == "fez"
    assert repr(make()) == "<ScriptedBackend('fez')>"
    backend = ScriptedBackend(BackendConfiguration("fez"), "IBM")
    assert repr(backend) == "<ScriptedBackend('fez') from IBM>"


def test_a_backend_that_cannot_find_its_jobs_says_so() -> None:
    with pytest.raises(BackendError, match=r"'fez'.*ScriptedBackend.*retrieve_job"):
        make().retrieve_job("17")


def test_a_job_knows_its_backend() -> None:
    backend = make()
    assert backend.run(JobStatus.DONE).backend() is backend


def test_from_options_makes_a_configuration_of_them() -> None:
    backend = ScriptedBackend.from_options("hpc", {"partition": "debug", "backend_version": "9"}, "IBM")
    assert backend.configuration() == BackendConfiguration("hpc", "9", partition="debug")
    assert backend.provider() == "IBM"


def test_from_options_of_a_task_backend_checks_them() -> None:
    backend = ScriptedEngine.from_options("e", {})
    assert (backend.name(), backend.version()) == ("e", "")
    with pytest.raises(ConfigError, match="partition"):
        ScriptedEngine.from_options("e", {"partition": "debug"})


def test_making_a_backend_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """qiskit-ibm-provider#555: a constructor took 30 s. Ours do no network, nor start a thread."""
    import socket
    import threading

    from anyjob.builtin.processes import ProcessesBackend
    from anyjob.builtin.threads import ThreadsBackend

    def forbidden(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a constructor went outside")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(threading.Thread, "start", forbidden)
    for backend_type in (ScriptedBackend, ScriptedEngine, ThreadsBackend, ProcessesBackend):
        backend_type.from_options("x", {}).close()


def test_capabilities_are_equal_by_value() -> None:
    assert Capabilities(durable=True) == Capabilities(durable=True)
    assert Capabilities(durable=True) != Capabilities()
    assert hash(Capabilities(durable=True)) == hash(Capabilities(durable=True))
    assert not Capabilities().durable
    with pytest.raises(TypeError):
        Capabilities(sharde_files=True)  # type: ignore[call-arg]


def test_a_configuration_with_values_that_cannot_be_hashed_can_be_hashed() -> None:
    one, same = BackendConfiguration("a", tags=["x"]), BackendConfiguration("a", tags=["x"])
    assert {one: 1}[same] == 1
