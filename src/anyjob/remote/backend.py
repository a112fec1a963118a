"""A backend of another machine: each of its methods is a request over a channel."""

from __future__ import annotations

import fnmatch
import io
import os
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, BinaryIO

from anyjob.backend import BackendStatus, Capabilities
from anyjob.errors import (
    BackendError,
    BackendUnavailableError,
    JobError,
    JobRejectedError,
    StateError,
)
from anyjob.orders import Answer, Observation, Order, Rejected, Ticket, Unsure
from anyjob.outcome import Outcome
from anyjob.outputs.left_files import LeftFiles
from anyjob.process.forks import in_each_process
from anyjob.remote import packing, pickle_inspection
from anyjob.remote.bulks import gathered
from anyjob.remote.channel import Channel, Ending, answered
from anyjob.remote.messages import (
    BULK,
    CHUNK,
    Control,
    Hello,
    JobIds,
    Names,
    OfferedBackend,
    Put,
    Read,
    RemoteOrder,
    Submit,
)
from anyjob.specs import Call, kind_of
from anyjob.spool.private_files import open_private
from anyjob.taskbackend import TaskBackend
from anyjob.taskjob import TaskJob

WINDOW = 4
"""Requests that are on their way at a time, where there are many."""
_PLAIN = frozenset((int, float, str, bytes, bool, type(None)))
"""Arguments that travel wherever Python is."""


