"""A job may be several processes, of which each knows its rank, and which end together."""

from __future__ import annotations

from anyjob.job import JobStatus
from anyjob.specs import Call, Command
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import requires


class Tasks:
    """The tasks of a job. For task backends."""

    @requires("tasks")
    def test_each_task_of_a_program_knows_its_rank(self, harness: BackendHarness) -> None:
        """A program is started as often as there are tasks, and each process knows which it is."""
        harness.require_native_kind("command")
        script = 'echo "$ANYJOB_RANK of $ANYJOB_TASKS"'
        job = harness.run(Command(["sh", "-c", script]), tasks=2)
        harness.assert_done(job, "a program of two tasks")
        lines = sorted(job.result().stdout.text().splitlines())
        assert lines == ["0 of 2", "1 of 2"], f"two tasks wrote {lines}"

    @requires("tasks")
    def test_a_call_of_several_tasks_returns_their_list(self, harness: BackendHarness) -> None:
        """The result of a call with tasks is the list of what each has returned, by rank."""
        harness.require_native_kind("python")
        job = harness.run(Call("os:getenv", ("ANYJOB_RANK",)), tasks=2)
        harness.assert_done(job, "a call of two tasks")
        assert job.result() == ["0", "1"], f"the result of two tasks is {job.result()!r}"

    @requires("tasks")
    def test_one_task_that_fails_ends_the_job(self, harness: BackendHarness) -> None:
        """Where one task fails, the others are ended, and the job has failed with its exit code."""
        harness.require_native_kind("command")
        script = 'case "$ANYJOB_RANK" in 0) sleep 1000;; 1) exit 3;; esac'
        outcome = harness.outcome(harness.run(Command(["sh", "-c", script]), tasks=2))
        found = outcome.status, outcome.exit_code
        assert found == (JobStatus.ERROR, 3), (
            f"of two tasks one has failed by exit code 3, the job is {found}"
        )
