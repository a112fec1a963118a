"""Work that starts after other work, and work that is run again: the core has it so, on every engine."""

from __future__ import annotations

from operator import methodcaller
from unittest import SkipTest

import msgspec

from anyjob.config.options import secret_fields
from anyjob.job import JobStatus
from anyjob.references import lazy
from anyjob.specs import Call, Command
from anyjob.testing.harness.backend import BackendHarness


class Sequences:
    """What follows from the end of a job: what waits for it starts, or it is run again. For task backends."""

    def test_work_starts_after_what_it_is_to_start_after(self, harness: BackendHarness) -> None:
        """A job with after= starts when the other has succeeded; one that needs its failure never does."""
        _require_a_releaser(harness)
        sample = next(harness.samples_with("slow"))
        assert sample.slow is not None
        first = harness.run(sample.slow(1.0))
        behind = harness.run(sample.succeeds, after=first)
        never = harness.run(sample.succeeds, after_failure=first)
        harness.assert_done(behind, "work that is to start after other work")
        assert first.in_final_state(), "work was done before that which it was to start after had ended"
        ended, started = first.outcome().finished, behind.outcome().started
        assert ended is None or started is None or started > ended - 1.0, (  # two machines have two clocks
            f"work began {ended - started:.1f} s before that which it was to start after had ended"
        )
        reason = harness.outcome(never).reason
        assert reason == "dependency", f"what was to start after a failure has the reason {reason!r}"

    def test_a_call_is_given_what_another_returns(self, harness: BackendHarness) -> None:
        """A job in the arguments of a call is its result there; where it fails, that call is not made."""
        if "python" not in getattr(harness.backend, "accepts", ()):
            raise SkipTest("it runs no calls by itself")
        _require_a_releaser(harness)
        first = harness.run(Call("time:sleep", (1.0,)))
        behind = harness.run(Call("builtins:repr", (first,)))
        last = harness.run(Call("builtins:len", ([first, behind],)))
        harness.assert_done(last, "a call that takes what others return")
        found = behind.result(), last.result()
        assert found == ("None", 2), f"calls that take what others return gave {found!r}, not ('None', 2)"
        fails = harness.run(Call("builtins:int", ("none",)))
        never = harness.run(Call("builtins:repr", (fails,)))
        reason = harness.outcome(never).reason
        assert reason == "dependency", f"a call that takes what failed to come has the reason {reason!r}"

    def test_a_call_reads_a_lazy_argument_when_it_asks_for_it(self, harness: BackendHarness) -> None:
        """A call gets an object that reads the result when asked; where it fails, that call is not made."""
        if "python" not in getattr(harness.backend, "accepts", ()):
            raise SkipTest("it runs no calls by itself")
        _require_a_releaser(harness)
        first = harness.run(Call("time:sleep", (1.0,)))
        read = harness.run(Call("operator:call", (methodcaller("load"), lazy(first))))
        fails = harness.run(Call("builtins:int", (first,)))  # later than what needs it is handed over
        never = harness.run(Call("builtins:bool", (lazy(fails),)))
        harness.assert_done(read, "a call that reads what another returns")
        assert read.result() is None, f"a lazy argument was read as {read.result()!r}, not None"
        outcome = harness.outcome(never)
        assert outcome.reason == "dependency", (
            f"a call with a lazy argument that failed to come has ended as {outcome.status.name} with the "
            f"reason {outcome.reason!r}"
        )

    def test_work_that_fails_is_run_again(self, harness: BackendHarness) -> None:
        """A job with retries= is handed over anew when it fails, under its id, and each attempt is kept."""
        _require_a_releaser(harness)
        takes_programs = "command" in getattr(harness.backend, "accepts", ())
        if takes_programs:  # one finds the number of its attempt, and succeeds in the second
            work = Command(["sh", "-c", 'echo "$ANYJOB_ATTEMPT"; test "$ANYJOB_ATTEMPT" = 2'])
            expected = [(1, JobStatus.ERROR, "exit-code"), (2, JobStatus.DONE, None)]
        else:
            sample = next(harness.samples_with("fails"))
            work = sample.fails
            expected = [(1, JobStatus.ERROR, sample.reason), (2, JobStatus.ERROR, sample.reason)]
        job = harness.run(work, retries=1)
        outcome = harness.outcome(job)
        found = [(each.number, each.status, each.reason) for each in job.attempts()]
        assert found == expected, f"work with retries=1 that fails at first had the attempts {found}"
        assert outcome.attempt == 2, f"what came of the second attempt says that it was {outcome.attempt}"
        if takes_programs and harness.backend.capabilities.logs:
            wrote = "".join(job.logs())
            assert wrote == "2\n", f"the second attempt wrote '2', and its log is {wrote!r}"


def _require_a_releaser(harness: BackendHarness) -> None:
    """Skip the check where another process, which hands over later, would not know the type of a test."""
    backend, factory = harness.backend, harness.factory
    is_later = backend.capabilities.durable and not backend.queues_in_ledger
    given = backend.options
    secrets = secret_fields(type(given)) if isinstance(given, msgspec.Struct) else ()  # are not written down
    if is_later and (factory is None or not factory.is_installed or factory.accounts or secrets):
        raise SkipTest("the process that hands jobs over later would not know what is configured here alone")
