"""A name that leads to one machine today and to another tomorrow: where the jobs are, and who is asked."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.gated_calls import gate_in, opened
from support.piped_machines import SERVE, PipeBackend
from support.waiting import wait_until

import anyjob
from anyjob import BackendUnavailableError, Command, JobStatus
from anyjob.orders import Answer, Order, Ticket, Unsure
from anyjob.testing.environment.leftover_processes import end_leftovers

ELSEWHERE = r"open jobs of backend '\S+' are on login1, in \S+/login1, .* leads to login2, .*/login2.*"


class Name:
    """A name that stands for several machines, and leads to one of them.

    Args:
        directory: below which each has its state.
    """

    def __init__(self, session: anyjob.Session, directory: Path) -> None:
        session.registry.register_backend("pipe", PipeBackend)
        self._session, self._directory = session, directory
        self._leads = directory / "leads"
        self.to("login1")

    def to(self, host: str) -> None:
        """Have it lead there, for whoever connects from now on."""
        self._leads.write_text(host)

    def state(self, host: str) -> Path:
        """Return the state directory of one."""
        return self._directory / host

    def backend(self, session: anyjob.Session | None = None, **options: Any) -> PipeBackend:
        """Return a backend of this name, that takes what is not known for lost at once."""
        script = 'H=$(cat "$0/leads"); ANYJOB_HOST=$H ANYJOB_STATE="$0/$H" exec "$@"'
        argv = ("sh", "-c", script, str(self._directory), *SERVE)
        state = str(self.state("login1"))
        made: Any = (session or self._session).get_backend("pipe", state=state, argv=argv, **options)
        made.grace, made.floor = 0.0, 0.001
        return made  # type: ignore[no-any-return]


@pytest.fixture
def name(anyjob_session: anyjob.Session, anyjob_environment: Path) -> Name:
    return Name(anyjob_session, anyjob_environment)


def marking(ran: Path) -> Command:
    return Command(["sh", "-c", 'echo . >> "$0"', str(ran)])


def handed_over_unheard(backend: PipeBackend, ran: Path) -> Any:
    """Have a machine run a job, and its answer to that be lost on the way."""
    launch = PipeBackend.launch

    def unheard(backend: PipeBackend, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order, _ in launch(backend, orders):
            yield order, Unsure()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PipeBackend, "launch", unheard)
        job = backend.run(marking(ran))
        wait_until(ran.exists)
    return job


def test_another_machine_that_answers_loses_no_job_and_gets_none(name: Name, tmp_path: Path) -> None:
    backend = name.backend()
    with gate_in(tmp_path) as gate:
        job = backend.run(Command(["sh", "-c", "echo begun; cat $0", str(gate)]))
        next(job.logs(follow=True))
        name.to("login2")
        backend._connection.close()
        for ask in (backend.hello, job.status, job.cancel, lambda: backend.run(Command(["true"]))):
            with pytest.raises(BackendUnavailableError, match=ELSEWHERE):
                ask()
        name.to("login1")
        opened(gate)
    assert job.outcome(60).status is JobStatus.DONE


@pytest.mark.parametrize(
    "asks",
    [
        lambda backend, ticket: backend.observe([ticket]),
        lambda backend, ticket: backend.find([ticket.job_id]),
        lambda backend, ticket: backend.terminate([ticket]),
    ],
)
def test_a_channel_to_another_machine_from_before_loses_no_job_either(
    asks: Callable[[PipeBackend, Ticket], object], name: Name, tmp_path: Path, anyjob_session: anyjob.Session
) -> None:
    """Of two programs one was connected elsewhere when nothing was open yet."""
    other = anyjob.Session(
        config=anyjob.Config.from_dict({}, origin="a test"),
        registry=anyjob_session.registry,
        state=anyjob_session.ledger.state,
    )
    first, second = name.backend(), name.backend(other)
    first.run(Command(["true"])).outcome(60)
    name.to("login2")
    assert second.hello().host == "login2"
    name.to("login1")
    job = first.run(marking(tmp_path / "ran"))
    ticket = job._record.ticket()
    with pytest.raises(BackendUnavailableError, match="are on login1"):
        asks(second, ticket)
    assert asks(second, ticket)
    assert job.outcome(60).status is JobStatus.DONE
    other.close()


@pytest.mark.parametrize("told_late", [False, True])
def test_what_was_handed_over_unheard_is_not_handed_to_another_machine(
    name: Name, tmp_path: Path, told_late: bool
) -> None:
    """Nor to what has come in its place: there nothing tells whether it has run."""
    ran, backend = tmp_path / "ran", name.backend()
    job = handed_over_unheard(backend, ran)
    name.to("login2")
    backend._connection.close()
    with pytest.raises(BackendUnavailableError, match=ELSEWHERE):
        job.status()
    if told_late:
        backend.forget_machine()
        ended = job.outcome(60)
        assert (ended.status, ended.reason) == (JobStatus.ERROR, "lost")
        assert backend.run(marking(tmp_path / "other")).outcome(60).status is JobStatus.DONE
    else:
        name.to("login1")
        assert job.outcome(60).status is JobStatus.DONE
    assert ran.read_text() == ".\n"


def test_the_machine_that_has_the_jobs_is_asked_by_its_own_name(name: Name, tmp_path: Path) -> None:
    backend = name.backend(ways={"login1": ("login1",)})
    job = backend.run(Command(["echo", "on"]))
    assert job.result(60).exit_code == 0
    name.to("login2")
    backend._connection.close()
    assert b"".join(part.encode() for part in job.logs()) == b"on\n"
    assert backend.run(Command(["true"])).result(60).exit_code == 0
    assert backend.hello().host == "login1"


def test_a_machine_without_open_jobs_is_left_for_another(name: Name) -> None:
    """One that was made anew under its name."""
    backend = name.backend()
    before = backend.run(Command(["true"]))
    before.result(60)
    name.to("login2")
    backend._connection.close()
    assert backend.run(Command(["true"])).result(60).exit_code == 0
    assert backend.hello().host == "login2"
    with pytest.raises(anyjob.errors.JobNotFoundError, match=r"not known on login2, in .*/login2"):
        list(before.logs())


def test_what_a_state_directory_had_that_was_removed_is_lost_and_does_not_run_again(
    name: Name, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ran, backend = tmp_path / "ran", name.backend()
    job = handed_over_unheard(backend, ran)
    backend._connection.close()
    name.state("login1").rename(tmp_path / "removed")
    ended = job.outcome(60)
    assert (ended.status, ended.reason) == (JobStatus.ERROR, "lost")
    assert "the state directory" in caplog.text
    assert backend.run(marking(tmp_path / "other")).outcome(60).status is JobStatus.DONE
    assert ran.read_text() == ".\n"


def test_a_ledger_that_was_put_back_from_a_copy_has_nothing_run_again_that_it_does_not_know(
    name: Name, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is of yesterday, and of today's jobs one was run whose answer was lost."""
    ran, backend, state, copy = tmp_path / "ran", name.backend(), name.state("login1"), tmp_path / "copy"
    backend.run(Command(["true"])).result(60)
    with closing(sqlite3.connect(state / "ledger.sqlite")) as db, closing(sqlite3.connect(copy)) as to:
        db.backup(to)
    backend.run(Command(["true"])).result(60)
    job = handed_over_unheard(backend, ran)
    backend._connection.close()
    end_leftovers(state)
    for path in state.glob("ledger.sqlite*"):
        path.unlink()
    shutil.copy(copy, state / "ledger.sqlite")
    ended = job.outcome(60)
    assert (ended.status, ended.reason) == (JobStatus.ERROR, "lost")
    assert "is that of an earlier time" in caplog.text
    assert backend.run(marking(tmp_path / "other")).outcome(60).status is JobStatus.DONE
    assert ran.read_text() == ".\n"


def test_what_another_program_hands_over_meanwhile_makes_no_ledger_older(
    name: Name, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has noted more by the time that this one looks than the other side had when it was connected."""
    backend = name.backend()
    backend.run(Command(["true"])).result(60)
    opened_by = PipeBackend._carried_by

    def noted_meanwhile(backend: PipeBackend, *arguments: Any) -> Any:
        channel = opened_by(backend, *arguments)
        backend._machine.noted(1000)
        return channel

    monkeypatch.setattr(PipeBackend, "_carried_by", noted_meanwhile)
    backend._connection.close()
    backend.hello()
    assert backend._machine.since() == 0
    assert "earlier time" not in caplog.text
