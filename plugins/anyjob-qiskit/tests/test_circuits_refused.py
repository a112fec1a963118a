"""What no circuit can be run with is said at once, and not by a traceback of the job."""

from __future__ import annotations

import io
import math

import circuits_lab as lab
import pytest
from anyjob_qiskit import Circuit
from qiskit import qpy

from anyjob import File, Session, SpecError


@pytest.mark.parametrize("value", [math.inf, math.nan, [0.5, -math.inf]])
def test_a_parameter_is_finite(value: float | list[float]) -> None:
    with pytest.raises(SpecError, match=r"the parameter 'theta' is .*, and an angle is finite"):
        Circuit(lab.rotation(), parameters={"theta": value})


@pytest.mark.parametrize("backend", ["aer", "fake", "threads"])
def test_a_file_without_a_circuit_is_told(backend: str, labs: Session) -> None:
    written = io.BytesIO()
    qpy.dump([], written)

    with pytest.raises(SpecError, match=r"none\.qpy: there is no circuit in it"):
        labs.get_backend(backend).run(Circuit(File("none.qpy", written.getvalue())))
