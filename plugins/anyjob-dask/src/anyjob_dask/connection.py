"""The line to a scheduler: made when it is needed, anew when it was lost, and not waited on without end."""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from anyjob.errors import BackendError, BackendUnavailableError
from anyjob_dask.options import DaskOptions
from anyjob_dask.versions import mismatch

Heard = Callable[[dict[str, Any]], None]


class SchedulerConnection:
    """A client of a scheduler.

    Args:
        options: where the scheduler is.
        heard: called, in Dask's own thread, with what the scheduler tells of jobs.
    """

    def __init__(self, options: DaskOptions, heard: Heard) -> None:
        self._options = options
        self._heard = heard
        self._lock = threading.RLock()
        self._client: Any = None
        self._cluster: Any = None
        self._closed = False
        self._owner = os.getpid()
        self.number = 0
        """How often it was made: what was heard before may be out of date."""

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
            if self._closed or os.getpid() != self._owner:
                raise BackendError(f"the line to {self.where} was closed")
            if client is not None and client.status != "running":
                self._drop()
            if self._client is None:
                self._connect()
            return self._client

    def _connect(self) -> None:
        import distributed

        connect: Any = distributed.Client
        options = self._options
        if self._cluster is not None and not self._cluster.is_alive:
            self._cluster.close()
            self._cluster = None
        if options.is_ours and self._cluster is None:
            from anyjob_dask.cluster import Cluster

            threads = options.isolation == "process"  # which is for its calls no matter of threads
            self._cluster = Cluster(options.slots or _cores(), options.memory, in_one=threads)
        given: dict[str, Any] = {"address": self._cluster.address if self._cluster else options.address}
        if options.scheduler_file is not None:
            if not options.scheduler_file.exists():
                raise BackendUnavailableError(
                    f"{options.scheduler_file} is not there: no Dask scheduler has written its address to it"
                )
            given = {"scheduler_file": str(options.scheduler_file)}
        try:
            client = connect(
                **given,
                timeout=options.timeout,
                set_as_default=False,
                security=self._security(),
                name="anyjob",
            )
        except (OSError, TimeoutError) as error:
            raise BackendUnavailableError(
                f"{self.where} cannot be reached within {options.timeout:g} s: {_words(error)}"
            ) from error
        try:
            self._introduce(client)
        except BaseException:
            _close(client)
            raise
        self._client = client
        self.number += 1

    def _introduce(self, client: Any) -> None:
        """Send our plugin to the scheduler, unless it has it, and look at what it and its workers are."""
        from anyjob_dask.scheduler_plugin import TOPIC, JobSchedulerPlugin

        try:
            client.register_plugin(JobSchedulerPlugin(), name=JobSchedulerPlugin.name)
        except (OSError, TimeoutError) as error:
            raise BackendUnavailableError(f"{self.where} does not answer: {_words(error)}") from error
        except ModuleNotFoundError as error:
            raise BackendError(
                f"{self.where} runs in an environment that lacks {error.name!r}: install anyjob-dask "
                "where the scheduler and the workers run, too"
            ) from error
        client.subscribe_topic(TOPIC, lambda event: self._heard(event[1]))
        if self._options.check_versions:
            hello = self._ask(client, "hello")
            there = [hello["versions"], *(worker["versions"] for worker in hello["workers"].values())]
            wrong = mismatch(_versions(), there)
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

        make: Any = security.Security

        def text(path: Any) -> str | None:
            return None if path is None else str(path)

        return make(
            require_encryption=True,
            tls_ca_file=text(options.tls_ca_file),
            tls_client_cert=text(options.tls_cert),
            tls_client_key=text(options.tls_key),
        )

    # --- what goes over it ------------------------------------------------------------------------

    def ask(self, what: str, **arguments: Any) -> Any:
        """Have our plugin in the scheduler answer.

        Raises:
            BackendUnavailableError: it does not, in time.
        """
        return self._ask(self.client(), what, **arguments)

    def _ask(self, client: Any, what: str, **arguments: Any) -> Any:
        if what == "ask":
            arguments["client"] = client.id

        async def call() -> Any:
            return await getattr(client.scheduler, f"anyjob_{what}")(**arguments)

        return self._sync(client, call, arguments.get("patience", 0))

    def gather(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the results of tasks that have ended; one that is not there any more is left out."""
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

    def run_on(self, address: str, function: Any, *arguments: Any) -> Any:
        """Call a function in a worker; None where that has gone."""
        client = self.client()

        async def call() -> Any:
            return await client._run(function, *arguments, workers=[address], on_error="return", nanny=False)

        answers = self._sync(client, call, 0)
        answer = answers.get(address)
        return None if isinstance(answer, BaseException) else answer

    def soon(self, seconds: float, call: Callable[[], Awaitable[None]]) -> None:
        """Have a coroutine function called in Dask's own thread after a while."""
        client = self._client
        if client is None:
            return
        with suppress(RuntimeError):
            client.loop.add_callback(lambda: client.loop.call_later(seconds, _quietly, call))

    async def tell(self, what: str, **arguments: Any) -> None:
        """In Dask's own thread: have our plugin do something."""
        client = self._client
        if client is not None and client.status == "running":
            await getattr(client.scheduler, f"anyjob_{what}")(**arguments)

    def _sync(self, client: Any, call: Callable[[], Awaitable[Any]], more: float) -> Any:
        timeout = self._options.timeout + more
        try:
            return client.sync(call, callback_timeout=timeout)
        except (OSError, TimeoutError) as error:
            words = _words(error) or f"no answer within {timeout:g} s"
            raise BackendUnavailableError(f"{self.where} does not answer: {words}") from error

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            threading.Thread(target=_close, args=(client,), name="anyjob-dask-close", daemon=True).start()

    def close(self) -> None:
        """Hang up; a cluster that was started for this line ends."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
            cluster, self._cluster = self._cluster, None
        if client is not None:
            _close(client)
        if cluster is not None:
            cluster.close()


def _quietly(call: Callable[[], Awaitable[None]]) -> Any:
    async def attempt() -> None:
        with suppress(OSError, TimeoutError):
            await call()

    import asyncio

    task = asyncio.ensure_future(attempt())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


_tasks: set[Any] = set()


def _close(client: Any) -> None:
    from anyjob_dask.scheduler_plugin import TOPIC

    with suppress(Exception):
        client.unsubscribe_topic(TOPIC)  # else the scheduler complains that it cannot tell us
        client.close(timeout=2)


def _words(error: BaseException) -> str:
    cause = error.__cause__
    return str(error) + (f" ({cause})" if cause is not None and str(cause) else "")


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    return {"python": platform.python_version(), "distributed": version("distributed")}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
