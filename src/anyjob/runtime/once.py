"""Work that is to be done once: what was submitted under its key before counts, and is returned.

Which job that is is looked up before, so that little is done where nothing is to be done; and decided in the
transaction that enters the others: of two processes that submit the same at a time, one does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from anyjob import _typing as t
from anyjob.digest.work import keys_of
from anyjob.errors import SpecError, UnsupportedSpecError
from anyjob.ledger.rows import FINAL
from anyjob.process.reporting import report
from anyjob.runtime.submission.submit import submit
from anyjob.specs import Spec, with_files
from anyjob.spool.job_spool import InSpool
from anyjob.status import JOB_FINAL_STATES, JobStatus
from anyjob.text.units import parse_duration

if TYPE_CHECKING:
    from anyjob.resources import Resources
    from anyjob.runtime.dependencies.prerequisites import After


class Jobs(NamedTuple):
    """What there is of work that is to be done once.

    Args:
        jobs: the handle for each item, in order.
        done: the indices of those that were done before, or never started after what came of others.
        joined: of those that were submitted before, and had not ended.
    """

    jobs: list[Any]
    done: frozenset[int] = frozenset()
    joined: frozenset[int] = frozenset()


class Once(NamedTuple):
    """By what work is known.

    Args:
        word: what its user calls it.
        version: more of that, for what cannot be seen from here.
        max_age: seconds after its end from which what is done does not count.
        anew: nothing counts that was submitted before.
        counted: what is the same several times is to be done as often; else once.
    """

    word: str
    version: str = ""
    max_age: float | None = None
    anew: bool = False
    counted: bool = False

    def run(
        self,
        backend: t.TaskBackend,
        specs: Sequence[Spec],
        resources: Sequence[Resources],
        *,
        after: Sequence[After] = (),
        parameters: Sequence[Mapping[str, Any]] = (),
        raise_refusal: bool = False,
    ) -> Jobs:
        """Return the jobs of all work; what is missing is submitted.

        Args:
            backend: what that is handed to.
            specs: the work.
            resources: for each what it needs.
            after: for each what it starts after. What was done after other jobs does not count.
            parameters: for each its values of the axes of a job file.
            raise_refusal: as `submit` has it.

        Raises:
            UnsupportedSpecError: jobs of this backend end with this process.
            AnyjobError: as `submit` does.
        """
        if not backend.capabilities.durable:
            raise UnsupportedSpecError(
                f"backend {backend.name()!r} forgets its jobs when this process ends, so that nothing can be "
                "done once on it: leave out once=, or choose a durable one, such as `local`"
            )
        specs = [with_files(spec) for spec in specs]  # what the key was made of is what runs
        keys = keys_of(specs, self.word, self.version, counted=self.counted)
        found = _look(backend, self, keys, after)
        jobs = {key: found.jobs[job_id] for key, job_id in found.counting.items()}
        first: dict[bytes, int] = {}
        for index, key in enumerate(keys):
            if key not in jobs:
                first.setdefault(key, index)
        missing = [index for index, key in enumerate(keys) if first.get(key) == index]
        if missing:
            from anyjob.ledger.once import Claim  # which brings SQLite

            new = submit(
                backend,
                [specs[index] for index in missing],
                [resources[index] for index in missing],
                raise_refusal=raise_refusal,
                parameters=[parameters[index] for index in missing] if parameters else (),
                after=[after[index] for index in missing] if after else (),
                once=[Claim(keys[index], found.spent.get(keys[index], "")) for index in missing],
            )
            jobs.update(zip((keys[index] for index in missing), new, strict=True))
        done = {key for key, job_id in found.counting.items() if job_id in found.done}
        joined = found.counting.keys() - done
        return Jobs(
            [jobs[key] for key in keys],
            frozenset(index for index, key in enumerate(keys) if key in done),
            frozenset(index for index, key in enumerate(keys) if key in joined),
        )


def take(given: dict[str, Any]) -> Once | None:
    """Take ``once``, ``version`` and ``cache`` out of the keywords of a ``run``.

    Raises:
        SpecError: they make no sense.
    """
    word, version, cache = (given.pop(name, None) for name in ("once", "version", "cache"))
    if word is None:
        for name, value in (("version", version), ("cache", cache)):
            if value is not None:
                raise SpecError(f'{name}= says more of once=, which is missing: once="fit-1"')
        return None
    if not isinstance(word, str) or not word:
        raise SpecError(f'once is a word of yours, such as "fit-1", not {word!r}')
    if version is not None and not isinstance(version, (str, int, float)):
        raise SpecError(f'version is a text, such as "2", not {version!r:.60}')
    max_age = None if cache is None else parse_duration(cache, what="cache", allow_zero=True)
    return Once(word, "" if version is None else str(version), max_age)


class _Found(NamedTuple):
    """What the ledger has under some keys.

    Args:
        counting: the ids of the jobs that count, by key.
        done: those of them that are done.
        jobs: their handles, by id.
        spent: the ids of those that would count, and do not, by key.
    """

    counting: dict[bytes, str]
    done: frozenset[str]
    jobs: dict[str, Any]
    spent: dict[bytes, str]


def _look(backend: t.TaskBackend, once: Once, keys: Sequence[bytes], after: Sequence[After]) -> _Found:
    ledger, services = backend.services.ledger, backend.services
    some = list(dict.fromkeys(keys))
    keyed = ledger.keyed(some) if ledger.exists else {}
    unfinished = [each.job_id for each in keyed.values() if each.counts and each.state < FINAL]
    if unfinished and not once.anew:
        services.jobs(backend, unfinished, refresh=True)
        keyed = ledger.keyed(some)
    ids = {key: each.job_id for key, each in keyed.items() if each.counts}
    if once.anew:
        return _Found({}, frozenset(), {}, ids)
    jobs = services.jobs(backend, ids.values())
    needs = ledger.dependencies.prerequisites_of(list(ids.values())) if any(after) else {}
    needed = dict(zip(keys, after, strict=False))
    spent = {
        key: job_id
        for key, job_id in ids.items()
        if _is_old(jobs[job_id], once.max_age)
        or (jobs[job_id]._record.status is JobStatus.ERROR and not needed.get(key))
        or (needed.get(key) and needs.get(job_id, frozenset()) != frozenset(needed[key]))
    }
    gone = {key: i for key, i in ids.items() if key not in spent and _is_gone(jobs[i])}
    forgotten = sum(not each.job_id for each in keyed.values())
    if gone or forgotten:
        told = "%d pieces of work of %r were done before, and what came of them is not there any more: anew"
        report(told, len(gone) + forgotten, once.word)
    spent.update(gone)
    counting = {key: job_id for key, job_id in ids.items() if key not in spent}
    done = frozenset(i for i in counting.values() if jobs[i]._record.status in JOB_FINAL_STATES)
    return _Found(counting, done, jobs, spent)


def _is_old(job: Any, max_age: float | None) -> bool:
    outcome = job._record.outcome
    if outcome is None or max_age is None:
        return False
    return bool(outcome.finished is None or outcome.finished < time.time() - max_age)


def _is_gone(job: Any) -> bool:
    """Tell whether what came of a job that is done was kept in its directory, and is not there any more."""
    outcome = job._record.outcome
    return outcome is not None and isinstance(outcome.value, InSpool) and not os.path.exists(outcome.value)
