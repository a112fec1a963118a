"""Backends that are wrong in how a job lives: each breaks one promise of the kit.

Those of `RightPlainBackend` are wrong by their jobs; those of `RightBackend` by one method, or by a
handle that lies.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from right_backend import RightBackend
from right_calls import RightCallsBackend
from right_plain import Circuit, RightJob, RightPlainBackend

from anyjob.backend import Capabilities
from anyjob.errors import JobRejectedError, JobTimeoutError, SerializationError, UnsupportedSpecError
from anyjob.job import JOB_FINAL_STATES, JobStatus
from anyjob.orders import Answer, Order, Rejected, Ticket
from anyjob.outcome import Outcome
from anyjob.references import _Lazy
from anyjob.specs import Call, Command
from anyjob.taskjob import TaskJob

ENGINE = str(Path(__file__).with_name("wrong_engine.py"))

# --- plain jobs that lie ----------------------------------------------------------------------


def of(job: type[RightJob]) -> type[RightPlainBackend]:
    """Make a backend of these jobs."""
    return type(job.__name__, (RightPlainBackend,), {"job_class": job})


class AnswersAtRandom(RightJob):
    def result(self) -> Any:
        self.wait_for_final_state(wait=0.01)
        return {"00": id(self)}


class SaysText(RightJob):
    def status(self) -> Any:
        return self.said.name


class GoesBack(RightJob):
    """It is queued again when it has run."""

    asked = 0

    def status(self) -> Any:
        self.asked += 1
        return {1: JobStatus.RUNNING, 2: JobStatus.QUEUED}.get(self.asked, super().status())


class ForgetsItsEnd(RightJob):
    """Its end is told three times, and then not known any more."""

    told = 0

    def status(self) -> Any:
        if self.said in JOB_FINAL_STATES:
            self.told += 1
        return JobStatus.INITIALIZING if self.told > 3 else self.said


class NeverRuns(RightJob):
    """It is queued until it has ended."""

    def __init__(self, backend: Any, circuit: Circuit) -> None:
        super().__init__(backend, Circuit(min(circuit.seconds, 0.2), circuit.answer))

    def status(self) -> Any:
        return JobStatus.QUEUED if self.said is JobStatus.RUNNING else self.said


class SilentAtTheEnd(RightJob):
    """Its callback is not told of the last query, as with the wait of old."""

    def wait_for_final_state(self, timeout: Any = None, wait: float = 5, callback: Any = None) -> None:
        def before_the_end(job_id: str, status: JobStatus, job: Any) -> None:
            if status not in JOB_FINAL_STATES:
                callback(job_id, status, job)

        super().wait_for_final_state(timeout, wait, callback and before_the_end)


class AsksTwice(RightJob):
    def wait_for_final_state(self, timeout: Any = None, wait: float = 5, callback: Any = None) -> None:
        super().wait_for_final_state(timeout, wait, callback)
        super().wait_for_final_state(timeout, wait, callback)


class IgnoresTheCallback(RightJob):
    """What its callback raises is lost."""

    def wait_for_final_state(self, timeout: Any = None, wait: float = 5, callback: Any = None) -> None:
        def quietly(*said: Any) -> None:
            with suppress(Exception):
                callback(*said)

        super().wait_for_final_state(timeout, wait, callback and quietly)


class HasItsOwnTimeout(RightJob):
    def wait_for_final_state(self, timeout: Any = None, wait: float = 5, callback: Any = None) -> None:
        try:
            super().wait_for_final_state(timeout, wait, callback)
        except JobTimeoutError as error:
            raise TimeoutError("the circuit takes too long") from error


class DoesNotAskAtOnce(RightJob):
    """With no time to wait, it does not even ask."""

    def wait_for_final_state(self, timeout: Any = None, wait: float = 5, callback: Any = None) -> None:
        if timeout == 0:
            raise JobTimeoutError("no time at all")
        super().wait_for_final_state(timeout, wait, callback)


class TellsItsEndAtOnce(RightJob):
    def _on_final(self, callback: Callable[[JobStatus | BaseException], None]) -> Callable[[], None]:
        callback(JobStatus.DONE)
        return lambda: None


class AwaitsNothing(RightJob):
    def __await__(self) -> Generator[Any, None, Any]:
        yield from super().__await__()
        return None


class BlocksTheLoop(RightJob):
    def __await__(self) -> Generator[Any, None, Any]:
        self.cancel_asked.wait(1)
        self.cancel()
        return self.result() if self.circuit.seconds == 0 else None
        yield


class DiesWithItsAwait(RightJob):
    def __await__(self) -> Generator[Any, None, Any]:
        try:
            return (yield from super().__await__())
        except asyncio.CancelledError:
            self.cancel()
            raise


class DeniesCancels(RightJob):
    def cancel(self) -> Any:
        super().cancel()
        return False


class CancelsInVain(RightJob):
    """Its cancel is accepted, and it comes to its end all the same."""

    def work(self) -> None:
        self.said = JobStatus.RUNNING
        self.cancel_asked.wait(self.circuit.seconds)
        self.said = JobStatus.DONE

    def cancel(self) -> Any:
        self.cancel_asked.set()
        return True


class FailsInSilence(RightJob):
    def result(self) -> Any:
        self.wait_for_final_state(wait=0.01)
        return self.circuit.answer


class OneIdForAll(RightPlainBackend):
    def enter(self, job: RightJob) -> str:
        super().enter(job)
        return "circuit"


class FindsAnything(RightPlainBackend):
    def retrieve_job(self, job_id: str) -> RightJob:
        return self.known.get(job_id) or next(iter(self.known.values()))


# --- outcomes that are wrong ------------------------------------------------------------------


class Retold(RightBackend):
    """Says something else of what came of its jobs."""

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        return {job_id: self.retell(outcome) for job_id, outcome in super().collect(tickets).items()}

    def retell(self, outcome: Outcome) -> Outcome:
        return msgspec.structs.replace(outcome, **self.lies(outcome))

    def lies(self, outcome: Outcome) -> dict[str, Any]:
        raise NotImplementedError


class ClockAhead(Retold):
    def lies(self, outcome: Outcome) -> dict[str, Any]:
        return {"finished": (outcome.finished or 0.0) + 3600}


class GivesNoReason(Retold):
    def lies(self, outcome: Outcome) -> dict[str, Any]:
        return {"reason": None}


class Wordless(Retold):
    def lies(self, outcome: Outcome) -> dict[str, Any]:
        return {"message": ""}


class CodesOfAShell(Retold):
    """What a signal ended has exit code 128 and the signal's number, as a shell says."""

    def lies(self, outcome: Outcome) -> dict[str, Any]:
        if outcome.signal is None:
            return {}
        return {"reason": "exit-code", "exit_code": 128 + outcome.signal, "signal": None}


