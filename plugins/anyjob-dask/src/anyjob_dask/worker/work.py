"""The work of a call: what it is given, and of that what other jobs have left in the cluster.

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
    """What came of a job whose result is an argument.

    Args:
        ending: status, reason and message.
        value: what it returned, if it has succeeded.
    """

    ending: tuple[str, str | None, str]
    value: Serialized | None

    @classmethod
    def of(cls, result: JobResult) -> Need:
        """Return what is needed of a result."""
        fields = result.fields
        return cls((fields["status"], fields.get("reason"), fields.get("message", "")), result.value)

    def load(self, called: str) -> Any:
        """Return a value of one's own.

        Args:
            called: the job's id and name.

        Raises:
            NoResult: it has not succeeded.
        """
        self.check(called)
        assert self.value is not None
        return self.value.load_copy()

    def check(self, called: str) -> None:
        """Raise `NoResult` unless it has succeeded."""
        if self.value is None or self.ending[0] != "DONE":
            raise runner.broken(called, *self.ending)


class Work(NamedTuple):
    """The work of a call.

    Args:
        payload: the call, serialized.
        needs: what came of the jobs that there are references to, by their ids.
    """

    payload: bytes | Serialized
    needs: Mapping[str, Need] = {}

    def load(self) -> Any:
        """Return what to call, its positional and its keyword arguments.

        Raises:
            NoResult: a job whose result it takes has not succeeded.
        """
        serialized = self.payload if isinstance(self.payload, Serialized) else Serialized(self.payload)
        if not self.needs:
            return serialized.load()
        results = runner.Results({job_id: need.load for job_id, need in self.needs.items()})
        call = results.load(io.BytesIO(serialized.blob), serialized.buffers)
        for job_id, need in self.needs.items():
            need.check(job_id)  # also where it is lazy, nothing is called without it
        return call
