"""The policy of retries: what makes sense, and what follows from it, as pure functions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob.errors import SpecError
from anyjob.execution.next_attempt import Again, grown, next_attempt, still_to_wait, wait_before
from anyjob.ledger.encoding import decode_resources, encode_resources
from anyjob.outcome import Outcome
from anyjob.resources import Resources
from anyjob.retry import LONGEST, NEVER, REASONS, Retry
from anyjob.status import JobStatus


def failed(reason: str, **more: Any) -> Outcome:
    return Outcome(status=JobStatus.ERROR, reason=reason, **more)


def test_a_number_is_for_every_failure_that_another_attempt_may_help() -> None:
    resources = Resources(retries=2, restartable=True)  # type: ignore[arg-type]
    assert all(next_attempt(resources, [], failed(reason)) == Again("retry", 0.0) for reason in REASONS)
    assert not any(next_attempt(resources, [], failed(reason)) for reason in NEVER)
    assert next_attempt(resources, [], Outcome(status=JobStatus.CANCELLED)) is None
    assert next_attempt(resources, [], Outcome(status=JobStatus.DONE)) is None


def test_there_are_as_many_attempts_as_were_asked_for() -> None:
    resources = Resources(retries=2)  # type: ignore[arg-type]
    history = ["lost", "retry", "requeue"]
    assert next_attempt(resources, history, failed("signal")) == Again("retry", 0.0)
    assert next_attempt(resources, [*history, "retry"], failed("signal")) is None


def test_what_was_lost_is_retried_where_it_may_run_twice() -> None:
    assert next_attempt(Resources(retries=2), [], failed("lost")) is None  # type: ignore[arg-type]
    restartable = Resources(restartable=True)
    assert next_attempt(restartable, [], failed("lost")) is None
    assert next_attempt(restartable, ["lost"] * 9, failed("lost"), restarts=True) == Again("lost", 0.0)


@pytest.mark.parametrize(
    ("on", "outcome", "is_covered"),
    [
        ({"memory"}, failed("memory"), True),
        ({"memory"}, failed("exit-code", exit_code=1), False),
        ({75, "memory"}, failed("exit-code", exit_code=75), True),
        ("75", failed("exit-code", exit_code=75), True),
        ({75}, failed("exit-code", exit_code=1), False),
        ({75}, failed("signal", exit_code=75), False),
        ({OSError}, failed("exception", exception_types=("ConnectionError", "OSError")), True),
        ({OSError}, failed("exception", exception_types=("ValueError",)), False),
        (["requests.Timeout"], failed("exception", exception_types=("requests.Timeout",)), True),
        ("Timeout", failed("exception", exception_types=("requests.exceptions.Timeout",)), True),
        ({ValueError}, failed("exit-code", exit_code=1), False),
    ],
)  # fmt: skip
def test_a_policy_is_for_reasons_exit_codes_and_exceptions(
    on: Any, outcome: Outcome, is_covered: bool
) -> None:
    found = next_attempt(Resources(retries=Retry(1, on=on)), [], outcome)
    assert (found is not None) is is_covered


def test_a_job_at_its_walltime_goes_on_without_that_it_counts() -> None:
    """submitit#1732, torchx#394, lightning#15022: requeue on timeout, of commands too."""
    resources = Resources(walltime=60, on_walltime="requeue")
    assert next_attempt(resources, ["requeue"] * 20, failed("walltime")) == Again("requeue", 0.0)
    assert next_attempt(resources, [], failed("exit-code", exit_code=1)) is None


def test_each_attempt_gets_more_up_to_the_most() -> None:
    """toil#4474, cromwell#4346: more memory after one that had too little."""
    policy = Retry(5, grow={"memory": 2, "walltime": 1.5}, most={"memory": "3GiB"})
    resources = Resources(memory="1GiB", walltime=60, retries=policy)  # type: ignore[arg-type]
    assert [grown(resources, n).memory for n in range(4)] == [2**30, 2**31, 3 * 2**30, 3 * 2**30]
    assert [grown(resources, n).walltime for n in range(3)] == [60, 90, 135]


@given(
    wait=st.floats(0, LONGEST),
    backoff=st.floats(1, 100),
    jitter=st.floats(0, 1),
    chance=st.floats(0, 1),
    before=st.integers(0, 1000),
)
def test_waits_grow_and_are_bounded(
    wait: float, backoff: float, jitter: float, chance: float, before: int
) -> None:
    policy = Retry(1, wait=wait, backoff=backoff, jitter=jitter)
    found = wait_before(policy, before, chance)
    assert 0 <= found <= LONGEST
    assert found >= wait * (1 - 1e-9)
    assert wait_before(policy, before + 1, chance) >= found * (1 - 1e-9)