class LosesExceptions(Retold):
    def lies(self, outcome: Outcome) -> dict[str, Any]:
        return {"exception": None}


class LosesTracebacks(Retold):
    def lies(self, outcome: Outcome) -> dict[str, Any]:
        return {"traceback": ""}


class Miscounts(Retold):
    def lies(self, outcome: Outcome) -> dict[str, Any]:
        return {"attempt": outcome.attempt + 1}


# --- engines that do something else ------------------------------------------------------------


class IgnoresWalltimes(RightBackend):
    capabilities = Capabilities(durable=True, shared_files=True, cancel_running=False)

    def engine_order(self, order: Order) -> dict[str, Any]:
        return {**super().engine_order(order), "walltime": None}


class CannotCancelQueued(RightBackend):
    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        seen = self.observe(tickets)
        running = [t for t in tickets if seen[t.job_id].status is JobStatus.RUNNING]
        return {**{ticket.job_id: False for ticket in tickets}, **super().terminate(running)}


class CancelsOneByOne(RightBackend):
    def cancel_many(self, jobs: Any, *, downstream: bool = True) -> list[bool]:
        return [super(CancelsOneByOne, self).cancel_many([job])[0] for job in jobs]


class EndsTheLeaderAlone(RightBackend):
    program = (ENGINE, "leader")


class KillsAtOnce(RightBackend):
    program = (ENGINE, "kill")


class ClosesTheQueue(RightBackend):
    """When one order is rejected, so are all after it."""

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        closed = False
        for order, answer in super().launch(orders):
            closed = closed or isinstance(answer, Rejected)
            yield order, Rejected("closed") if closed else answer


class IgnoresOutputFiles(RightBackend):
    capabilities = Capabilities(durable=True, shared_files=True, find=True, logs=True, output_files=True)


class IgnoresTheDirectoryOfCalls(RightCallsBackend):
    capabilities = Capabilities(
        shared_files=True, cancel_running=False, walltime=False, call_environment=True
    )


