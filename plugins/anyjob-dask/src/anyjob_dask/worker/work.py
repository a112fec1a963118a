"""The work of a job: what it is given, and of that what other jobs have left in the cluster.

It is used in the worker, and in the processes beside it: so it imports nothing of Dask.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from anyjob.sdk import runner
from anyjob_dask.serialization import Serialized

if TYPE_CHECKING:
    from anyjob_dask.messages import JobResult


class Need(NamedTuple):
    """What came of a job that another one starts after.

    Args:
        ending: status, reason and message.
        value: what it returned, if it has succeeded, and that is an argument.
    """

    ending: tuple[str, str | None, str]
    value: Serialized | None

    @classmethod
    def of(cls, result: JobResult, *, is_used: bool) -> Need:
        """Return what is needed of a result."""
        fields = result.fields
        value = result.value if is_used else None
        return cls((fields["status"], fields.get("reason"), fields.get("message", "")), value)

    def load(self, called: str) -> Any:
        """Return a value of one's own.

        Args:
            called: the job's id and name.

        Raises:
            NoResult: it has not succeeded.
        """
        self.check(called)
        assert self.value is not None  # what succeeds has one, and what is loaded is used
        return self.value.load_copy()

    def check(self, called: str) -> None:
        """Raise `NoResult` unless it has succeeded."""
        if self.ending[0] != "DONE":
            raise runner.broken(called, *self.ending)


class Work(NamedTuple):
    """The work of a job.

    Args:
        payload: the call, or the program, serialized.
        needs: what came of the jobs that it starts after, by their ids.
    """

    payload: bytes | Serialized
    needs: Mapping[str, Need] = {}

    def load(self) -> Any:
        """Return what to call, its positional and its keyword arguments.

        Raises:
            NoResult: a job that it starts after has not succeeded.
        """
        serialized = self.payload if isinstance(self.payload, Serialized) else Serialized(self.payload)
        if not self.needs:
            return serialized.load()
        results = runner.Results({job_id: need.load for job_id, need in self.needs.items()})
        call = results.load(io.BytesIO(serialized.blob), serialized.buffers)
        self.check()  # also where it is lazy, nothing is called without it
        return call

    def check(self) -> None:
        """Raise `NoResult` unless all have succeeded that it starts after."""
        for job_id, need in self.needs.items():
            need.check(job_id)
