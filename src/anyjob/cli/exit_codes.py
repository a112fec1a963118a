"""What the exit codes of ``anyjob`` mean: one table, which the help and the documentation show too.

They follow env(1), timeout(1) and ``docker run``, so that the codes of a command are told apart from
failures of anyjob itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob.outcome import Outcome

OK = 0
FOUND = 1
WALLTIME = 124
FAILED = 125
SIGNALLED = 128
INTERRUPTED = 130
MEMORY = 137
BROKEN_PIPE = 141

TABLE = (
    ("0", "all went well"),
    (
        "1",
        "a job of several, or a Python job, is not DONE; `cancel` was refused; or a `check` found something "
        "wrong",
    ),
    ("124", "the job ran longer than its walltime; or `--timeout` was not long enough"),
    ("125", "anyjob itself failed: usage, configuration, plugin, backend; or the backend lost the job"),
    ("126", "the command cannot be started"),
    ("127", "the command is not there"),
    ("128 + n", "signal n ended the command; 137 also where it needed too much memory"),
    (
        "130",
        "cancelled: by Ctrl-C, or by somebody else (143 and 129: by a SIGTERM or SIGHUP to anyjob); or "
        "Ctrl-C ended `wait`, `result` or `logs -f`, and the job goes on",
    ),
    ("141", "whoever read the output has gone away; with `run`, the job was cancelled"),
    ("other", "of a command, by `run`, `wait` and `result`: its own exit code"),
)


def of(outcome: Outcome, *, command: bool, interrupted: int | None = None) -> int:
    """Return the exit code for what came of a job.

    Args:
        outcome: what came of it.
        command: whether it was a program, whose own code passes through.
        interrupted: the signal that had anyjob cancel it, if any.
    """
    state = outcome.status.name
    if state == "DONE":
        return OK
    if state == "CANCELLED":
        return INTERRUPTED if interrupted is None else SIGNALLED + interrupted
    if outcome.reason == "walltime":
        return WALLTIME
    if outcome.reason == "memory":
        return MEMORY
    if outcome.reason == "signal" and outcome.signal:
        return SIGNALLED + outcome.signal
    if command and outcome.exit_code:
        return outcome.exit_code & 0xFF or FAILED
    return FOUND if outcome.reason in ("exception", "exit-code") and not command else FAILED
