"""Writes circuits as QPY, those with numpy's values in their metadata among them. Needs Qiskit only."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, qpy


class MetadataError(ValueError):
    """The metadata of a circuit cannot be written."""


def write_qpy(circuits: list[QuantumCircuit]) -> bytes:
    """Return circuits as QPY, which holds all that Qiskit knows of them.

    Raises:
        MetadataError: the metadata of one cannot be written; says which circuit, and which key.
    """
    stream = io.BytesIO()
    try:
        qpy.dump(circuits, stream, metadata_serializer=_Encoder)
    except (TypeError, ValueError) as error:
        for circuit in circuits:
            for key, value in (circuit.metadata or {}).items():
                try:
                    json.dumps({key: value}, cls=_Encoder)
                except (TypeError, ValueError) as found:
                    raise MetadataError(
                        f"the metadata {key!r} of the circuit {circuit.name!r} cannot be written: {found}"
                    ) from error
        raise
    return stream.getvalue()


class _Encoder(json.JSONEncoder):
    """Numpy's numbers and arrays are written as Python's."""

    def default(self, o: Any) -> Any:
        if isinstance(o, (np.generic, np.ndarray)):
            return o.tolist()
        return super().default(o)
