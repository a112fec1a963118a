"""Packs orders for `anyjob_ray.worker`, and reads what came of them."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, NamedTuple

from anyjob.execution import runner
from anyjob.execution.serialization import explain
from anyjob.orders import Order
from anyjob.specs import Call, Held, Outcome
from anyjob.taskbackend import to_outcome
from anyjob_ray.end_listener import Address
from anyjob_ray.worker import dump_apart


class Work(NamedTuple):
    """One job as it goes to a worker.

    Args:
        job_id: ours.
        head: what the worker unpickles first.
        buffers: the large parts of its arguments.
    """

    job_id: str
    head: bytes
    buffers: list[Any]


class Packer:
    """Packs the orders of one launch, which have much in common.

    Args:
        namespace: the namespace of the board.
        board: the name of the actor that is told of jobs that run.
        grace: seconds that a job has to clean up when it is asked to end.
        apart: whether large buffers may pass as they are; not through Ray's client, which cannot.
        ear: where this process wants to hear of the end of each at once, if it does.
    """

    def __init__(
        self,
        namespace: str,
        board: str,
        *,
        grace: float = 10.0,
        apart: bool = True,
        ear: Address | None = None,
    ) -> None:
        path = [os.path.abspath(entry) for entry in sys.path]
        self._common = pickle.dumps(
            (path, namespace, board, apart, grace, None if ear is None else tuple(ear)), 5
        )
        self._apart = apart
        self._functions: dict[int, tuple[Any, bytes]] = {}

    def pack(self, order: Order) -> Work:
        """Pack one order.

        Raises:
            SerializationError: something in it cannot be pickled; the message names it.
        """
        spec = order.spec
        try:
            work, buffers = self._call(spec) if isinstance(spec, Call) else _command(spec)
        except Exception as error:
            raise explain(spec, error) from error
        kind = "python" if isinstance(spec, Call) else "command"
        walltime = order.resources.walltime
        head = (order.job_id, kind, work, order.environment, walltime, self._common)
        return Work(order.job_id, pickle.dumps(head, 5), buffers)

    def _call(self, spec: Call) -> tuple[tuple[bytes, bytes], list[Any]]:
        known = self._functions.get(id(spec.fn))
        if known is None:  # the function itself is kept, so that its id stays its own
            known = self._functions[id(spec.fn)] = spec.fn, runner.dumps(spec.fn)
        given = spec.args, spec.kwargs
        arguments, buffers = dump_apart(given) if self._apart else (runner.dumps(given), [])
        return (known[1], arguments), buffers


def _command(spec: Any) -> tuple[tuple[bytes, bytes], list[Any]]:
    from anyjob.specs import with_files

    try:
        cwd = os.fsencode(os.getcwd())
    except OSError:  # the directory is there no more
        cwd = b""
    return (runner.dumps(with_files(spec)), cwd), []


class InStore(Held):
    """A value that lies in Ray's object store: each look at it is a fresh one, without a copy of its
    large parts, which cannot be written to."""

    __slots__ = ("_blob", "_ref")

    def __init__(self, ref: Any, blob: bytes) -> None:
        self._ref = ref
        self._blob = blob

    @property
    def value(self) -> Any:
        """The value.

        Raises:
            StateError: Ray has lost it.
        """
        from anyjob.errors import StateError

        try:
            parts = _get(self._ref)
        except Exception as error:
            raise StateError(f"Ray does not have the result any more: {error}") from error
        return pickle.loads(self._blob, buffers=parts[1:])


def _get(ref: Any) -> Any:
    import ray

    return ray.get(ref)


def read(said: bytes, ref: Any = None) -> tuple[Outcome, tuple[bytes, bytes]]:
    """Return what came of a job, and the ends of what it wrote.

    Args:
        said: what the worker has pickled.
        ref: where the large parts of the value lie, if there are.
    """
    known: dict[str, Any] = pickle.loads(said)
    written = known.pop("written", (b"", b""))
    outcome = to_outcome(known)
    if ref is not None and isinstance(outcome.value, bytes):
        outcome.value = InStore(ref, outcome.value)
    return outcome, written


def as_bytes(value: Any) -> Any:
    """Pickle a value that lies in the object store, to be kept where that is not."""
    return runner.dumps(value.value) if isinstance(value, InStore) else value
