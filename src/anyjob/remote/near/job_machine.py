"""Which machine has the jobs of a backend: the name that leads to it may lead to another one tomorrow."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from anyjob.errors import BackendError, BackendUnavailableError
from anyjob.process.reporting import report
from anyjob.remote.messages import Hello
from anyjob.status import JOB_FINAL_STATES, JobStatus

if TYPE_CHECKING:
    from anyjob.remote.near.channel import Channel
    from anyjob.remote.near.connection import Connection

_KEPT = "machine"  # among what the ledger keeps of a backend beside its options
_OPEN = tuple(status for status in JobStatus if status not in JOB_FINAL_STATES)


class Known(NamedTuple):
    """A machine that has been given jobs.

    Args:
        identity: that of its state directory; empty for whichever is reached next.
        host: what it is called.
        state: where that directory is.
        machine: what tells it from all others, where it says so.
        since: in seconds since 1970: what it does not know of the jobs that are older, it, or another one,
            may have known and run.
        jobs: the highest number that a job had there when it was asked last.
    """

    identity: str
    host: str
    state: str
    machine: str
    since: float
    jobs: int = 0


class JobMachine:
    """Knows, by the ledger, which machine has the jobs of a backend, whoever has handed them over.

    It is written before the first job goes there, and becomes another one only while no job is open. So
    whoever finds a job in the ledger, and after that which machine it is, knows where the job may be.

    Args:
        backend: that backend.
        connection: to whatever its name leads to.
    """

    def __init__(self, backend: _Backend, connection: Connection) -> None:
        self._backend, self._connection = backend, connection

    def reached(self, channel: Channel, open_channel_to: Callable[[str], Channel], noted: int = 0) -> Channel:
        """Return a channel to the machine that has the jobs: this one, or another, if it leads elsewhere.

        Args:
            channel: just opened.
            open_channel_to: opens one to a host by what it calls itself.
            noted: what `last_noted` was before that was opened: another process may have noted more since.

        Raises:
            BackendUnavailableError: it leads elsewhere, and nothing leads there.
        """
        hello, known = channel.hello, self._known()
        if known is None:
            return channel
        if known.identity == hello.identity:
            self._look_whether_put_back(hello, noted)
            return channel
        if not known.identity:
            self._claim(hello, ())
            return channel
        if self._is_emptied(hello):
            return channel
        why = ""
        try:
            direct = open_channel_to(known.host)
        except BackendError as error:
            why = str(error)
        else:
            if direct.hello.identity == known.identity:
                channel.close()
                return direct
            why = f"what is called {known.host} is {_described(direct.hello)}"
            direct.close()
        if not self._has_open(()):
            return channel
        channel.close()
        raise self._elsewhere(known, hello, why)

    def claim(self, new: Collection[str]) -> None:
        """Have the machine that is connected be the one that has the jobs, before it is handed some.

        Args:
            new: those, which are in the ledger.

        Raises:
            BackendError: there is no connection, or others are on another machine.
        """
        try:
            self._claim(self._connection.hello(), new)
        except BackendUnavailableError:
            self._connection.close()  # the next channel is one to that machine, if any is
            self._claim(self._connection.hello(), new)

    def _claim(self, hello: Hello, new: Collection[str]) -> None:

        def write() -> Known | None:
            known = self._known()
            if known is None or not known.identity or not self._has_open(new):
                self._keep(hello, known.since if known is not None and not known.identity else 0.0)
                return None
            return known

        if not self._is(hello):
            known = self._backend.services.ledger.transaction(write)
            if known is not None and known.identity != hello.identity:
                raise self._elsewhere(known, hello)

    def require(self, hello: Hello) -> None:
        """See to it that what a machine does not know of jobs counts.

        Args:
            hello: what the one said of itself that was connected before it was asked. One that was since
                then, with the jobs in the ledger, is the one that has them.

        Raises:
            BackendUnavailableError: they are on another one.
        """
        known = self._known()
        if known is not None and known.identity not in ("", hello.identity):
            self._connection.close()
            raise self._elsewhere(known, hello)

    def since(self) -> float:
        """Return since when it has the jobs that it may know of, in seconds since 1970; 0: all of them."""
        known = self._known()
        return 0.0 if known is None else known.since

    def forget(self) -> None:
        """Take whichever is reached next for it: what that one does not know of is lost."""
        self._backend.services.ledger.transaction(lambda: self._keep(Hello(0), time.time()))
        self._connection.close()

    def noted(self, jobs: int) -> None:
        """Remember the highest number that a job has there, which is told with what is handed over."""

        def write() -> None:
            known = self._known()
            if known is not None and known.jobs < jobs:
                self._write(known._replace(jobs=jobs))

        self._backend.services.ledger.transaction(write)

    def last_noted(self) -> int:
        """Return the highest number that a job has there, as it was told last."""
        known = self._known()
        return 0 if known is None else known.jobs

    def _look_whether_put_back(self, hello: Hello, noted: int) -> None:
        """Take in that the ledger there knows less than it did: what is in it is that of an earlier time."""

        def write() -> bool:
            known = self._known()
            if known is None or known.identity != hello.identity or known.jobs < noted:
                return False  # another process has taken that in
            self._keep(hello, time.time())
            return True

        if hello.jobs < noted and self._backend.services.ledger.transaction(write):
            report(
                "%s: the state directory %s is that of an earlier time, put back from a copy: jobs that it "
                "does not know are lost, and do not run again by themselves; but what waited in it then may "
                "run now, though it has run since: see `anyjob jobs` there",
                hello.host,
                hello.state,
            )

    # --- what is told ------------------------------------------------------------------------------

    def _elsewhere(self, known: Known, hello: Hello, why: str = "") -> BackendUnavailableError:
        name = self._backend.name()
        return BackendUnavailableError(
            f"the open jobs of backend {name!r} are on {known.host}, in {known.state}, and the way there "
            f"leads to {_described(hello)}{why and f' ({why})'}: it is tried again; give hosts that share no "
            f"home a name each; where {known.host} is gone for good, `anyjob remote forget {name}` gives up "
            "what is there"
        )

    def _is_emptied(self, hello: Hello) -> bool:
        """Take in that there is a new state directory on the same machine; return whether there is."""

        def write() -> bool:
            known = self._known()
            if known is None or not hello.machine:
                return False
            if (known.machine, known.host, known.state) != (hello.machine, hello.host, hello.state):
                return False
            if known.identity != hello.identity:
                self._keep(hello, time.time())
            return True

        is_so: bool = self._backend.services.ledger.transaction(write)
        if is_so:
            report(
                "%s: the state directory %s was removed, or replaced: jobs that it does not know are lost",
                hello.host,
                hello.state,
            )
        return is_so

    # --- the ledger --------------------------------------------------------------------------------

    def _is(self, hello: Hello) -> bool:
        known = self._known()
        return known is not None and known.identity == hello.identity

    def _known(self) -> Known | None:
        number = self._number()
        kept = {} if number is None else self._backend.services.ledger.settings(number)
        return Known(**kept[_KEPT]) if _KEPT in kept else None

    def _number(self) -> int | None:
        """Return the number of the backend, which gets none by being asked about."""
        ledger = self._backend.services.ledger
        if not ledger.exists:
            return None
        fingerprint = self._backend.recorder.identity.fingerprint
        rows = ledger.backend_rows().items()
        return next((number for number, row in rows if row.fingerprint == fingerprint), None)

    def _has_open(self, but: Collection[str]) -> bool:
        number = self._number()
        if number is None:
            return False
        ledger = self._backend.services.ledger
        found = ledger.select(states=_OPEN, backends=[number], limit=len(but) + 1)
        return any(row.job_id not in but for row in found)

    def _keep(self, hello: Hello, since: float) -> None:
        self._write(Known(hello.identity, hello.host, hello.state, hello.machine, since, hello.jobs))

    def _write(self, kept: Known) -> None:
        ledger = self._backend.services.ledger
        ledger.set_options(self._backend.recorder.number, {_KEPT: kept._asdict()})


def _described(hello: Hello) -> str:
    return f"{hello.host}, whose state is in {hello.state}"


class _Backend(Protocol):
    """What is asked of a backend."""

    @property
    def services(self) -> Any:
        """Those of its session."""

    @property
    def recorder(self) -> Any:
        """Its part of the ledger."""

    def name(self) -> str:
        """Return what it is called."""
