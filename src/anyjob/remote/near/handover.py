"""Hands work over to another machine: packed in bulks, what is large before it, calls looked at first."""

from __future__ import annotations

import fnmatch
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from anyjob.errors import AnyjobError, BackendError, BackendUnavailableError, JobRejectedError, StateError
from anyjob.ledger.encoding import encode_resources
from anyjob.orders import Answer, Order, Rejected, Unsure
from anyjob.remote import packing, pickle_inspection
from anyjob.remote.messages import AHEAD, CHUNK, Hello, Modules, Names, RemoteOrder, Sample, Submit
from anyjob.remote.near.bulks import gathered
from anyjob.remote.near.channel import Channel
from anyjob.remote.near.connection import Connection
from anyjob.remote.near.sent_bodies import SentAhead, SentBody
from anyjob.resources import Resources
from anyjob.specs import Call, kind_of
from anyjob.spool.private_files import open_private
from anyjob.taskbackend import TaskBackend

_PLAIN = frozenset((int, float, str, bytes, bool, type(None)))
"""Arguments that travel wherever Python is."""


class Handover:
    """Hands over what a backend was given.

    Args:
        backend: that backend; its options have ``backend`` and ``env``.
        connection: to the machine that gets it.
    """

    def __init__(self, backend: TaskBackend, connection: Connection) -> None:
        self._backend, self._connection = backend, connection
        self._checked: Any = None  # a function that is known to travel
        self._modules: set[str] = set()  # that are known to be there
        self._missing_modules: set[str] = set()  # as was asked for those that are handed over together
        self._checked_by: Hello | None = None  # whose modules these are
        self.last_number = 0
        """The highest that a job has there, as was told last."""

    def launch(
        self, parts: Iterable[Sequence[Order]], claim: Callable[[list[str]], None]
    ) -> Iterator[tuple[Order, Answer]]:
        """Hand orders over, in bulks that follow each other without waiting for answers.

        What is known there already is not run again, so that what was not answered is sent once more; what
        that does not help is found out, or sent, whenever the far side is reached again.

        Args:
            parts: the orders. A part is asked for when bulks of those before it are on their way.
            claim: called with the ids of a part before any of it is sent.

        Raises:
            BackendError: there is no connection, or ``claim`` raises that, and nothing was handed over.
            AnyjobError: the far side said that of all that was handed over.
        """
        self._missing_modules = set()  # somebody may have installed them
        known: dict[str, Order] = {}
        not_sent: list[tuple[Order, Answer]] = []
        failed: list[tuple[AnyjobError, list[Order]]] = []
        has_any = False  # of which it is not known that the far side would not take them
        packed = self._all_packed(self._claimed(parts, claim, known, not_sent), not_sent)
        for bulk, answer in self._connection.pipelined("submit", self._bulks(packed, known, not_sent)):
            if isinstance(answer, AnyjobError) and not isinstance(answer, BackendUnavailableError):
                failed.append((answer, [known.pop(each.job_id) for each in bulk.orders]))
                continue
            has_any = True
            self.last_number = max(self.last_number, getattr(answer, "last", 0))
            refused = {} if isinstance(answer, BackendUnavailableError) else answer.jobs
            for each in bulk.orders:
                order = known.pop(each.job_id)
                if each.job_id not in refused:
                    yield order, Unsure()
                else:
                    why = refused[each.job_id]
                    yield order, Rejected(why) if why else each.job_id
        if failed and not has_any:
            raise failed[0][0]
        for error, orders in failed:
            for order in orders:
                yield order, Rejected(str(error))
        yield from not_sent

    def _claimed(
        self,
        parts: Iterable[Sequence[Order]],
        claim: Callable[[list[str]], None],
        known: dict[str, Order],
        not_sent: list[tuple[Order, Answer]],
    ) -> Iterator[Order]:
        """Yield the orders of those parts that can be sent; ``known`` gets them by id."""
        is_first = True
        for orders in parts:
            try:
                claim([order.job_id for order in orders])
                self._connection.channel()
            except BackendError:
                if is_first:
                    raise
                not_sent.extend((order, Unsure()) for order in orders)
                continue
            is_first = False
            known.update((order.job_id, order) for order in orders)
            yield from orders

    def _bulks(
        self,
        packed: Iterable[tuple[RemoteOrder, packing.Bodies]],
        known: dict[str, Order],
        not_sent: list[tuple[Order, Answer]],
    ) -> Iterator[Submit]:
        """Yield bulks, each made when those before it are on their way, and what is large sent before it.

        Args:
            packed: what is to be handed over.
            known: the orders.
            not_sent: gets those that are in none, with what came of them.
        """
        for some in gathered(packed):
            if self._are_sent(some.large):
                yield Submit(self._backend.options.backend, some.orders)
            else:
                not_sent.extend((known[each.job_id], Unsure()) for each in some.orders)

    def _all_packed(
        self, orders: Iterable[Order], not_sent: list[tuple[Order, Answer]]
    ) -> Iterator[tuple[RemoteOrder, packing.Bodies]]:
        own = self._own_variables()
        known: dict[int, tuple[Resources, bytes]] = {}  # of these orders, most of which share theirs
        for order in orders:
            large: packing.Bodies = {}
            shared = known.get(id(order.resources))
            if shared is None:
                shared = known[id(order.resources)] = order.resources, encode_resources(order.resources)
            try:
                yield self._packed(_with_variables(order, own) if own else order, shared[1], large), large
            except _MissingModules as error:
                not_sent.append((order, Rejected(str(error), "missing-module")))
            except JobRejectedError as error:
                not_sent.append((order, Rejected(str(error))))

    def _own_variables(self) -> dict[str, str]:
        patterns = self._backend.options.env
        return {
            name: value
            for name, value in (os.environ.items() if patterns else ())
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        }

    def _packed(self, order: Order, resources: bytes, large: packing.Bodies) -> RemoteOrder:
        """Return an order as it travels.

        Raises:
            JobRejectedError: it would not run there.
        """
        spec, backend = order.spec, self._backend
        job_type = backend.services.job_type(kind_of(spec))
        packed = packing.pack(order, resources, large, backend.job_directory, job_type.describe)
        if isinstance(spec, Call):
            body = packed.work.pickled  # type: ignore[union-attr]
            pickled = large[body.sha256] if body.data is None else body.data
            assert isinstance(pickled, bytes)
            self._check_call(spec, pickled)
        return packed

    # --- calls -------------------------------------------------------------------------------------

    def _check_call(self, call: Call, pickled: bytes) -> None:
        hello = self._connection.hello()
        if hello is not self._checked_by:
            self._checked, self._modules, self._checked_by = None, set(), hello
        plain = all(type(value) in _PLAIN for value in (*call.args, *call.kwargs.values()))
        if plain and call.fn is self._checked:
            return  # as most of many
        self._checked = None
        used = pickle_inspection.names_in(pickled)
        here, there = pickle_inspection.version_here(), ".".join(hello.python.split(".")[:2])
        if used.by_value and here != there:
            raise JobRejectedError(
                f"this is Python {here}, and {hello.host} has {there}: functions that are pickled by value, "
                "as those of __main__ and nested ones, do not travel between the two; name it "
                "'module:function' of a module that is installed there, or set python to another interpreter"
            )
        modules = dict.fromkeys((*used.modules, *pickle_inspection.modules_of(call.fn)))
        unknown = [name for name in modules if name not in self._modules | self._missing_modules]
        if unknown:
            asked = Modules(self._backend.options.backend, unknown)
            self._missing_modules.update(self._connection.ask("missing-modules", asked).names)
            self._modules.update(name for name in unknown if name not in self._missing_modules)
        absent = [name for name in modules if name in self._missing_modules]
        if absent:
            other_way = (
                "or call the function itself, of a module that is sent along: "
                if isinstance(call.fn, str)
                else "or have your own module sent along: "
            )
            raise _MissingModules(
                f"{', '.join(absent)} cannot be imported on {hello.host} (Python {hello.python}), so that "
                f"nothing was sent: install it there; {other_way}"
                "cloudpickle.register_pickle_by_value(module)"
            )
        if plain:
            self._checked = call.fn

    # --- what is large -----------------------------------------------------------------------------

    def _are_sent(self, large: packing.Bodies) -> bool:
        """Send what is large; return whether it is there, and not lost with the channel.

        Raises:
            BackendUnavailableError: it is not the channel that is away.
        """
        channel: Channel | None = None
        try:
            if large:
                channel = self._connection.channel()
                self._send(large)
        except BackendUnavailableError:
            if channel is not None and channel.is_open:
                raise
            return False
        return True

    def _send(self, bodies: packing.Bodies) -> None:
        """Send what is large and not there yet, in parts."""
        for sha256 in self._connection.ask("missing-bodies", Names(list(bodies))).names:
            data = bodies.get(sha256)
            if data is None:
                continue  # not asked for
            body = SentBody(self._connection.channel())
            if isinstance(data, bytes):
                _send_parts(body, sha256, functools.partial(_part_of, data), len(data))
                continue
            try:
                with open_private(data) as stream:
                    read = functools.partial(_read_part, stream.fileno())
                    _send_parts(body, sha256, read, os.fstat(stream.fileno()).st_size)
            except OSError as error:
                raise StateError(f"a file that goes with a job cannot be read: {error}") from error

    def ahead(self, size: int, sample: str) -> SentAhead | None:
        """Return what sends a body while it is taken; None where it may be there, or is small.

        Args:
            size: bytes of it.
            sample: what tells it from most others.
        """
        if size < AHEAD:
            return None
        try:
            channel = self._connection.channel()
            return None if channel.ask("may-have", Sample(size, sample)).may_be else SentAhead(channel)
        except BackendError:
            return None  # whoever hands it over is told


def _send_parts(body: SentBody, sha256: str, read: Callable[[int], bytes | memoryview], size: int) -> None:
    for offset in range(0, size, CHUNK):
        body.put(read(offset), sha256 if offset + CHUNK >= size else "")


class _MissingModules(JobRejectedError):
    """What a call needs cannot be imported there."""


def _part_of(data: bytes, offset: int) -> memoryview:
    return memoryview(data)[offset : offset + CHUNK]


def _read_part(descriptor: int, offset: int) -> bytes:
    return os.pread(descriptor, CHUNK, offset)


def _with_variables(order: Order, variables: Mapping[str, str]) -> Order:
    from msgspec.structs import replace

    return replace(order, environment={**variables, **order.environment})
