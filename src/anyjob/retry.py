"""Whether a job that has failed runs again, when, and with what: the policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from anyjob import _typing as t
from anyjob.errors import SpecError
from anyjob.text import units

REASONS = ("exit-code", "exception", "signal", "walltime", "memory", "node-failure", "lost")
"""Why a job may have failed that is run again, unless its policy names fewer."""
NEVER = ("rejected", "missing-module", "dependency")
"""Why a job may have failed that another attempt would not help."""
TOPS = {"cpus": 2**20, "memory": 2**62, "gpu_memory": 2**62, "walltime": 1e9}
"""How far what may grow from attempt to attempt does where no bound was given."""
GROWS = tuple(TOPS)
"""The resources of which an attempt may get more than the one before."""
MOST_TIMES = 1000
LONGEST = 86400.0
"""Seconds between two attempts, at most: a clock or a factor that is wrong parks no job for longer."""


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a job that has failed is run again, after which failures, when, and with what.

    What another attempt would not help is never retried: what was rejected or cancelled, lacks a module, or
    never started since a job that it needs has failed. What was lost is retried where it is ``restartable``.

    Args:
        times: attempts after the first, at most; 0: none, though its backend is configured to.
        on: after which failures: reasons (``"memory"``, ``"node-failure"``, …), exit codes (75), and types of
            exceptions, or their names (``ConnectionError``, ``"requests.exceptions.Timeout"``); of a type
            with those derived from it. By default after any.
        wait: seconds until the next attempt, or text such as "10s"; a day at most.
        backoff: what the wait is multiplied by with each attempt.
        jitter: the part of the wait, up to 1, that is added at most, by chance.
        grow: what each attempt gets more of than the one before, by factors:
            ``{"memory": 2, "walltime": 1.5}``.
        most: how far these grow: ``{"memory": "64GiB"}``.

    Raises:
        SpecError: a value that makes no sense.
    """

    times: int
    on: Any = None
    wait: Any = 0.0
    backoff: float = 1.0
    jitter: float = 0.0
    grow: dict[str, float] = {}
    most: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if (
            isinstance(self.times, bool)
            or not isinstance(self.times, int)
            or not 0 <= self.times <= MOST_TIMES
        ):
            raise SpecError(f"retries are a whole number from 0 to {MOST_TIMES}, not {self.times!r}")
        if self.on is not None:
            force_setattr(self, "on", _failures(self.on))
            if not self.on:
                raise SpecError(
                    "on: it names no failure: leave it out to retry after any, or give retries=0 for none"
                )
        wait = units.parse_duration(self.wait, what="wait", allow_zero=True)
        if wait > LONGEST:
            raise SpecError(f"wait = {self.wait!r} does not do: it is a day at most")
        force_setattr(self, "wait", wait)
        force_setattr(self, "backoff", _number("backoff", self.backoff, 1, 100))
        force_setattr(self, "jitter", _number("jitter", self.jitter, 0, 1))
        for field, example in (("grow", '{"memory": 2}'), ("most", '{"memory": "64GiB"}')):
            value = getattr(self, field)
            if not isinstance(value, Mapping):
                raise SpecError(f"{field} goes by the names of resources: {example}, not {value!r}")
            for name in value:
                if name not in GROWS:
                    from anyjob.text.suggestions import did_you_mean

                    raise SpecError(
                        f"{field}: {name!r} is nothing that grows{did_you_mean(str(name), GROWS)}"
                    )
        grow = {name: _number(f"grow: {name}", factor, 1, 100) for name, factor in self.grow.items()}
        force_setattr(self, "grow", grow)
        for name in self.most:
            if name not in grow:
                raise SpecError(f"most: {name} does not grow: say by how much, as in grow={{{name!r}: 2}}")
        force_setattr(self, "most", {name: _amount(name, value) for name, value in self.most.items()})

    def covers(self, outcome: t.Outcome) -> bool:
        """Tell whether it is for such a failure."""
        if outcome.reason in NEVER or outcome.reason is None:
            return False
        if self.on is None or outcome.reason in self.on:
            return True
        if outcome.reason == "exit-code":
            return outcome.exit_code in self.on
        names = {*outcome.exception_types, *(each.rpartition(".")[2] for each in outcome.exception_types)}
        return not names.isdisjoint(self.on)


