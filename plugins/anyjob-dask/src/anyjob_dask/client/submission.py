"""Makes tasks of orders, and submits them to the scheduler by one message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from anyjob import BackendUnavailableError, Call, Order, Rejected, Resources, Spec, Unsure
from anyjob.sdk import Answer, serialization_error, submit_directory
from anyjob_dask import keys, worker_resources
from anyjob_dask.client.connection import SchedulerConnection
from anyjob_dask.client.job_states import JobStates
from anyjob_dask.options import DaskJobOptions, DaskOptions
from anyjob_dask.serialization import Serialized, serialize

SCATTERED = 1 << 20
"""Bytes of work from which it is scattered to a worker ahead of its task, and not sent within it."""


class Submitter:
    """Submits orders to a scheduler.

    Args:
        connection: to the scheduler.
        states: where jobs are noted that were submitted.
        options: of the backend.
    """

    def __init__(self, connection: SchedulerConnection, states: JobStates, options: DaskOptions) -> None:
        self._connection = connection
        self._states = states
        self._options = options

    def submit(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Submit orders of the same resources and options; yield each with its key.

        Raises:
            SerializationError: one of them cannot be pickled; then none is submitted.
            BackendUnavailableError: the scheduler cannot be reached.
        """
        payloads = [_serialize(order.spec) for order in orders]
        client = self._connection.client()
        self._states.discard_outdated()
        if self._options.is_durable:
            self._connection.request("job_states", job_ids=[])  # raises where nothing can be submitted now
        resources, options = orders[0].resources, orders[0].options
        required, missing = self._required_resources(resources, options)
        if missing and (self._options.owns_cluster or (resources.nodes or 1) > 1):
            for order in orders:
                yield order, Rejected(missing)
        else:
            yield from self._submit_tasks(client, orders, payloads, options, required, missing)

    def _required_resources(
        self, resources: Resources, options: DaskJobOptions
    ) -> tuple[dict[str, float], str]:
        """Return which of Dask's resources a job takes up, and what no worker has of that now."""
        if (resources.nodes or 1) > 1:
            return {}, f"it asks for {resources.nodes} nodes: a task of Dask's runs on one"
        if not (resources.cpus or resources.memory or resources.gpus or resources.needs or options.resources):
            return {}, ""
        info = self._connection.request("cluster_info")
        workers = [worker["resources"] for worker in info["workers"].values()]
        offered = {name for worker in workers for name in worker}
        required = worker_resources.required(resources, options.resources, offered)
        return required, worker_resources.missing(required, workers)

    def _submit_tasks(
        self,
        client: Any,
        orders: Sequence[Order],
        payloads: Sequence[Serialized],
        options: DaskJobOptions,
        required: dict[str, float],
        message: str,
    ) -> Iterator[tuple[Order, Answer]]:
        cwd = submit_directory()
        job_keys = [self._key(order) for order in orders]
        arguments = self._task_arguments(client, payloads)
        self._states.submitted((order.job_id for order in orders), message)
        for order in orders:
            if order.kept:
                self._states.submitted_after(order.job_id, list(order.kept), message)
        futures: list[Any] = []
        for (function, takes_results), same in groupby(
            zip(orders, job_keys, arguments, strict=True), key=self._kind_of_task
        ):
            group = list(same)
            futures += client.map(
                function,
                [tuple(_header(order, key, cwd)) for order, key, _ in group],
                [argument for _, _, argument in group],
                *([[[*order.kept.values()] for order, _, _ in group]] if takes_results else []),
                key=[key for _, key, _ in group],
                resources=required or None,
                workers=list(options.workers) or None,
                priority=options.priority,
                pure=False,
            )
        arrived = self._arrived(orders)
        answers: list[Answer] = [
            key if order.job_id in arrived else _not_arrived(future)
            for order, key, future in zip(orders, job_keys, futures, strict=True)
        ]
        # They are released in the thread of Dask's event loop, which need not be woken for each of them.
        client.loop.add_callback(futures.clear)
        yield from zip(orders, answers, strict=True)

    def _key(self, order: Order) -> str:
        durable, restartable = self._options.is_durable, order.resources.restartable
        return keys.key_of(order.spec, order.job_id, durable=durable, restartable=restartable)

    def _kind_of_task(self, item: tuple[Order, str, Any]) -> Any:
        """Return what Dask is to call for a job, and whether it is given results of others."""
        from anyjob_dask.worker import worker_tasks

        spec = item[0].spec
        if not isinstance(spec, Call):
            return worker_tasks.run_program, bool(item[0].kept)
        # What a call asks for of that is a process's, and a thread of the worker shares that process.
        in_process = self._options.isolation == "process" or spec.env or spec.cwd is not None
        return worker_tasks.call if in_process else worker_tasks.call_in_thread, bool(item[0].kept)

    def _task_arguments(self, client: Any, payloads: Sequence[Serialized]) -> list[Any]:
        """Return what goes within each task: its payload, or the future of one that was scattered."""
        from anyjob_dask.messages import ScatteredPayload

        large = [number for number, payload in enumerate(payloads) if payload.nbytes > SCATTERED]
        arguments: list[Any] = [payload if payload.buffers else payload.blob for payload in payloads]
        if large:
            scattered = [payloads[number] for number in large]
            futures = self._connection.scatter(
                client,
                [ScatteredPayload(payload.blob, payload.buffers) for payload in scattered],
                nbytes=sum(payload.nbytes for payload in scattered),
            )
            for number, future in zip(large, futures, strict=True):
                arguments[number] = future
        return arguments

    def _arrived(self, orders: Sequence[Order]) -> set[str]:
        """Return which jobs the scheduler says that it has."""
        ids = [order.job_id for order in orders]
        if not self._options.is_durable:
            return set(ids)
        try:
            states = self._connection.request(
                "job_states", job_ids=ids, arrival_timeout=self._options.timeout
            )
        except BackendUnavailableError:
            return set()
        return set(states)


def _not_arrived(future: Any) -> Answer:
    if future.status == "error":
        return Rejected(f"the scheduler could not read it: {future.exception()!r}")
    return Unsure()


def _serialize(spec: Spec) -> Serialized:
    try:
        return serialize((spec.fn, spec.args, spec.kwargs) if isinstance(spec, Call) else spec)
    except Exception as error:
        raise serialization_error(spec, error) from error


def _header(order: Order, key: str, cwd: str | None) -> Any:
    from anyjob_dask.messages import JobHeader

    environment = dict(order.environment)
    if environment.get("ANYJOB_JOB_ID") == order.job_id:  # else it is the attempt that has this id
        del environment["ANYJOB_JOB_ID"]
    own = order.spec.cwd if isinstance(order.spec, Call) else None
    walltime = order.resources.walltime
    needs = tuple(order.kept)
    return JobHeader(
        key,
        order.job_id,
        environment,
        walltime,
        cwd if own is None else own,
        own is not None,
        needs,
        order.unused,
    )
