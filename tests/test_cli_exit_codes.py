"""The exit codes: the table, which help and documentation show, and what they are for."""

from __future__ import annotations

import pytest
from support.cli_program import invoke

from anyjob import JobStatus, Outcome
from anyjob.cli import exit_codes


def test_help_has_the_table() -> None:
    shown = " ".join(invoke("run", "--help").stdout.split())
    for code, text in exit_codes.TABLE:
        assert f"{code} {text}".replace("`", "") in shown


def test_codes_of_the_table_are_those_that_are_used() -> None:
    used = {
        exit_codes.OK,
        exit_codes.FOUND,
        exit_codes.WALLTIME,
        exit_codes.FAILED,
        exit_codes.INTERRUPTED,
        exit_codes.BROKEN_PIPE,
    }
    assert {str(code) for code in used} <= {code for code, _ in exit_codes.TABLE}


@pytest.mark.parametrize(
    ("outcome", "command", "code"),
    [
        (Outcome(status=JobStatus.DONE), True, 0),
        (Outcome(status=JobStatus.CANCELLED), True, 130),
        (Outcome(status=JobStatus.ERROR, reason="exit-code", exit_code=4), True, 4),
        (Outcome(status=JobStatus.ERROR, reason="exit-code", exit_code=256), True, 125),
        (Outcome(status=JobStatus.ERROR, reason="exit-code", exit_code=4), False, 1),
        (Outcome(status=JobStatus.ERROR, reason="exception"), False, 1),
        (Outcome(status=JobStatus.ERROR, reason="signal", signal=11), True, 139),
        (Outcome(status=JobStatus.ERROR, reason="memory", signal=9), True, 137),
        (Outcome(status=JobStatus.ERROR, reason="walltime", exit_code=143), True, 124),
        (Outcome(status=JobStatus.ERROR, reason="lost"), True, 125),
        (Outcome(status=JobStatus.ERROR, reason="missing-module"), False, 125),
    ],
)
def test_codes_of_outcomes(outcome: Outcome, command: bool, code: int) -> None:
    assert exit_codes.of(outcome, command=command) == code


def test_the_signal_that_cancelled_is_told() -> None:
    assert exit_codes.of(Outcome(status=JobStatus.CANCELLED), command=True, interrupted=15) == 143
