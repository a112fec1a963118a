"""The connection to a scheduler: made when it is needed, anew when it was lost, and all waits are bounded."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from anyjob import BackendError, BackendUnavailableError
from anyjob.sdk import in_children
from anyjob_dask import protocol, versions
from anyjob_dask.options import DaskOptions

OnEvent = Callable[[dict[str, Any]], None]


SLOWEST = 1e6
"""Bytes a second of a network that is still waited for, when something large is sent."""
# What a call gives whose client was closed while it ran.
_CLOSED = object()


class SchedulerConnection:
    """A client of a scheduler.

    Args:
        options: where the scheduler is.
        on_event: called, in the thread of Dask's event loop, with what the scheduler reports of jobs.
    """

    def __init__(self, options: DaskOptions, on_event: OnEvent) -> None:
        self._options = options
        self._on_event = on_event
        self._lock = threading.RLock()
        self._client: Any = None
        self._cluster: Any = None
        self._closed = False
        in_children(self._let_go)
        self.generation = 0
        """How often a connection was made: what was reported by one before may be out of date."""

    def _let_go(self) -> None:
        """In a child of a fork: its client is our parent's; neither its thread nor that of Dask is here."""
        self._closed = True
        if self._client is not None:
            self._client.status = "closed"
            import distributed.utils

            distributed.utils._offload_executor = ThreadPoolExecutor(1, "Dask-Offload")

    @property
    def where(self) -> str:
        """What to call the scheduler in a message."""
        if self._cluster is not None:
            return f"the Dask cluster of this process ({self._cluster.address})"
        if self._options.scheduler_file is not None:
            return f"the Dask scheduler of {self._options.scheduler_file}"
        return f"the Dask scheduler at {self._options.address}"

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now."""
        return self._client is not None and self._client.status == "running"

    def client(self) -> Any:
        """Return a client that is connected.

        Raises:
            BackendUnavailableError: the scheduler cannot be reached.
            BackendError: it is of another version, or lacks this plugin.
        """
        client = self._client
        if client is not None and client.status == "running":
            return client
        with self._lock:
            client = self._client
            if self._closed:
                raise BackendError(f"the connection to {self.where} was closed")
            if client is not None and client.status != "running":
                self._discard_client()
            if self._client is None:
                self._connect()
            return self._client

    def _connect(self) -> None:
        import distributed

        make_client: Any = distributed.Client
        options = self._options
        if self._cluster is not None and not self._cluster.is_alive:
            self._cluster.close()
            self._cluster = None
        if options.owns_cluster and self._cluster is None:
            from anyjob_dask.client.cluster import Cluster

            # Calls in threads of one worker would share its GIL; for those in processes one worker is enough.
            one_worker = options.isolation == "process"
            self._cluster = Cluster(options.slots or _cores(), options.memory, one_worker=one_worker)
        scheduler: dict[str, Any] = {"address": self._cluster.address if self._cluster else options.address}
        if options.scheduler_file is not None:
            if not options.scheduler_file.exists():
                raise BackendUnavailableError(
                    f"{options.scheduler_file} is not there: no Dask scheduler has written its address to it"
                )
            scheduler = {"scheduler_file": str(options.scheduler_file)}
        try:
            client = make_client(
                **scheduler,
                timeout=options.timeout,
                set_as_default=False,
                security=self._security(),
                name="anyjob",
            )
        except (OSError, TimeoutError) as error:
            raise BackendUnavailableError(
                f"{self.where} cannot be reached within {options.timeout:g} s: {_message(error)}"
            ) from error
        try:
            self._register(client)
        except BaseException:
            _close(client)
            raise
        self._client = client
        self.generation += 1

    def _register(self, client: Any) -> None:
        """Register our plugin with the scheduler, unless it has it, and check versions."""
        from anyjob_dask.scheduler.scheduler_plugin import JobSchedulerPlugin

        try:
            client.register_plugin(JobSchedulerPlugin(), name=JobSchedulerPlugin.name)
        except (OSError, TimeoutError) as error:
            raise BackendUnavailableError(f"{self.where} does not answer: {_message(error)}") from error
        except ModuleNotFoundError as error:
            raise BackendError(
                f"{self.where} runs in an environment that lacks {error.name!r}: install anyjob-dask "
                "where the scheduler and the workers run, too"
            ) from error
        client.subscribe_topic(protocol.TOPIC, lambda event: self._on_event(event[1]))
        if self._options.check_versions:
            info = self._request(client, "cluster_info")
            there = [info["versions"], *(worker["versions"] for worker in info["workers"].values())]
            wrong = versions.mismatch(versions.installed(), there)
            if wrong:
                raise BackendError(
                    f"{self.where} {wrong}: install the same versions on both sides, or set check_versions = "
                    "false to try all the same"
                )

    def _security(self) -> Any:
        options = self._options
        if not (options.tls_ca_file or options.tls_cert or options.tls_key):
            return None
        from distributed import security

        make_security: Any = security.Security

        def text(path: Any) -> str | None:
            return None if path is None else str(path)

        return make_security(
            require_encryption=True,
            tls_ca_file=text(options.tls_ca_file),
            tls_client_cert=text(options.tls_cert),
            tls_client_key=text(options.tls_key),
        )

    # --- requests ---------------------------------------------------------------------------------

    def request(self, handler: str, **arguments: Any) -> Any:
        """Call a handler of our plugin in the scheduler, and return what it answers.

        Raises:
            BackendUnavailableError: it does not answer in time, or is another one than before.
        """
        return self._request(self.client(), handler, **arguments)

    def _request(self, client: Any, handler: str, **arguments: Any) -> Any:
        if handler in ("job_states", "keep"):
            arguments["client"] = client.id

        async def call() -> Any:
            return await _handler(client, handler)(**arguments)

        answer = self._sync(client, call, arguments.get("arrival_timeout", 0))
        if answer is None:
            # So says a scheduler without such a handler: Dask's client has reconnected by itself, to one that
            # was started meanwhile. What is handed to that would be known to nobody.
            with self._lock:
                if self._client is client:
                    self._discard_client()
            raise BackendUnavailableError(f"{self.where} was started anew: the next call connects to it")
        return answer

    def gather(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the results of tasks that have finished; one that is not there any more is left out."""
        client = self.client()

        async def call() -> Any:
            left = list(keys)
            while left:
                answer = await client.scheduler.gather(keys=left)
                if answer["status"] == "OK":
                    return answer["data"]
                left = [key for key in left if key not in answer["keys"]]
            return {}

        found: dict[str, Any] = self._sync(client, call, 0)
        return found

    def scatter(self, client: Any, data: Sequence[Any], nbytes: int) -> list[Any]:
        """Send data to workers ahead of tasks; return a future of each.

        Args:
            client: of this connection.
            data: what to send.
            nbytes: how large it is together: the larger, the longer it may take.

        Raises:
            BackendUnavailableError: it has not arrived in time, as where a worker was stopped.
        """
        options = self._options
        direct = True if options.owns_cluster else options.direct

        async def call() -> Any:
            return await client._scatter(data, hash=False, direct=direct, timeout=options.timeout)

        more = nbytes / SLOWEST
        try:
            futures: list[Any] = self._sync(client, call, more)
        except BackendUnavailableError as error:
            raise BackendUnavailableError(
                f"{nbytes / 1e6:.1f} MB did not reach a worker within {options.timeout + more:.1f} s: {error}"
            ) from error
        return futures

    def futures(self, keys: Mapping[str, str]) -> dict[str, Any]:
        """Return futures of tasks, by what their keys are given by: the cluster keeps what they are of."""
        from distributed import Future

        client = self.client()
        return {name: Future(key, client) for name, key in keys.items()}

    def run_on(self, address: str, function: Any, *arguments: Any) -> Any:
        """Call a function in a worker; None where that has gone."""
        client = self.client()

        async def call() -> Any:
            return await client._run(function, *arguments, workers=[address], on_error="return", nanny=False)

        answers = self._sync(client, call, 0)
        answer = answers.get(address)
        return None if isinstance(answer, BaseException) else answer

    def call_later(self, seconds: float, call: Callable[[], Awaitable[None]]) -> None:
        """Have a coroutine function called in Dask's event loop after a while."""
        client = self._client
        if client is None:
            return
        with suppress(RuntimeError):
            client.loop.add_callback(lambda: client.loop.call_later(seconds, _start_task, call))

    async def request_in_loop(self, handler: str, **arguments: Any) -> None:
        """Call a handler of our plugin from within Dask's event loop, if there is a connection."""
        client = self._client
        if client is not None and client.status == "running":
            await _handler(client, handler)(**arguments)

    def _sync(self, client: Any, call: Callable[[], Awaitable[Any]], more: float) -> Any:
        timeout = self._options.timeout + more

        async def called() -> Any:
            try:
                return await call()
            except asyncio.CancelledError:
                # Whoever closes a client cancels what runs in its loop. Client.sync has no answer to that,
                # and asyncio prints what is raised then.
                if client.status == "running":
                    raise
                return _CLOSED

        try:
            answer = client.sync(called, callback_timeout=timeout)
            if answer is _CLOSED:
                raise ConnectionError("the connection was closed meanwhile")
            return answer
        except (OSError, TimeoutError) as error:
            message = _message(error) or f"no answer within {timeout:g} s"
            raise BackendUnavailableError(f"{self.where} does not answer: {message}") from error

    def _discard_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            threading.Thread(target=_close, args=(client,), name="anyjob-dask-close", daemon=True).start()

    def close(self) -> None:
        """Close the connection; a cluster that was started for it ends."""
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
            cluster, self._cluster = self._cluster, None
        if client is not None:
            _close(client)
        if cluster is not None:
            cluster.close()


def _handler(client: Any, name: str) -> Any:
    return getattr(client.scheduler, protocol.HANDLER_PREFIX + name)


def _start_task(call: Callable[[], Awaitable[None]]) -> None:
    """Await something in the event loop, whether or not the network is there."""
    import asyncio

    async def attempt() -> None:
        with suppress(OSError, TimeoutError):
            await call()

    task = asyncio.ensure_future(attempt())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


_tasks: set[Any] = set()


def _close(client: Any) -> None:
    with suppress(Exception):
        client.unsubscribe_topic(protocol.TOPIC)  # else the scheduler complains that it cannot reach us
        client.close(timeout=2)


def _message(error: BaseException) -> str:
    cause = error.__cause__
    return str(error) + (f" ({cause})" if cause is not None and str(cause) else "")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