class IgnoresTasks(RightBackend):
    capabilities = Capabilities(durable=True, shared_files=True, find=True, logs=True, tasks=True)


class IgnoresTasksOfCalls(RightCallsBackend):
    capabilities = Capabilities(shared_files=True, cancel_running=False, walltime=False, tasks=True)


class LeavesReferences(RightCallsBackend):
    holds_results = True


class MakesCallsAnyway(RightCallsBackend):
    def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob:
        for argument in getattr(spec, "args", ()):
            if isinstance(argument, list) and argument and isinstance(argument[0], TaskJob):
                return super().run(Call("builtins:list"), **resources)
        return super().run(spec, **resources)


class MakesCallsThatWouldReadLater(RightCallsBackend):
    """What is lazy is no concern of its, before it is asked for."""

    def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob:
        if any(isinstance(argument, _Lazy) for argument in getattr(spec, "args", ())[:1]):
            return super().run(Call("builtins:bool"), **resources)
        return super().run(spec, **resources)


class LaunchesFromOneThread(RightCallsBackend):
    """Nobody but the thread that has made it can hand anything to its engine; it rejects all else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = threading.get_ident()

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        if threading.get_ident() == self.owner:
            yield from super().launch(orders)
        else:
            yield from ((order, Rejected("called by another thread")) for order in orders)


class DoesNothingTwice(RightCallsBackend):
    """What it was handed once it takes for the same work when it comes again."""

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order in orders:
            known = f"{order.spec}"
            if known in self.outcomes:
                yield order, Rejected("there already")
                continue
            ((_, native_id),) = super().launch([order])
            self.outcomes[known] = None
            yield order, native_id


class HandsOverReferences(RightCallsBackend):
    """It says that it gives results to calls by itself, and does not."""

    def keep_results(self, tickets: Sequence[Ticket]) -> Mapping[str, Any]:
        return {ticket.job_id: None for ticket in tickets}


class LosesStderr(RightBackend):
    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        return b"" if stream == "stderr" else super().logs(ticket, stream, offset)


class KeepsLogsToTheEnd(RightBackend):
    capabilities = Capabilities(durable=True, shared_files=True, logs=True, cancel_running=False)

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        return b"" if self.outcome(ticket) is None else super().logs(ticket, stream, offset)


class KeepsTheFirstLine(RightBackend):
    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        line, end, _ = super().logs(ticket, stream, 0).partition(b"\n")
        return (line + end)[offset:]


# --- a run that is wrong -----------------------------------------------------------------------


class NamesNoArgument(RightBackend):
    def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob:
        try:
            return super().run(spec, **resources)
        except SerializationError as error:
            raise TypeError("cannot pickle it") from error


class TakesAnything(RightBackend):
    def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob:
        try:
            return super().run(spec, **resources)
        except UnsupportedSpecError:
            return super().run(Command(["true"]), **resources)


class RejectsInSilence(RightBackend):
    def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob:
        try:
            return super().run(spec, **resources)
        except JobRejectedError:
            return self.jobs()[-1] if self.jobs() else super().run(spec, **resources)


class ForgetsTags(RightBackend):
    def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob:
        resources.pop("tags", None)
        return super().run(spec, **resources)


# --- handles that lie --------------------------------------------------------------------------


def handing(handle: type[Any]) -> type[RightBackend]:
    """Make a backend whose ``run`` gives handles of this class mixed into the right one."""

    class Handing(RightBackend):
        def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob:
            job = super().run(spec, **resources)
            job.__class__ = type(handle.__name__, (handle, type(job)), {})
            return job

    Handing.__name__ = Handing.__qualname__ = handle.__name__
    return Handing


class AnotherResultEachTime(TaskJob):
    numbers = itertools.count()

    def result(self, timeout: float | None = None) -> Any:
        return next(self.numbers)


class OneResultForAll(TaskJob):
    known: Any = None

    def result(self, timeout: float | None = None) -> Any:
        if self.known is None:
            self.known = super().result(timeout)
        return self.known


class NothingOfCancelled(TaskJob):
    def result(self, timeout: float | None = None) -> Any:
        return super().result(timeout) if self.outcome().status is not JobStatus.CANCELLED else None


class KnowsOfNoFailureYet(TaskJob):
    def exception(self, timeout: float | None = None) -> BaseException | None:
        return None if self.status() not in JOB_FINAL_STATES else super().exception(timeout)


class PicklesItsId(TaskJob):
    def __reduce__(self) -> Any:
        return str, (self.job_id(),)


class EqualsItselfOnly(TaskJob):
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class ShowsLoweredWork(TaskJob):
    def spec(self) -> Any:
        return self._record.specs[-1]


class HasNoNativeId(TaskJob):
    def native_id(self) -> str | None:
        return None


FAILURES: list[tuple[type[Any], str, str]] = [
    (
        of(AnswersAtRandom),
        "test_work_that_succeeds_is_done_and_gives_its_result",
        "the result is .*, not {'00': 512}",
    ),
    (of(SaysText), "test_a_status_is_a_status_and_only_goes_forward", "'DONE', which is no JobStatus"),
    (of(GoesBack), "test_a_status_is_a_status_and_only_goes_forward", "went back: .*RUNNING, QUEUED, DONE"),
    (
        of(ForgetsItsEnd),
        "test_what_has_ended_stays_as_it_ended",
        "had ended as DONE, and now is .*INITIALIZING",
    ),
    (of(NeverRuns), "test_slow_work_is_seen_to_run", "never seen as RUNNING, but as .*QUEUED, DONE"),
    (ClockAhead, "test_the_times_make_sense", "which is yet to come"),
    (
        handing(AnotherResultEachTime),
        "test_each_result_is_the_same_and_a_copy_of_its_own",
        r"gave \d+, and then \d+",
    ),
    (
        handing(OneResultForAll),
        "test_a_result_that_was_changed_does_not_change_the_next",
        r"the next one is \[1, 2, 3\]",
    ),
    (
        of(SilentAtTheEnd),
        "test_the_callback_is_told_after_each_query",
        "never called|the last that the callback was told",
    ),
    (of(AsksTwice), "test_a_job_that_has_ended_is_asked_once", "asked 2 times"),
    (of(HasItsOwnTimeout), "test_a_deadline_is_kept", "is no JobTimeoutError"),
    (of(DoesNotAskAtOnce), "test_a_timeout_of_0_asks_once", "called 0 times, not once"),
    (
        of(TellsItsEndAtOnce),
        "test_wait_tells_what_has_ended_from_what_has_not",
        "those have ended: .*circuit-2",
    ),
    (of(TellsItsEndAtOnce), "test_as_completed_gives_jobs_as_they_end", "these ended first: .*circuit-3"),
    (of(AwaitsNothing), "test_await_gives_the_result", "the result is None, not"),
    (of(BlocksTheLoop), "test_an_await_does_not_block_the_loop", "nothing else went on"),
    (of(DiesWithItsAwait), "test_a_cancelled_await_leaves_the_job", "and with it the job: CANCELLED"),
    (
        handing(KnowsOfNoFailureYet),
        "test_a_result_is_waited_for_no_longer_than_asked",
        r"exception\(0.2\) of a job that runs gave None",
    ),
    (of(DeniesCancels), "test_work_that_runs_is_cancelled", "gave False, not True"),
    (of(CancelsInVain), "test_work_that_runs_is_cancelled", "ended as .*DONE"),
    (of(CancelsInVain), "test_what_has_ended_is_not_cancelled", "DONE gave True, not False"),
    (handing(NothingOfCancelled), "test_a_cancelled_job_has_no_result", "returned None"),
    (CannotCancelQueued, "test_what_waits_in_the_queue_is_cancelled", "queued gave False, not True"),
    (CancelsOneByOne, "test_many_are_cancelled_by_one_call", "called 3 times, not once"),
    (EndsTheLeaderAlone, "test_the_process_tree_is_gone", "the end of process .*: not within"),
    (
        KillsAtOnce,
        "test_a_program_is_asked_to_end_before_it_is_killed",
        "clean-up of a program on SIGTERM: not",
    ),
    (of(FailsInSilence), "test_work_that_fails_is_an_error", "returned None"),
    (GivesNoReason, "test_a_failure_has_its_reason", "is None, not 'exit-code'"),
    (
        LosesStderr,
        "test_a_failed_program_says_its_exit_code_and_its_last_words",
        "the end of its stderr is ''",
    ),
    (Wordless, "test_a_program_that_is_not_there_is_named", "does not name the program"),
    (CodesOfAShell, "test_a_program_that_a_signal_ends_says_so", "is 'exit-code', not 'signal'"),
    (IgnoresWalltimes, "test_what_runs_too_long_is_ended", "ended as .*DONE"),
    (LosesExceptions, "test_an_exception_comes_back_with_the_remote_traceback", "1/0 raised RemoteError"),
    (LosesTracebacks, "test_an_exception_that_cannot_be_pickled_is_told", "the remote traceback is"),
    (Wordless, "test_a_result_that_cannot_be_pickled_is_told", "does not say what cannot be pickled"),
    (NamesNoArgument, "test_an_argument_that_cannot_be_pickled_is_refused", "raised TypeError"),
    (GivesNoReason, "test_a_missing_module_is_named", "is None, not 'missing-module'"),
    (TakesAnything, "test_a_kind_that_it_cannot_run_is_refused", "was taken as"),
    (RejectsInSilence, "test_a_rejected_job_is_raised_by_run", "was handed over as"),
    (ClosesTheQueue, "test_a_rejected_one_of_many_comes_back_as_an_error", "and 3 have failed"),
    (OneIdForAll, "test_a_job_knows_its_id_and_its_backend", "two jobs have one id"),
    (FindsAnything, "test_a_job_is_found_again_by_its_id", "that there is not, it gave"),
    (handing(PicklesItsId), "test_a_handle_survives_pickling", "unpickled, .* is '"),
    (handing(EqualsItselfOnly), "test_handles_compare_by_id", "are not equal"),
    (handing(ShowsLoweredWork), "test_the_work_comes_back", r"handed Call.*spec\(\) is Command"),
    (ForgetsTags, "test_a_job_tells_what_it_is_called", "is {}, not {'study'"),
    (Miscounts, "test_an_outcome_tells_how_it_went", "it is attempt 2"),
    (handing(HasNoNativeId), "test_a_job_is_found_by_the_id_of_the_engine", "is None, no text"),
    (IgnoresOutputFiles, "test_a_program_writes_to_the_files_that_it_names", r"are the lines \["),
    (
        IgnoresTheDirectoryOfCalls,
        "test_a_call_is_made_in_the_environment_that_it_asks_for",
        "that was to be made in",
    ),
    (IgnoresTasks, "test_each_task_of_a_program_knows_its_rank", r"two tasks wrote \[' of '\]"),
    (
        LeavesReferences,
        "test_a_job_in_the_arguments_of_a_call_stands_for_its_result",
        r"was to get the result of another job, \(3, 2\), and got .*result of",
    ),
    (
        MakesCallsAnyway,
        "test_a_call_is_not_made_whose_arguments_did_not_come_about",
        "raises None, not a DependencyFailedError",
    ),
    (
        MakesCallsThatWouldReadLater,
        "test_a_call_is_not_made_whose_lazy_arguments_did_not_come_about",
        "DONE with the reason None, not 'dependency'",
    ),
    (
        MakesCallsThatWouldReadLater,
        "test_a_call_reads_a_lazy_argument_when_it_asks_for_it",
        "that failed to come has ended as DONE with the reason None",
    ),
    (
        LaunchesFromOneThread,
        "test_work_starts_after_what_it_is_to_start_after",
        "work that is to start after other work.*by another thread",
    ),
    (HandsOverReferences, "test_a_call_is_given_what_another_returns", "calls that take .* gave .*result of"),
    (DoesNothingTwice, "test_work_that_fails_is_run_again", "had the attempts .*rejected"),
    (IgnoresTasksOfCalls, "test_a_call_of_several_tasks_returns_their_list", "two tasks is None"),
    (IgnoresTasks, "test_one_task_that_fails_ends_the_job", "the job is .*DONE"),
    (LosesStderr, "test_what_the_work_wrote_can_be_read", r"logs\('stderr'\) gave \[\]"),
    (
        KeepsLogsToTheEnd,
        "test_what_the_work_writes_can_be_read_while_it_runs",
        "only when it had ended",
    ),
    (KeepsTheFirstLine, "test_logs_are_followed_to_the_end", r"gave \['first\\n'\]"),
    (of(IgnoresTheCallback), "test_what_the_callback_raises_passes_through", "did not pass through"),
]
"""Each with the check that it is to fail, and what that then says."""

WRONG: list[tuple[type[Any], str]] = [(backend, check) for backend, check, _ in FAILURES]

NEVER = {EndsTheLeaderAlone: "the end of process", KillsAtOnce: "the clean-up of a program"}
"""What the kit then waits for in vain."""
