"""Packs orders into what `anyjob_ray.worker` takes."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, NamedTuple

from anyjob import Call, Order
from anyjob.sdk import runner, serialization_error, submit_directory
from anyjob_ray.worker.job import LaunchContext
from anyjob_ray.worker.reports.notification import NotifyAddress
from anyjob_ray.worker.reports.result import dump_out_of_band


class PackedOrder(NamedTuple):
    """One job as it goes to a worker.

    Args:
        job_id: ours.
        payload: what the worker unpickles first.
        buffers: the large parts of its arguments.
        needs: the object refs of the jobs that it starts after, by the ids of these.
    """

    job_id: str
    payload: bytes
    buffers: list[Any]
    needs: dict[str, Any]


class Packer:
    """Packs the orders of one launch, which have much in common.

    Args:
        namespace: the namespace of the event actor.
        event_actor: the name of the actor that is told of jobs that run.
        grace: seconds that a job has to clean up when it is interrupted.
        out_of_band: whether large buffers may pass beside a pickle; not through Ray's client, which cannot.
        notify: where this process is to be notified of the end of each, if it is.
    """

    def __init__(
        self,
        namespace: str,
        event_actor: str,
        *,
        grace: float = 10.0,
        out_of_band: bool = True,
        notify: NotifyAddress | None = None,
    ) -> None:
        path = [os.path.abspath(entry) for entry in sys.path]
        address = None if notify is None else (notify.host, notify.port, notify.key)
        context = LaunchContext(path, namespace, event_actor, out_of_band, grace, address)
        self._context = pickle.dumps(tuple(context), 5)
        self._out_of_band = out_of_band
        self._functions: dict[int, tuple[Any, bytes]] = {}

    def pack(self, order: Order) -> PackedOrder:
        """Pack one order.

        Raises:
            SerializationError: something in it cannot be pickled; the message names it.
        """
        spec = order.spec
        try:
            work, buffers = self._call(spec) if isinstance(spec, Call) else _command(spec)
        except Exception as error:
            raise serialization_error(spec, error) from error
        kind = "python" if isinstance(spec, Call) else "command"
        cwd = spec.cwd if isinstance(spec, Call) else submit_directory()
        needs = dict(order.kept)
        job = order.job_id, kind, work, order.environment, cwd, order.resources.walltime
        payload = (*job, self._context, [*needs], [*order.unused])
        return PackedOrder(order.job_id, pickle.dumps(payload, 5), buffers, needs)

    def _call(self, spec: Call) -> tuple[tuple[bytes, bytes], list[Any]]:
        known = self._functions.get(id(spec.fn))
        if known is None:  # the function itself is kept, so that its id stays its own
            known = self._functions[id(spec.fn)] = spec.fn, runner.dumps(spec.fn)
        given = spec.args, spec.kwargs
        arguments, buffers = dump_out_of_band(given) if self._out_of_band else (runner.dumps(given), [])
        return (known[1], arguments), buffers


def _command(spec: Any) -> tuple[tuple[bytes, bytes], list[Any]]:
    return (runner.dumps(spec), b""), []
