"""Why a job could not be started, with the exit code that a shell gives for that."""

from __future__ import annotations

NOT_FOUND, NOT_EXECUTABLE = 127, 126


class StartFailed(Exception):
    """A job could not be started: the exit code that says so, and why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