class RemoteBackend(TaskBackend):
    """The base of backends that are another machine's, reached by a program that carries a channel.

    A subclass says how that program is started, and what it means where it ends. Its options have
    ``backend``: what that machine calls it; ``env``: patterns of variables that go with each job; ``safe``:
    whether nothing that comes from there may be unpickled; and ``timeout``: seconds within which the far end
    has to speak.

    Args:
        configuration: has ``backend_name``, ``backend_version`` and the options as attributes.
        provider: what this backend was got from, if anything.
        options: the options, checked.
    """

    accepts: frozenset[str] = frozenset({"command", "python"})  # type: ignore[misc]
    capabilities = Capabilities(
        durable=True,
        find=True,
        logs=True,
        notifies=True,
        call_environment=True,
        controls=True,
        tasks=True,
        gpu_shares=True,
        gpu_memory=True,
        needs=True,
        repeatable_launch=True,
        output_files=True,
    )
    takes_large_files = True
    mixes_resources = True
    floor = 0.1
    ceiling = 30.0
    runs_again = True  # there, by whatever runs it there, which says no where it does not
    tells_walltime = True

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        if self.options.safe:
            self.accepts = frozenset({"command"})
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._opening = threading.Lock()
        self._channel: Channel | None = None
        self._ended: dict[str, Outcome] = {}  # what came of jobs that were observed to have ended
        self._missing_modules: dict[str, bool] = {}
        self._checked: Any = None  # a function that is known to travel

    # --- what a subclass says ------------------------------------------------------------------------

    @abstractmethod
    def command_line(self) -> list[str]:
        """Return the program that carries a channel, with its arguments."""

    @abstractmethod
    def explain(self, ending: Ending) -> BackendError:
        """Return what it means that the program has ended so, and the far end had not spoken."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment of that program."""
        return os.environ

    # --- the channel ---------------------------------------------------------------------------------

    def channel(self) -> Channel:
        """Return the channel; opened, where there is none.

        Raises:
            BackendError: it cannot be opened.
        """
        channel = self._channel
        if channel is not None and channel.is_open:
            return channel
        with self._opening:
            channel = self._channel
            if channel is None or not channel.is_open:
                channel = self._channel = Channel(
                    self.command_line(),
                    self.environment(),
                    self.explain,
                    self.notify,
                    self._lost,
                    self.options.timeout,
                )
                self._missing_modules.clear()
                self._checked = None
                if channel.hello.problem:
                    problem = channel.hello.problem
                    channel.close()
                    raise BackendError(f"anyjob on {channel.hello.host}: {problem}")
        return channel

    def hello(self) -> Hello:
        """Return what the far side says of itself; the channel is opened for it.

        Raises:
            BackendError: it cannot be.
        """
        return self.channel().hello

    def offers(self) -> dict[str, OfferedBackend]:
        """Return what the backends there can do, the one that is used first.

        Raises:
            BackendError: it cannot be asked.
        """
        hello = self.hello()
        names = list(dict.fromkeys([self.options.backend or hello.default, *hello.backends]))
        told: dict[str, OfferedBackend] = self._ask("offers", Names(names)).backends
        return {name: told[name] for name in names if name in told}

    def _lost(self) -> None:
        """The channel is gone: whatever is waited for is asked about over the next one."""
        if not self.is_closed:
            self.notify(self.open_ids())

    def _ask(self, word: str, body: Any) -> Any:
        """Ask; where the channel breaks meanwhile, once more over a new one: no request does harm twice.

        Raises:
            BackendError: it cannot be asked, or could not do it.
        """
        channel = self.channel()
        try:
            return channel.ask(word, body)
        except BackendUnavailableError:
            if channel.is_open:
                raise  # it is not the channel that is away
        return self.channel().ask(word, body)

    def _ask_each(self, word: str, ids: Sequence[str]) -> Iterator[Any]:
        for start in range(0, len(ids), BULK):
            yield self._ask(word, JobIds(self.options.backend, list(ids[start : start + BULK])))

    def status(self) -> BackendStatus:
        """Open the channel, if there is none; ``pending_jobs`` are those of this process."""
        try:
            hello = self.hello()
        except BackendError as error:
            return BackendStatus(self.name(), self.version(), False, 0, str(error))
        there = self.options.backend or hello.default
        type_name = hello.backends[there].type if there in hello.backends else there
        message = f"{there} (type {type_name}) of {hello.host}, anyjob {hello.anyjob}, Python {hello.python}"
        return BackendStatus(self.name(), self.version(), True, len(self.open_ids()), message)

    def listen(self) -> None:
        """Have a channel: changes are told over it."""
        self.channel()

    # --- handing over ----------------------------------------------------------------------------------

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Hand orders over, in bulks that follow each other without waiting for answers.

        What is known there already is not run again, so that what was not answered is sent once more; what
        that does not help is found out, or sent, whenever the far side is reached again.
        """
        self.channel()  # where there is none, nothing was handed over: so this may raise
        by_id = {order.job_id: order for order in orders}
        not_sent: list[tuple[Order, Answer]] = []
        for bulk, answer in self._pipelined("submit", self._bulks(orders, not_sent)):
            refused = {} if isinstance(answer, BackendUnavailableError) else answer.jobs
            for each in bulk.orders:
                order = by_id[each.job_id]
                if each.job_id not in refused:
                    yield order, Unsure()
                else:
                    why = refused[each.job_id]
                    yield order, Rejected(why) if why else each.job_id
        yield from not_sent

    def _bulks(self, orders: Sequence[Order], not_sent: list[tuple[Order, Answer]]) -> Iterator[Submit]:
        """Yield bulks, each made when those before it are on their way, and what is large sent before it.

        Args:
            orders: what is to be handed over.
            not_sent: gets those that are in none, with what came of them.
        """
        for some in gathered(self._all_packed(orders, not_sent)):
            if self._are_sent(some.large):
                yield Submit(self.options.backend, some.orders)
            else:
                lost = {each.job_id for each in some.orders}
                not_sent.extend((order, Unsure()) for order in orders if order.job_id in lost)

    def _all_packed(
        self, orders: Sequence[Order], not_sent: list[tuple[Order, Answer]]
    ) -> Iterator[tuple[RemoteOrder, packing.Bodies]]:
        for order in orders:
            large: packing.Bodies = {}
            try:
                yield self._packed(order, large), large
            except JobRejectedError as error:
                not_sent.append((order, Rejected(str(error))))

    def _are_sent(self, large: packing.Bodies) -> bool:
        """Send what is large; return whether it is there, and not lost with the channel.

        Raises:
            BackendUnavailableError: it is not the channel that is away.
        """
        channel = self._channel
        try:
            self._send_bodies(large)
        except BackendUnavailableError:
            if channel is not None and channel.is_open:
                raise
            return False
        return True

    def _packed(self, order: Order, large: packing.Bodies) -> RemoteOrder:
        """Return an order as it travels.

        Raises:
            JobRejectedError: it would not run there.
        """
        spec = order.spec
        own = self._own_variables()
        if own:
            order = _with_variables(order, own)
        job_type = self.services.job_type(kind_of(spec))
        packed = packing.pack(order, large, self.job_directory(order.job_id), job_type.describe)
        if isinstance(spec, Call):
            body = packed.work.pickled  # type: ignore[union-attr]
            pickled = large[body.sha256] if body.data is None else body.data
            assert isinstance(pickled, bytes)
            self._check_call(spec, pickled)
        return packed

    def _own_variables(self) -> dict[str, str]:
        patterns = self.options.env
        return {
            name: value
            for name, value in (os.environ.items() if patterns else ())
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        }

    def _check_call(self, call: Call, pickled: bytes) -> None:
        plain = all(type(value) in _PLAIN for value in (*call.args, *call.kwargs.values()))
        if plain and call.fn is self._checked:
            return  # as most of many
        self._checked = None
        hello = self.hello()
        used = pickle_inspection.names_in(pickled)
        here, there = pickle_inspection.version_here(), ".".join(hello.python.split(".")[:2])
        if used.by_value and here != there:
            raise JobRejectedError(
                f"this is Python {here}, and {hello.host} has {there}: functions that are pickled by value, "
                "as those of __main__ and nested ones, do not travel between the two; name it "
                "'module:function' of a module that is installed there, or set python to another interpreter"
            )
        unknown = [name for name in used.modules if name not in self._missing_modules]
        if unknown:
            missing = set(self._ask("missing-modules", Names(unknown)).names)
            self._missing_modules.update({name: name in missing for name in unknown})
        absent = [name for name in used.modules if self._missing_modules[name]]
        if absent:
            raise JobRejectedError(
                f"{', '.join(absent)} cannot be imported on {hello.host} (Python {hello.python}): install "
                "it there; or have your own module sent along: cloudpickle.register_pickle_by_value(module)"
            )
        if plain:
            self._checked = call.fn

    def _send_bodies(self, bodies: packing.Bodies) -> None:
        """Send what is large and not there yet, in parts."""
        if not bodies:
            return
        for sha256 in self._ask("missing-bodies", Names(list(bodies))).names:
            data = bodies.get(sha256)
            if data is None:
                continue  # not asked for
            if isinstance(data, bytes):
                self._send_parts(sha256, io.BytesIO(data), len(data))
                continue
            try:
                with open_private(data) as stream:
                    self._send_parts(sha256, stream, os.fstat(stream.fileno()).st_size)
            except OSError as error:
                raise StateError(f"a file that goes with a job cannot be read: {error}") from error

    def _send_parts(self, sha256: str, stream: BinaryIO, size: int) -> None:
        channel, sent = self.channel(), deque[Future[Any]]()
        for offset in range(0, size, CHUNK):
            part = Put(sha256, offset, stream.read(CHUNK), last=offset + CHUNK >= size)
            while sent and (part.last or len(sent) >= WINDOW):
                answered(sent.popleft())  # all before the last one: several threads write them there
            sent.append(channel.send("put", part))
        for answer in sent:
            answered(answer)

    def _pipelined(self, word: str, bodies: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each request with its answer, or with why there was none, some on their way at a time."""
        waiting: deque[tuple[Any, Future[Any] | None]] = deque()
        for body in bodies:
            try:
                waiting.append((body, self.channel().send(word, body)))
            except BackendUnavailableError:
                waiting.append((body, None))
            if len(waiting) >= WINDOW:
                first, answer = waiting.popleft()
                yield first, self._answer_or_again(word, first, answer)
        for first, answer in waiting:
            yield first, self._answer_or_again(word, first, answer)

    def _answer_or_again(self, word: str, body: Any, answer: Future[Any] | None) -> Any:
        try:
            if answer is not None:
                channel = self._channel
                try:
                    return answered(answer)
                except BackendUnavailableError:
                    if channel is not None and channel.is_open and channel is self._channel:
                        raise
            return self._ask(word, body)
        except BackendUnavailableError as error:
            return error

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Our id is theirs."""
        asked = set(job_ids)
        for answer in self._ask_each("find", job_ids):
            asked.difference_update(answer.names)
        return {job_id: job_id for job_id in job_ids if job_id in asked}

    # --- what becomes of them --------------------------------------------------------------------------

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Ask where jobs are. What came of those that have ended is told with it."""
        ids = [ticket.job_id for ticket in tickets]
        seen: dict[str, Observation] = {}
        while ids:
            bulk, ids = ids[:BULK], ids[BULK:]
            known = set(bulk)
            answer = self._ask("observe", JobIds(self.options.backend, bulk))
            for job_id, told in answer.jobs.items():
                if job_id not in known:
                    raise BackendError(f"{self.hello().host} tells of a job that it was not asked about")
                try:
                    seen[job_id] = packing.unpack_observation(told)
                    if told.outcome is not None:
                        trusted = not self.options.safe
                        self._ended[job_id] = packing.unpack_outcome(told.outcome, job_id, trusted=trusted)
                except KeyError as error:
                    raise BackendError(f"{self.hello().host} tells of a status {error}") from None
            left = [job_id for job_id in answer.more if job_id in known and job_id not in seen]
            if left and len(left) < len(bulk):
                ids = left + ids
        return seen

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Give what was told with where they are; of those that were not observed, ask."""
        found = {}
        unknown = []
        for ticket in tickets:
            outcome = self._ended.pop(ticket.job_id, None)
            if outcome is None:
                unknown.append(ticket)
            else:
                found[ticket.job_id] = outcome
        if unknown:
            with suppress(BackendUnavailableError):
                self.observe(unknown)
            for ticket in unknown:
                if (outcome := self._ended.pop(ticket.job_id, None)) is not None:
                    found[ticket.job_id] = outcome
        return found

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Have them cancelled there."""
        accepted: dict[str, bool] = {}
        for answer in self._ask_each("cancel", [ticket.job_id for ticket in tickets]):
            accepted.update(answer.jobs)
        return accepted

    def control(self, action: str, tickets: Sequence[Ticket], value: int | None = None) -> Mapping[str, bool]:
        """Have that done there."""
        done: dict[str, bool] = {}
        ids = [ticket.job_id for ticket in tickets]
        for start in range(0, len(ids), BULK):
            asked = Control(self.options.backend, ids[start : start + BULK], action, value)
            done.update(self._ask("control", asked).jobs)
        return done

    def ended_attempts(self, job_id: str) -> Sequence[tuple[int, str, Outcome]]:
        """Ask what came of the attempts that were followed by others."""
        trusted = not self.options.safe
        return [
            (each.number, each.followed_by, packing.unpack_outcome(each.outcome, job_id, trusted=trusted))
            for each in self._ask("attempts", JobIds(self.options.backend, [job_id])).ended
        ]

    # --- what they have left ---------------------------------------------------------------------------

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read what lies there."""
        asked = Read(self.options.backend, ticket.job_id, stream, offset, CHUNK)
        data: bytes = self._ask("read", asked).data
        return data

    def fetch_value(self, ticket: Ticket, kept: str) -> bytes:
        """Fetch a result that was too large to be told with the others."""
        if self.options.safe:
            raise BackendError(f"backend {self.name()!r} is safe: nothing that it returns is unpickled")
        return self._read_all(ticket.job_id, "value")

    def _left(self, job: TaskJob) -> LeftFiles:
        """Return the files that a job has left there."""
        from anyjob.remote.far_files import FarFiles

        return FarFiles(job, self)

    def _read_all(self, job_id: str, what: str) -> bytes:
        return b"".join(self._parts(job_id, what))

    def _parts(self, job_id: str, what: str, name: bytes = b"") -> Iterator[bytes]:
        """Yield what a job has left in parts, of which some are on their way at a time."""

        def request(offset: int) -> Read:
            return Read(self.options.backend, job_id, what, offset, CHUNK, name)

        first = self._ask("read", request(0))
        yield first.data
        offsets = range(len(first.data), (first.total or 0) if first.data else 0, CHUNK)
        for asked, answer in self._pipelined("read", map(request, offsets)):
            if isinstance(answer, BackendUnavailableError):
                raise answer
            yield answer.data
            if len(answer.data) < CHUNK and asked.offset != offsets[-1]:
                raise JobError(f"{name!r} of job {job_id} has become shorter while it was read")

    def close(self) -> None:
        """Close the channel; what runs there runs on."""
        super().close()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def _with_variables(order: Order, variables: Mapping[str, str]) -> Order:
    from msgspec.structs import replace

    return replace(order, environment={**variables, **order.environment})
