"""The mode ``durable``: a detached actor in the cluster, the keeper, owns the jobs."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from anyjob.errors import BackendError, BackendUnavailableError
from anyjob.execution.spool import KEPT_IN_LEDGER, InSpool
from anyjob.orders import Answer, Observation, Order, Ticket, Unsure
from anyjob.specs import Outcome
from anyjob_ray import cluster, replies
from anyjob_ray.actors import Keeper
from anyjob_ray.mode import STATES, Mode, is_few
from anyjob_ray.payload import as_bytes, read

KEEPER = "anyjob-keeper-2"
"""The name of the keeper; the number counts its protocols."""
HEAD = "node:__internal_head__"
DEAD = {"RayActorError", "ActorDiedError", "OutOfMemoryError"}
"""What Ray raises of a keeper that is there no more."""
AT_ONCE = 100
"""Jobs that the keeper is given by one message, while the next are packed."""
LISTEN = 30.0
LOOK = 1.0
"""Seconds between two looks at whether this process is connected at all."""
AGAIN = 0.2
"""Seconds after which a keeper that is away is asked again."""
READ = 1.0
"""Seconds between two messages that say what was read."""


class Durable(Mode):
    """Gives jobs to the keeper, and listens to it."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self._keeper: Any = None
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._closed = False
        self._mine: set[str] = set()
        self._heard: dict[str, bytes | None] = {}
        self._read: list[str] = []
        self._ending: set[str] = set()
        self._inbox: SimpleQueue[Any] = SimpleQueue()

    # --- the keeper -----------------------------------------------------------------------------

    def _ask(self, call: Callable[[Any], Any], *, make: bool = False, patience: float | None = None) -> Any:
        """Ask the keeper; None where there is none.

        Raises:
            BackendUnavailableError: it does not answer within the patience.
        """
        limit = self.options.patience if patience is None else patience
        try:
            keeper = self._found(make)
            return None if keeper is None else self.ray.get(call(keeper), timeout=limit)
        except Exception as error:
            names = {each.__name__ for each in type(error).__mro__}
            if "ActorUnavailableError" not in names and names & DEAD:
                with self._lock:
                    self._keeper = None
                if not make:
                    cluster.check(self.ray, self.options, self.backend.name())
                    return None  # it is dead, and its jobs with it
            elif isinstance(error, BackendError):
                raise
            raise BackendUnavailableError(self._away(error)) from error

    def _away(self, error: BaseException) -> str:
        text = " ".join(str(error).split())[:500] or type(error).__name__
        return (
            f"backend {self.backend.name()!r}: the keeper of the jobs (actor {KEEPER!r} in the namespace "
            f"{self.options.namespace!r} of the Ray cluster at {self.options.address}) does not answer: "
            f"{text}"
        )

    def _found(self, make: bool) -> Any:
        with self._lock:
            if not self.ray.is_initialized():
                self._keeper = None
                cluster.renew(self.options, self.backend.name())
            if self._keeper is None:
                cluster.check(self.ray, self.options, self.backend.name())
                self._keeper = self._made() if make else self._sought()
            return self._keeper

    def _sought(self) -> Any:
        try:
            return self.ray.get_actor(KEEPER, namespace=self.options.namespace)
        except ValueError:  # there is none
            return None

    def _made(self) -> Any:
        options: dict[str, Any] = {}
        if HEAD in self.ray.cluster_resources():  # it lives as long as the cluster does
            options["resources"] = {HEAD: 0.001}
        return (
            self.ray.remote(Keeper)
            .options(
                name=KEEPER,
                namespace=self.options.namespace,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                max_restarts=0,
                max_concurrency=10_000,
                runtime_env={},
                **options,
            )
            .remote()
        )

    # --- the methods of a backend -----------------------------------------------------------------

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Give jobs to the keeper, some at a time."""
        wanted, plan, refused = self.sorted_out(orders)
        yield from refused
        if not wanted:
            return
        # Nothing has been given to it yet: if it does not answer now, nothing is in doubt.
        self._ask(lambda keeper: keeper.ping.remote(), make=True)
        keeper = self._found(make=True)
        self._mine.update(order.job_id for order in wanted)
        walltime = wanted[0].resources.walltime
        launch = self.together(wanted, plan)
        packer = self.packer(KEEPER, wanted)
        given = []
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            works = [tuple(packer.pack(order)) for order in some]
            given.append((some, keeper.submit.remote(works, plan, walltime, launch, is_few(wanted))))
        for some, taking in given:
            yield from self._answered(some, taking)

    def _answered(self, orders: Sequence[Order], given: Any) -> Iterator[tuple[Order, Answer]]:
        try:
            taken, refs = self.ray.get(given, timeout=self.options.patience)
        except Exception as error:
            task_error = any(each.__name__ == "RayTaskError" for each in type(error).__mro__)
            if task_error:  # it has answered: it cannot
                raise BackendError(
                    f"backend {self.backend.name()!r}: Ray cannot run it: {_cause(error)}"
                ) from error
            taken, refs = [], []
        for job_id, ref in zip(taken, refs, strict=False):
            self._follow(job_id, ref)
        known = set(taken)
        for order in orders:
            yield order, order.job_id if order.job_id in known else Unsure()

    def _follow(self, job_id: str, ref: Any) -> None:
        """Hear of the end of a job from Ray itself, not by way of the keeper."""
        if ref is not None:  # else it has ended already
            replies.when_done(ref, lambda result: self.hear(job_id, result))

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Ask the keeper where jobs are, save those that it has just told of."""
        ids = [ticket.job_id for ticket in tickets]
        self._mine.update(ids)
        found = {job_id: STATES["ENDED"] for job_id in ids if self._heard.get(job_id) is not None}
        asked = [job_id for job_id in ids if job_id not in found]
        states = self._ask(lambda keeper: keeper.states.remote(asked)) if asked else None
        found.update({job_id: STATES[state] for job_id, state in (states or {}).items()})
        return found

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Have the keeper cancel jobs."""
        ids = [ticket.job_id for ticket in tickets]
        self._ending.update(ids)
        return self._ask(lambda keeper: keeper.cancel.remote(ids)) or {}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Return what came of jobs: what the keeper has told of, or is asked for now."""
        said: dict[str, tuple[bytes, Any]] = {}
        for ticket in tickets:
            heard = self._heard.get(ticket.job_id)
            if heard is not None:
                said[ticket.job_id] = heard, None
        asked = [ticket.job_id for ticket in tickets if ticket.job_id not in said]
        if asked:
            said.update(self._ask(lambda keeper: keeper.collect.remote(asked)) or {})
        found = {}
        for ticket in tickets:
            if ticket.job_id in said:
                found[ticket.job_id] = self._outcome(ticket, *said[ticket.job_id])
                self._heard.pop(ticket.job_id, None)
                self._mine.discard(ticket.job_id)
                self._ending.discard(ticket.job_id)
                self._read.append(ticket.job_id)
        return found

    def _outcome(self, ticket: Ticket, said: bytes, ref: Any) -> Outcome:
        if ref is not None:
            said = self.ray.get(ref, timeout=None)[0]
        outcome, written = read(said, ref)
        outcome.value = as_bytes(outcome.value)
        directory = self.backend.directory(ticket.job_id)
        if any(written):
            for stream, data in zip(("stdout", "stderr"), written, strict=True):
                _keep(directory, stream, data)
        if isinstance(outcome.value, bytes) and len(outcome.value) > KEPT_IN_LEDGER:
            _keep(directory, "outcome.pkl", pickle.dumps({"status": "DONE", "value": outcome.value}, 5))
            outcome.value = InSpool(directory / "outcome.pkl")
        return outcome

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Ask the keeper which jobs it has: their ids are its own."""
        ids = list(job_ids)
        states = self._ask(lambda keeper: keeper.states.remote(ids)) or {}
        return {job_id: job_id for job_id in states}

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Have the keeper refuse jobs that may still arrive."""
        ids = list(job_ids)
        here = self._ask(lambda keeper: keeper.renounce.remote(ids)) or []
        return {job_id: job_id for job_id in here}

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read from the files of the worker; once the job has ended, they are in its directory."""
        place = self._ask(lambda keeper: keeper.place.remote(ticket.job_id))
        return b"" if place is None else self.read(place, stream, offset)

    def close(self) -> None:
        """Let go of the connection; the keeper and its jobs stay."""
        self._closed = True
        if self.ray.is_initialized():
            self._tell_read()
        super().close()
        cluster.release()

    # --- what is heard --------------------------------------------------------------------------

    def listen(self) -> None:
        """Listen to the keeper from now on."""
        with self._lock:
            if self._listener is None and not self._closed:
                self._listener = threading.Thread(target=self._listen, name="anyjob-ray-listen", daemon=True)
                self._listener.start()

    def _listen(self) -> None:
        """Ask for news again and again, without being inside of Ray meanwhile.

        Whoever is when the program disconnects, or ends, takes the process down.
        """
        since, asked, until = -1, None, 0.0
        while not self._closed:
            if asked is None:
                asked, until = self._ask_for_news(since), time.monotonic() + 2 * LISTEN
            try:
                result = self._inbox.get(timeout=LOOK if asked is not None else AGAIN)
            except Empty:
                if time.monotonic() > until or not self.ray.is_initialized():
                    since, asked = -1, None
                continue
            asked = None
            if isinstance(result, BaseException):  # it is away; polls go on meanwhile
                since = -1
                time.sleep(AGAIN)
                continue
            since, events, whole = result
            self._take_in(events, whole)
            self._tell_read()

    def _ask_for_news(self, since: int) -> Any:
        keeper = self._keeper
        if keeper is None or not self.ray.is_initialized():
            return None
        asked = keeper.changes.remote(since, LISTEN)
        replies.when_done(asked, self._inbox.put)
        return asked

    def hear(self, job_id: str, said: Any) -> None:
        """What a worker says itself is taken as it is; all else the keeper knows better.

        In a thread of Ray's, or of the ear, neither of which must be kept.
        """
        if not isinstance(said, bytes) or job_id not in self._mine or job_id in self._ending:
            return
        if self._heard.get(job_id) is None and pickle.loads(said)["status"] != "CANCELLED":
            self._heard[job_id] = said
            self._notify([job_id])

    def _take_in(self, events: Sequence[tuple[str, str, Any]], whole: bool) -> None:
        if not whole:  # we have missed some
            self._notify(list(self._mine))
            return
        news = []
        for job_id, what, said in events:
            if job_id in self._mine:
                news.append(job_id)
                if what == "ENDED" and said is not None:
                    self._heard[job_id] = said
        if news:
            self._notify(news)

    def _notify(self, job_ids: list[str]) -> None:
        if not self._closed:
            self.backend.notify(job_ids)

    def _tell_read(self) -> None:
        """Say what was read, so that the keeper need not keep it for long."""
        read, self._read = self._read, []
        keeper = self._keeper
        if read and keeper is not None:
            try:
                keeper.was_read.remote(read)
            except Exception:  # it keeps them, then
                return


def _cause(error: BaseException) -> str:
    return str(getattr(error, "cause", None) or error).strip().splitlines()[-1]


def _keep(directory: Path, name: str, data: bytes) -> None:
    """Write a file of a job's directory, private to the user; whole, or not at all."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = directory / f"{name}.{os.getpid()}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(data)
    os.rename(part, directory / name)
