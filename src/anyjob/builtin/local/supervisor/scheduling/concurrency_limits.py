"""How many jobs of one name, or with one tag, may run at a time, and how many do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from anyjob.resources import Resources, labels_of


class ConcurrencyLimits:
    """Counts the jobs that have something to do with a limit, each from when it is taken out to start.

    Args:
        most: how many there may be at a time, by label: see `anyjob.resources.labels_of`.
    """

    def __init__(self, most: Mapping[str, int] | None = None) -> None:
        self._most: dict[str, int] = dict(most or {})
        self._labels: dict[str, tuple[str, ...]] = {}
        self._counts: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._most)

    def set(self, most: Mapping[str, int]) -> bool:
        """Have other limits hold from now on, for what runs already, too; return whether they are others."""
        if dict(most) == self._most:
            return False
        self._most = dict(most)
        return True

    def limited(self, resources: Resources) -> tuple[str, ...]:
        """Return those of the labels of a job that have a limit."""
        if not self._most:
            return ()
        return tuple(label for label in labels_of(resources) if label in self._most)

    def allows(self, labels: Iterable[str]) -> bool:
        """Tell whether one more may start that has these labels."""
        return all(self._counts[label] < self._most.get(label, self._counts[label] + 1) for label in labels)

    def take(self, job_id: str, resources: Resources) -> None:
        """A job is to start, or runs."""
        labels = labels_of(resources)
        if labels and job_id not in self._labels:
            self._labels[job_id] = labels
            self._counts.update(labels)

    def give_back(self, job_id: str) -> None:
        """A job has ended, or does not start now after all."""
        for label in self._labels.pop(job_id, ()):
            self._counts[label] -= 1
            if not self._counts[label]:
                del self._counts[label]

    def clear(self) -> None:
        """Nothing runs."""
        self._labels.clear()
        self._counts.clear()
