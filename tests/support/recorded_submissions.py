"""What a scheduler's program has answered to submissions, and what a backend makes of each answer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from anyjob import BackendUnavailableError, Command, JobRejectedError

_ANSWER = re.compile(r"=== (\w+): exit (\d+), (\w+): (.*)\n((?:(?!===).*\n)+)")


class RecordedAnswer(NamedTuple):
    """What the program printed and ended with, and how that is to be taken.

    Args:
        name: of the recording.
        code: what the program ended with.
        kind: ``rejected``, ``away`` where nothing was done, ``unsure`` where it may have been.
        words: those of the scheduler, without how its program is used.
        text: all that it printed.
    """

    name: str
    code: int
    kind: str
    words: str
    text: str


def recorded_answers(path: Path) -> list[RecordedAnswer]:
    """Read a file of answers, each after a line ``=== NAME: exit CODE, KIND: WORDS``."""
    text = path.read_text(encoding="utf-8")
    found = [
        RecordedAnswer(match[1], int(match[2]), match[3], match[4], match[5])
        for match in _ANSWER.finditer(text)
    ]
    assert len(found) == text.count("=== ") > 0
    return found


def answering(directory: Path, answer: RecordedAnswer, submits: str, others: Sequence[str]) -> Path:
    """Make a directory of a scheduler's programs: one that submits, and answers so; and others that fail."""
    directory.mkdir()
    (directory / "answer").write_text(answer.text, encoding="utf-8")
    said = f"cat {shlex.quote(str(directory / 'answer'))} >&2; exit {answer.code}"
    for name, does in ((submits, said), *((other, "exit 1") for other in others)):
        (directory / name).write_text(f"#!/bin/sh\n{does}\n")
        (directory / name).chmod(0o755)
    return directory


def kind_and_words(backend: Any) -> tuple[str, str]:
    """Submit a job, and return how the answer was taken, and the words that are told."""
    try:
        job = backend.run(Command(["true"]))
    except JobRejectedError as error:
        return "rejected", str(error).partition(" would not take the job: ")[2]
    except BackendUnavailableError as error:
        return "away", str(error).partition(" has failed: ")[2]
    return ("unsure" if job.native_id() is None else "accepted"), ""
