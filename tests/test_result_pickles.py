"""Classes of a script come back with results by value, and stay as the program has made them."""

import enum
import pickle
import subprocess
import sys
from typing import Any

import cloudpickle
import pytest

from anyjob import JobStatus, Outcome
from anyjob.spool.outcomes import load_exception, load_value
from anyjob.spool.result_pickles import loads

ELSEWHERE = """
import pickle
import sys

import cloudpickle

sys.stdout.buffer.write(cloudpickle.dumps(pickle.load(sys.stdin.buffer)()))
"""
READ = """
import sys

from anyjob.spool.result_pickles import loads

class_ = loads(sys.stdin.buffer.read())
print(class_.made if hasattr(class_, "made") else class_.RED.value)
"""


_enum: Any = enum.Enum


def answer(call: bytes) -> bytes:
    """Return what a call returns in another process, pickled there."""
    return subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=call, capture_output=True, check=True
    ).stdout


def of_a_script(base: type, **attributes: Any) -> type:
    """Return a class that nobody can import, as those of `__main__` are."""
    return type("OfAScript", (base,), {"__module__": "__main__", **attributes})


def call_for(class_: type) -> bytes:
    """Pickle a call that makes an instance; by value, though this module can be imported."""

    def make() -> Any:
        return class_()

    make.__module__ = "__main__"
    pickled: bytes = cloudpickle.dumps(make)
    return pickled


def test_a_class_that_is_here_keeps_what_the_program_has_set_meanwhile() -> None:
    particle: Any = of_a_script(object, made=1)
    call = call_for(particle)
    particle.made = 42
    result = load_value(Outcome(status=JobStatus.DONE, value=answer(call)))
    assert type(result) is particle
    assert particle.made == 42


def test_so_does_the_class_of_an_exception() -> None:
    failure: Any = of_a_script(ValueError, seen=1)
    call = call_for(failure)
    failure.seen = 42
    error: Any = load_exception(Outcome(status=JobStatus.ERROR, reason="exception", exception=answer(call)))
    assert type(error) is failure
    assert failure.seen == 42


@pytest.mark.parametrize("base", [object, enum.Enum])
def test_a_class_that_is_not_here_comes_with_all_that_it_has(base: type) -> None:
    if base is object:
        class_: Any = of_a_script(object, made=7)
    else:
        class_ = _enum("Colour", {"RED": 7}, module="__main__")
    blob = cloudpickle.dumps(class_)
    told = subprocess.run([sys.executable, "-c", READ], input=blob, capture_output=True, check=True).stdout
    assert told == b"7\n"


def test_what_brings_no_class_is_read_as_ever() -> None:
    assert loads(pickle.dumps([1, "_class_setstate"])) == [1, "_class_setstate"]