@given(
    history=st.lists(st.sampled_from(["retry", "requeue", "lost"]), max_size=8),
    times=st.integers(1, 5),
    reason=st.sampled_from([*REASONS, *NEVER]),
    restartable=st.booleans(),
    requeue=st.booleans(),
)
def test_a_job_never_goes_again_more_often_than_it_may(
    history: list[str], times: int, reason: str, restartable: bool, requeue: bool
) -> None:
    resources = Resources(
        retries=times,  # type: ignore[arg-type]
        restartable=restartable,
        walltime=60,
        on_walltime="requeue" if requeue else "",
    )
    found = next_attempt(resources, history, failed(reason))
    if reason in NEVER or (reason == "lost" and not restartable):
        assert found is None
    elif reason == "walltime" and requeue:
        assert found == Again("requeue", 0.0)
    else:
        assert (found is not None) is (history.count("retry") < times)


@given(due=st.floats(0, 1e10), wait=st.floats(0, LONGEST), now=st.floats(0, 1e10))
def test_a_clock_that_was_set_parks_no_job(due: float, wait: float, now: float) -> None:
    assert 0 <= still_to_wait(due, wait, now) <= wait


@given(
    retried=st.integers(0, 1000),
    factor=st.floats(1, 100),
    memory=st.integers(1, 2**62),
    cpus=st.integers(1, 64),
)
def test_what_grows_stays_a_number_that_makes_sense(
    retried: int, factor: float, memory: int, cpus: int
) -> None:
    policy = Retry(1, grow={"memory": factor, "cpus": 2}, most={"cpus": 64})
    resources = Resources(memory=memory, cpus=cpus, retries=policy)
    found = grown(resources, retried)
    assert memory <= (found.memory or 0) < 2**63
    assert cpus <= (found.cpus or 0) <= 64
    assert decode_resources(encode_resources(found)) == found


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (-1, "a whole number from 0"),
        (True, "retries are a number"),
        ("many", "retries are a number"),
        ({"time": 3}, "unknown key 'time'; did you mean 'times'"),
        ({"on": "memory"}, "times is missing"),
        ({"times": 1, "on": "memroy"}, "did you mean 'memory'"),
        ({"times": 1, "on": "rejected"}, "never run again after 'rejected'"),
        ({"times": 1, "on": 0}, "from 1 to 255"),
        ({"times": 1, "on": int}, "is no reason, exit code or type"),
        ({"times": 1, "wait": "-3s"}, "wait"),
        ({"times": 1, "wait": "2d"}, "a day at most"),
        ({"times": 1, "backoff": 0.5}, "backoff is a number from 1"),
        ({"times": 1, "jitter": 2}, "jitter is a number from 0 to 1"),
        ({"times": 1, "grow": {"memry": 2}}, "did you mean 'memory'"),
        ({"times": 1, "grow": {"memory": 0.5}}, "grow: memory is a number from 1"),
        ({"times": 1, "grow": {"cpus": 2}}, "asks for no cpus"),
        ({"times": 1, "most": {"memory": "1GiB"}}, "memory does not grow"),
        ({"times": 1, "grow": {"memory": 2}, "most": {"memory": "1MiB"}}, "less than the job asks for"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(given: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Resources(memory=2**30, retries=given)


@pytest.mark.parametrize("given", [{"on_walltime": "requeue"}, {"on_walltime": "again", "walltime": 3}])
def test_a_requeue_is_for_a_job_with_a_walltime(given: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="on_walltime"):
        Resources(**given)


def test_a_policy_is_kept_in_the_ledger_as_it_was_given() -> None:
    policy = Retry(3, on={"memory", 75, OSError}, wait="10s", grow={"memory": 2}, most={"memory": "2GiB"})
    resources = Resources(memory=2**30, retries=policy)
    assert decode_resources(encode_resources(resources)) == resources
    assert policy.on == (75, "OSError", "memory")


@pytest.mark.parametrize("on", [[], (), set()])
def test_no_failure_is_not_any_failure(on: Any) -> None:
    with pytest.raises(SpecError, match="on: it names no failure: leave it out"):
        Retry(1, on=on)
    assert Retry(1).on is None
    assert msgspec.convert(msgspec.to_builtins(Retry(1)), Retry) == Retry(1)
