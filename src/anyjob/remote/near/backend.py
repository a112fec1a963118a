"""A backend of another machine: each of its methods is a request over a channel."""

from __future__ import annotations

import functools
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anyjob.backend import BackendStatus, Capabilities
from anyjob.errors import BackendError, BackendUnavailableError
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.outcome import Outcome
from anyjob.outputs.left_files import LeftFiles
from anyjob.process.forks import in_each_process
from anyjob.remote import packing
from anyjob.remote.messages import BULK, CHUNK, Control, Hello, JobIds, Limit, Names, OfferedBackend, Read
from anyjob.remote.near import noted_offers
from anyjob.remote.near.channel import Channel, Ending
from anyjob.remote.near.connection import Connection
from anyjob.remote.near.far_files import FarFiles, parts
from anyjob.remote.near.handover import Handover
from anyjob.remote.near.job_machine import JobMachine
from anyjob.remote.near.sent_bodies import SentAhead
from anyjob.remote.near.single_hosts import SingleHosts, is_name
from anyjob.taskbackend import TaskBackend
from anyjob.taskjob import TaskJob
from anyjob.views.explanation.facts import Explanation

if TYPE_CHECKING:
    from anyjob.tracking.records import JobRecord

OF_THE_CHANNEL = frozenset({"durable", "shared_files", "find", "notifies", "repeatable_launch"})
"""The capabilities that do not depend on what runs the jobs there."""


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
    part = 2 * BULK
    takes_large_files = True
    mixes_resources = True
    floor = 0.1
    ceiling = 30.0
    has_attempt_logs = True
    runs_again = True  # there, by whatever runs it there, which says no where it does not
    tells_walltime = True
    reruns_at_walltime = True
    _shown_there = ""

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        if self.options.safe:
            self.accepts = frozenset({"command"})
            self.why_no_more = f"; {self._is_safe()}"
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._connection = Connection(self._open_channel)
        self._hosts = SingleHosts(self._open_channel_of)
        self._machine = JobMachine(self, self._connection)
        self._handover = Handover(self, self._connection)
        self._ended: dict[str, Outcome] = {}  # what came of jobs that were observed to have ended
        self._learnt_from: Hello | None = None

    # --- what a subclass says ------------------------------------------------------------------------

    @abstractmethod
    def command_line(self) -> list[str]:
        """Return the program that carries a channel, with its arguments."""

    def command_lines_to(self, host: str) -> Sequence[list[str]]:
        """Return programs that carry a channel to one host, where the machine is several: the best first.

        Args:
            host: what it calls itself.
        """
        return []

    @abstractmethod
    def explain(self, ending: Ending) -> BackendError:
        """Return what it means that the program has ended so, and the far end had not spoken."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment of that program."""
        return os.environ

    # --- the channel ---------------------------------------------------------------------------------

    def _open_channel(self) -> Channel:
        before = self._machine.last_noted()  # it is asked before the other side says what it has
        channel = self._carried_by(self.command_line(), self._lost)
        if not channel.hello.problem:
            ways = functools.partial(self._open_channel_to, lost=self._lost)
            channel = self._machine.reached(channel, ways, before)
        if self.configured_name:
            noted = noted_offers.of_hello(self.type_name, channel.hello, self.options.backend)
            noted_offers.note(self.services.ledger.state, self.configured_name, noted)
        return channel

    def _carried_by(self, argv: Sequence[str], lost: Callable[[], None]) -> Channel:
        return Channel(argv, self.environment(), self.explain, self.notify, lost, self.options.timeout)

    def _open_channel_to(self, host: str, lost: Callable[[], None]) -> Channel:
        """Open a channel to one host, where the machine is several, by what that calls itself.

        Raises:
            BackendError: none of the ways to it leads there.
        """
        why = "nothing leads to it from here" if is_name(host) else f"{host!r} is no name of a host"
        for argv in self.command_lines_to(host) if is_name(host) else ():
            try:
                return self._carried_by(argv, lost)
            except BackendError as error:
                why = str(error)
        raise BackendError(why)

    def _open_channel_of(self, host: str) -> Channel:
        try:
            return self._open_channel_to(host, lambda: None)
        except BackendError as error:
            raise BackendError(
                f"its jobs are those of host {host}, which alone can do that, and which cannot be asked: "
                f"{error}"
            ) from error

    def channel(self) -> Channel:
        """Return the channel; opened, where there is none.

        Raises:
            BackendError: it cannot be opened.
        """
        return self._connection.channel()

    def hello(self) -> Hello:
        """Return what the far side says of itself; the channel is opened for it.

        Raises:
            BackendError: it cannot be.
        """
        return self._connection.hello()

    # --- what it can do ------------------------------------------------------------------------------

    def learn_capabilities(self) -> None:
        """Ask what the backend there can do; once for each channel."""
        hello = self.hello()
        if hello is not self._learnt_from:
            there = self.options.backend or hello.default
            self._learn(hello, self._connection.ask("offers", Names([there])).backends)

    def offers(self) -> dict[str, OfferedBackend]:
        """Return what the backends there can do, the one that is used first.

        Raises:
            BackendError: it cannot be asked.
        """
        hello = self.hello()
        names = list(dict.fromkeys([self.options.backend or hello.default, *hello.backends]))
        told: dict[str, OfferedBackend] = self._connection.ask("offers", Names(names)).backends
        self._learn(hello, told)
        return {name: told[name] for name in names if name in told}

    def _learn(self, hello: Hello, told: Mapping[str, OfferedBackend]) -> None:
        there = self.options.backend or hello.default
        offer = told.get(there)
        if offer is None or offer.problem:
            return  # whoever hands it work is told
        can = type(self).capabilities.to_dict()
        can.update({name: name in offer.can for name in can if name not in OF_THE_CHANNEL})
        self.capabilities = Capabilities(**can)
        self.tells_walltime = "signal_before" in offer.can
        self.reruns_at_walltime = "on_walltime" in offer.can
        self._shown_there = f" ({there} of {hello.host})"
        self._learnt_from = hello

    @property
    def in_words(self) -> str:
        """What it is called, and what that is there, once that is known."""
        return super().in_words + self._shown_there

    # --- the channel ---------------------------------------------------------------------------------

    def _lost(self) -> None:
        """The channel is gone: whatever is waited for is asked about over the next one."""
        if not self.is_closed:
            self.notify(self.open_ids())

    def _ask_each(self, word: str, ids: Sequence[str]) -> Iterator[Any]:
        for start in range(0, len(ids), BULK):
            yield self._connection.ask(word, JobIds(self.options.backend, list(ids[start : start + BULK])))

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
        """Hand orders over, in bulks that follow each other without waiting for answers."""
        return self.launch_parts([orders])

    def launch_parts(self, parts: Iterable[Sequence[Order]]) -> Iterator[tuple[Order, Answer]]:
        """Hand orders over as `launch` does: while the far side writes some down, the next are here."""
        yield from self._handover.launch(parts, self._machine.claim)
        self._machine.noted(self._handover.last_number)

    def _sent_while_taken(self, size: int, sample: str) -> SentAhead | None:
        """Return what sends a large file while it is taken; not where a plugin may refuse its job."""
        return None if self.services.may_refuse else self._handover.ahead(size, sample)

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Our id is theirs."""
        asked, hello = set(job_ids), self.hello()
        for answer in self._ask_each("find", job_ids):
            asked.difference_update(answer.names)
        if len(asked) < len(job_ids):
            self._machine.require(hello)
        return {job_id: job_id for job_id in job_ids if job_id in asked}

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Have those that are not there refused from now on."""
        there = set(job_ids)
        for answer in self._ask_each("renounce", job_ids):
            there.difference_update(answer.names)
        return {job_id: job_id for job_id in job_ids if job_id in there}

    def _may_launch_again(self, record: JobRecord) -> bool:
        """Not where the machine that may have had it has nothing any more."""
        return record.submitted >= self._machine.since()

    def forget_machine(self) -> None:
        """Take whichever machine is reached next for the one that has the jobs: of those that it does not
        know nothing will ever be heard, and they are lost."""
        self._machine.forget()

    # --- what becomes of them --------------------------------------------------------------------------

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Ask where jobs are. What came of those that have ended is told with it."""
        ids, hello = [ticket.job_id for ticket in tickets], self.hello()
        seen: dict[str, Observation] = {}
        while ids:
            bulk, ids = ids[:BULK], ids[BULK:]
            known = set(bulk)
            answer = self._connection.ask("observe", JobIds(self.options.backend, bulk))
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
        if len(seen) < len(tickets):
            self._machine.require(hello)
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
        return self._done("cancel", tickets, lambda ids: JobIds(self.options.backend, ids))

    def control(self, action: str, tickets: Sequence[Ticket], value: int | None = None) -> Mapping[str, bool]:
        """Have that done there."""
        self.learn_capabilities()
        if not self.capabilities.controls:
            return super().control(action, tickets, value)
        return self._done("control", tickets, lambda ids: Control(self.options.backend, ids, action, value))

    def limit(
        self, name: str = "", most: int | None = None, *, tags: Mapping[str, str] | None = None
    ) -> Mapping[str, int]:
        """Have at most so many jobs of a name, or with each of these tags, run at a time there.

        Raises:
            UnsupportedSpecError: the backend there cannot do that.
        """
        asked = Limit(self.options.backend, name, most, dict(tags or {}))
        limits: Mapping[str, int] = self._connection.ask("limit", asked).limits
        return limits

    def limits_now(self) -> Mapping[str, int]:
        """Return what limits there are there."""
        return self.limit()

    def _done(
        self, word: str, tickets: Sequence[Ticket], request: Callable[[list[str]], Any]
    ) -> dict[str, bool]:
        """Have something done to jobs: each on its own host, where the machine is several."""
        done: dict[str, bool] = {}
        hello = self.hello()
        ids = [ticket.job_id for ticket in tickets]
        for start in range(0, len(ids), BULK):
            bulk = ids[start : start + BULK]
            answer = self._connection.ask(word, request(bulk))
            done.update(answer.jobs)
            elsewhere = {job_id: answer.elsewhere[job_id] for job_id in bulk if job_id in answer.elsewhere}
            for host in dict.fromkeys(elsewhere.values()):
                its = [job_id for job_id, of in elsewhere.items() if of == host]
                done.update(self._hosts.ask(host, word, request(its)).jobs)
        if len(done) < len(ids):
            self._machine.require(hello)
        return done

    def explained_there(self, job_id: str) -> Explanation:
        """Ask what ``anyjob explain`` says of a job there; each line names that machine.

        Raises:
            BackendError: it cannot be asked.
        """
        told = self._connection.ask("explain", JobIds(self.options.backend, [job_id]))
        return packing.unpack_explanation(told, self.hello().host)

    def ended_attempts(self, job_id: str) -> Sequence[tuple[int, str, Outcome]]:
        """Ask what came of the attempts that were followed by others."""
        trusted = not self.options.safe
        return [
            (each.number, each.followed_by, packing.unpack_outcome(each.outcome, job_id, trusted=trusted))
            for each in self._connection.ask("attempts", JobIds(self.options.backend, [job_id])).ended
        ]

    # --- what they have left ---------------------------------------------------------------------------

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read what lies there."""
        return self.attempt_logs(ticket, stream, 0, offset)

    def attempt_logs(self, ticket: Ticket, stream: str, attempt: int, offset: int) -> bytes:
        """Read what an attempt has left there."""
        asked = Read(self.options.backend, ticket.job_id, stream, offset, CHUNK, attempt=attempt)
        return bytes(self._connection.ask("read", asked).data)

    def fetch_value(self, ticket: Ticket, kept: str) -> bytes:
        """Fetch a result that was too large to be told with the others."""
        if self.options.safe:
            raise BackendError(f"the result of job {ticket.job_id} is not read: {self._is_safe()}")
        return b"".join(parts(self._connection, self.options.backend, ticket.job_id, "value"))

    def _is_safe(self) -> str:
        """Return what the option means, where it is, and the way out."""
        return (
            f"`safe = true` in [backends.{self.name()}] has it run programs only, and nothing unpickled that "
            "comes from there: give a Command; or, where you trust that machine, leave `safe` out"
        )

    def _left(self, job: TaskJob) -> LeftFiles:
        """Return the files that a job has left there."""
        return FarFiles(job, self._connection, self.options.backend)

    def close(self) -> None:
        """Close the channel; what runs there runs on."""
        super().close()
        self._connection.close()
        self._hosts.close()
