"""What the work writes."""

from __future__ import annotations

from anyjob.specs import Call, Command, Spec
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import live, requires

TWO_LINES = "import sys\nprint('first')\nprint('second')\nprint('else', file=sys.stderr)\n"
BEGUN = "import time\nprint('begun', flush=True)\ntime.sleep({})\n"


class Logs:
    """What the work writes to stdout and stderr can be read."""

    @live
    @requires("logs")
    def test_what_the_work_wrote_can_be_read(self, harness: BackendHarness) -> None:
        """logs() gives what the work wrote, line by line, stdout and stderr apart, each time."""
        job = harness.run(_writing(harness, "echo first; echo second; echo else >&2", TWO_LINES))
        harness.wait(job)
        for _ in range(2):
            out, err = list(job.logs()), list(job.logs("stderr"))
            assert out == ["first\n", "second\n"], f"it wrote two lines to stdout, and logs() gave {out}"
            assert err == ["else\n"], f"it wrote one line to stderr, and logs('stderr') gave {err}"

    @requires("logs")
    def test_what_the_work_writes_can_be_read_while_it_runs(self, harness: BackendHarness) -> None:
        """logs() gives what the work has written so far."""
        harness.slow_work()  # skips where nothing runs after run()
        seconds = harness.slow_seconds
        job = harness.run(_writing(harness, f"echo begun; sleep {seconds}", BEGUN.format(seconds)))
        harness.wait_until(
            lambda: list(job.logs()) == ["begun\n"] or job.in_final_state(), "what the work has written"
        )
        assert harness.keeps_running(job), "what the work wrote could be read only when it had ended"

    @requires("logs")
    def test_logs_are_followed_to_the_end(self, harness: BackendHarness) -> None:
        """logs(follow=True) gives all that the work writes, until it has ended."""
        program = "echo first; sleep 0.2; echo second"
        job = harness.run(
            _writing(harness, program, "import time\nprint('first')\ntime.sleep(0.2)\nprint('second')")
        )
        lines = list(job.logs(follow=True))
        assert lines == ["first\n", "second\n"], f"it wrote two lines, and logs(follow=True) gave {lines}"
        assert job.in_final_state(), "logs(follow=True) came to an end before the job"


def _writing(harness: BackendHarness, script: str, code: str) -> Spec:
    """Return work that writes: a program where the backend runs these, else a call."""
    if "command" in harness.backend.accepts:
        return Command(["sh", "-c", script])
    harness.require_kind("python")
    return Call("builtins:exec", (code, {}))