def as_retry(given: Any) -> Retry | None:
    """Return what was given for ``retries``: a number, the fields of `Retry`, or one.

    Raises:
        SpecError: it is something else, or makes no sense.
    """
    if given is None or isinstance(given, Retry):
        return given
    if isinstance(given, str) and given.isdigit():
        given = int(given)
    if isinstance(given, int) and not isinstance(given, bool):
        return Retry(given)
    if not isinstance(given, Mapping):
        raise SpecError(f"retries are a number, or Retry(3, on=…, wait=…), not {given!r}")
    unknown = sorted(set(map(str, given)).difference(Retry.__struct_fields__))
    if unknown:
        from anyjob.text.suggestions import did_you_mean

        hint = did_you_mean(unknown[0], Retry.__struct_fields__)
        raise SpecError(f"retries: unknown key {unknown[0]!r}{hint}")
    if "times" not in given:
        raise SpecError("retries: times is missing: how often it is run again at most")
    return Retry(**given)


def check(resources: t.Resources) -> None:
    """Make sure that a policy fits to what a job asks for.

    Raises:
        SpecError: something is to grow that it does not ask for, or no further than it asks for already.
    """
    policy = resources.retries
    if policy is None:
        return
    for name in policy.grow:
        if getattr(resources, name) is None:
            raise SpecError(f"grow: the job asks for no {name}: say what the first attempt gets, as {name}=…")
    for name, top in policy.most.items():
        if top < getattr(resources, name):
            raise SpecError(f"most: {name} is less than the job asks for already")


def fitting(policy: Retry, resources: t.Resources) -> Retry:
    """Return a policy that was given for many jobs, less what does not fit to this one."""
    asked = {name: getattr(resources, name) for name in policy.grow}
    grow = {name: factor for name, factor in policy.grow.items() if asked[name] is not None}
    most = {name: top for name, top in policy.most.items() if name in grow and top >= asked[name]}
    if grow == policy.grow and most == policy.most:
        return policy
    return msgspec.structs.replace(policy, grow=grow, most=most)


def _failures(given: Any) -> tuple[str | int, ...]:
    """Return what a policy is for, as it is kept: reasons, exit codes, names of types of exceptions."""
    if isinstance(given, (str, int, type)):
        given = (given,)
    if not isinstance(given, Iterable):
        raise SpecError(f"on: reasons, exit codes and types of exceptions, not {given!r}")
    found = {_failure(each) for each in given}
    return tuple(sorted(found, key=lambda each: (isinstance(each, str), each)))


def _failure(one: Any) -> str | int:
    if isinstance(one, type) and issubclass(one, BaseException):
        return type_name(one)
    if isinstance(one, str) and one.lstrip("-").isdigit():
        one = int(one)
    if isinstance(one, int) and not isinstance(one, bool):
        if not 0 < one < 256:
            raise SpecError(f"on: an exit code of a failure is from 1 to 255, not {one}")
        return one
    if not isinstance(one, str) or not one:
        raise SpecError(f"on: {one!r} is no reason, exit code or type of exceptions")
    if one in REASONS:
        return one
    if one in NEVER or one == "cancelled":
        raise SpecError(f"on: a job is never run again after {one!r}: it would come to the same")
    if any(letter.isupper() for letter in one.rpartition(".")[2]) and all(
        part.isidentifier() for part in one.split(".")
    ):
        return one
    from anyjob.text.suggestions import did_you_mean

    raise SpecError(
        f"on: {one!r} is no reason of a failure, exit code or type of exceptions{did_you_mean(one, REASONS)}"
    )


def type_name(kind: type) -> str:
    """Return what a type of exceptions is called in a policy, and in what a call reports."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _number(what: str, given: Any, least: float, most: float) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not least <= given <= most:
        raise SpecError(f"{what} is a number from {least} to {most}, not {given!r}")
    return float(given)


def _amount(name: str, value: Any) -> float:
    if name == "walltime":
        return units.parse_duration(value, what="most: walltime")
    if name == "cpus":
        return units.parse_count(value, what="most: cpus")
    return units.parse_memory(value, what=f"most: {name}")
