"""What a script defines and pickles as a name is carried to where calls run, or refused before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import functools, sys, typing
import anyjob
from anyjob import Call
from anyjob.errors import SerializationError

@functools.lru_cache(maxsize=None)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

UserId = typing.NewType("UserId", int)
P = typing.ParamSpec("P")
Ts = typing.TypeVarTuple("Ts")

class Table:
    @functools.cache
    def twice(self, n): return 2 * n

def annotated(user: UserId, *more: P.args) -> UserId:
    return UserId(user + 1)

def make():
    @functools.lru_cache(8, typed=True)
    def inner(n): return n, inner.cache_parameters()
    return inner

class Missing:
    def __reduce__(self): return "MISSING"
    def __repr__(self): return "MISSING"
MISSING = Missing()
def given(value=MISSING): return value is MISSING

class Singleton(int):
    def __reduce_ex__(self, protocol): return "ONE"
ONE = Singleton(1)

backend = anyjob.get_backend(sys.argv[1])
def made(fn, *arguments): return backend.run(Call(fn, arguments)).result(timeout=60)

print(made(fibonacci, 30), made(Table().twice, 4), made(annotated, 1), made(make(), 1))
print(made(lambda: (UserId.__name__, UserId.__supertype__, UserId(3), Ts.__name__)))
print([job.result() for job in backend.map(fibonacci, range(5))])
for call in (Call(given), Call(given, (MISSING,)), Call(len, ([{"a": ONE}],))):
    try:
        backend.run(call)
    except SerializationError as error:
        print(error)
    else:
        print("taken")
print(len(backend.jobs()))
"""


@pytest.mark.parametrize("name", ["processes", "local"])
def test_what_a_script_knows_by_name(tmp_path: Path, name: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), name], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "832040 8 2 (1, {'maxsize': 8, 'typed': True})",
        "('UserId', <class 'int'>, 3, 'Ts')",
        "[0, 1, 1, 2, 3]",
    ]
    assert "the function of the call cannot be pickled" in lines[3]
    assert "__main__.MISSING, which means nothing where the call runs" in lines[3]
    assert "cannot be pickled" in lines[4]
    assert "argument 0[0]['a'] of the call cannot be pickled" in lines[5]
    assert "of type Singleton: it pickles as no more than the name __main__.ONE" in lines[5]


def test_what_a_script_gives_back_by_name_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT.partition("backend =")[0]
        + "print(anyjob.get_backend('processes').run(Call(lambda: Missing())).exception())"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.stderr == ""
    assert "the call returned a Missing that cannot be pickled" in done.stdout


REQUIRED = """
import dataclasses, sys
import anyjob
from anyjob import Call

@dataclasses.dataclass
class Fit:
    steps: int
    seed: int = 0
    tags: list = dataclasses.field(default_factory=list)

def required(some):
    missing = dataclasses.MISSING
    return [each.name for each in dataclasses.fields(some) if each.default is each.default_factory is missing]

backend = anyjob.get_backend(sys.argv[1])
print(required(Fit), *(backend.run(Call(required, (some,))).result(timeout=60) for some in (Fit, Fit(1))))
print(backend.run(Call(lambda: dataclasses.replace(Fit(1), steps=2))).result(timeout=60))
"""


@pytest.mark.parametrize("name", ["processes", "local"])
def test_a_field_without_a_default_has_none_where_the_call_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / "script.py").write_text(REQUIRED)
    done = subprocess.run(
        [sys.executable, "script.py", name], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        ["['steps'] ['steps'] ['steps']", "Fit(steps=2, seed=0, tags=[])"],
    )


RAISING = """
import sys
import anyjob

class Model:
    def fit(self, x):
        return [1 / each for each in x]

job = anyjob.get_backend(sys.argv[1]).run(lambda x: Model().fit(x), [0])
print(job.exception(timeout=60).__cause__)
"""


@pytest.mark.parametrize("name", ["processes", "local"])
def test_a_traceback_names_the_script_and_shows_its_lines(tmp_path: Path, name: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(RAISING)
    done = subprocess.run(
        [sys.executable, str(script), name], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.stderr == ""
    for line, function, text in (
        (9, "<lambda>", "lambda x: Model().fit(x), [0])"),
        (7, "fit", "return [1 / each for each in x]"),
    ):
        assert f'File "{script}", line {line}, in {function}\n' in done.stdout
        assert text in done.stdout
