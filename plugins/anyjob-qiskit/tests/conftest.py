"""A session with the laboratory, and with simulators."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyjob import Config, Session

# Before Aer is loaded: cores that share a small circuit wait for each other, long on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def labs(anyjob_environment: Path) -> Iterator[Session]:
    """A session whose backends are a laboratory that keeps its jobs (``lab``), and simulators."""
    lab = {"type": "qiskit", "backend": "circuits_lab:Lab"}
    directory = anyjob_environment / "lab"
    backends = {
        "lab": {**lab, "arguments": {"directory": str(directory)}, "durable": True, "interval": 0.05},
        "local": {"type": "local", "preload": ["anyjob_qiskit.simulation"]},
        "few": {"type": "aer", "max_shots": 10},
        "manila": {"type": "aer", "device": "fake_manila", "seed": 1},
        "fake": {"type": "qiskit", "backend": "qiskit_ibm_runtime.fake_provider:FakeManilaV2", "seed": 1},
        "sampler": {
            "type": "qiskit",
            "backend": "qiskit_ibm_runtime.fake_provider.FakeManilaV2",
            "interface": "sampler",
            "seed": 1,
        },
    }
    providers = {
        "account": {
            "type": "qiskit",
            "provider": "circuits_lab:LabAccount",
            "arguments": {"directory": str(directory)},
            "token": {"env": "LAB_TOKEN"},
            "durable": True,
            "interval": 0.05,
        }
    }
    config = Config.from_dict({"backends": backends, "providers": providers}, origin="the fixture labs")
    with Session(config, state=anyjob_environment / "state") as session:
        yield session
