"""The keys of work that is to be done once: equal for equal content, other for any other."""

from __future__ import annotations

import datetime
import decimal
import functools
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections import OrderedDict, namedtuple
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob import Call, Command, File
from anyjob.digest.content import Unstable, digest
from anyjob.digest.work import keys_of
from anyjob.errors import SerializationError

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.decimals()
    | st.datetimes()
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
        | st.sets(st.integers() | st.text(), max_size=3)
        | st.frozensets(st.binary(), max_size=3)
    ),
    max_leaves=8,
)


def key(spec: Any, word: str = "w", version: str = "") -> bytes:
    return keys_of([spec], word, version)[0]


def told(value: Any) -> str:
    """What a value is, by another way than the digest goes."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{told(k)}:{told(v)}" for k, v in value.items())) + "}"
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}({','.join(sorted(map(told, value)))})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({','.join(map(told, value))})"
    return f"{type(value).__name__}:{value!r}"


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: reordered(v) for k, v in reversed(value.items())}
    if isinstance(value, (set, frozenset)):
        return type(value)(sorted(value, key=repr, reverse=True))
    if isinstance(value, (list, tuple)):
        return type(value)(map(reordered, value))
    return value


@given(values)
def test_a_copy_has_the_digest_of_the_original(value: Any) -> None:
    assert digest(pickle.loads(pickle.dumps(value))) == digest(value)
    assert digest(reordered(value)) == digest(value)


@given(values, values)
def test_two_values_have_one_digest_only_if_they_are_the_same(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) is (told(one) == told(other))


@given(st.lists(values, max_size=4), st.lists(values, max_size=4))
def test_parts_do_not_run_into_each_other(one: list[Any], other: list[Any]) -> None:
    assert (digest([one, other]) == digest([one + other, []])) is (not other)


Pair = namedtuple("Pair", "a b")


class Colour(Enum):
    RED = 1
    BLUE = 2


class Model:
    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __call__(self, x: int) -> int:
        return x + 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Pair(1, 2), (1, 2)),
        (Pair(1, 2), Pair(2, 1)),
        (Colour.RED, Colour.BLUE),
        (Model(a=1), Model(a=2)),
        (Path("a"), Path("b")),
        (Path("a"), "a"),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
        (range(3), range(4)),
        (slice(1), slice(2)),
        (datetime.timedelta(1), datetime.timedelta(2)),
        (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
        (len, max),
        (int, str),
        (os, sys),
        (functools.partial(len, "a"), functools.partial(len, "b")),
        ("a".upper, "b".upper),
        (lambda: 1, lambda: 2),
        (1, True),
        (1, 1.0),
        (b"a", "a"),
        (b"a", bytearray(b"a")),
        ({1}, frozenset({1})),
    ],
)
def test_what_is_not_the_same(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


def test_the_order_of_attributes_makes_no_difference() -> None:
    assert digest(Model(a=1, b=2)) == digest(Model(b=2, a=1))


def test_values_that_hold_themselves() -> None:
    def made() -> tuple[list[Any], list[Any]]:
        alone: list[Any] = [1]
        alone.append(alone)
        two: list[Any] = [1, [1]]
        two[1].append(two)
        return alone, two

    assert digest(made()[0]) == digest(made()[0])
    assert digest(made()[1]) == digest(made()[1])
    assert digest(made()[0]) != digest(made()[1])


def test_what_is_held_in_many_places_is_gone_through_once() -> None:
    value: list[Any] = ["x"]
    for _ in range(40):
        value = [value, value]
    assert digest(value) == digest(pickle.loads(pickle.dumps(value)))


# --- functions -------------------------------------------------------------------------------------

CALLED = """
SCALE = {scale}
def helper(x):
    {note}
    return x * SCALE
def fit(x, y={default}, *, z=1):
    {note}
    if x in {{'a', 'b', 'c', 'd'}}:
        return [helper(each) for each in x]
    return {result}
def close(n):
    return lambda: n + SCALE
"""


def functions(name: str = "mod", **changes: str) -> dict[str, Any]:
    parts = {"scale": "2", "note": "pass", "default": "{'k': {1, 2}}", "result": "x"}
    module: dict[str, Any] = {"__name__": name}
    exec(compile(CALLED.format(**{**parts, **changes}), "<made>", "exec"), module)
    return module


def test_where_a_function_stands_makes_no_difference() -> None:
    one, other = functions(), functions(note="# hm\n\n\n    pass  # hm")
    assert key(Call(one["fit"], (1,))) == key(Call(other["fit"], (1,)))
    assert one["fit"].__code__.co_firstlineno != other["fit"].__code__.co_firstlineno


@pytest.mark.parametrize(
    "change",
    [{"scale": "3"}, {"note": "x = x"}, {"default": "{'k': {1, 3}}"}, {"result": "y"}, {"name": "o"}],
)
def test_what_makes_another_function_of_it(change: dict[str, str]) -> None:
    assert key(Call(functions(**change)["fit"])) != key(Call(functions()["fit"]))


def test_what_a_function_closes_over_is_part_of_it() -> None:
    close = functions()["close"]
    assert key(Call(close(1))) == key(Call(functions()["close"](1))) != key(Call(close(2)))


def test_functions_that_call_each_other() -> None:
    text = "def a(x): return b(x)\ndef b(x): return a(x){}\n"
    made = []
    for end in ("", "", " + 1"):
        module: dict[str, Any] = {"__name__": "m"}
        exec(text.format(end), module)
        made.append(key(Call(module["a"])))
    assert made[0] == made[1] != made[2]


def test_the_code_of_an_object_that_is_called() -> None:
    class Model:
        def __init__(self, a: int) -> None:
            self.a = a

        def __call__(self) -> int:
            return 1

    one, old = key(Call(Model(1))), Model.__call__
    assert one != key(Call(Model(2)))
    Model.__call__ = lambda self: 2  # type: ignore[method-assign]
    assert key(Call(Model(1))) != one
    Model.__call__ = old  # type: ignore[method-assign]
    assert key(Call(Model(1))) == one
    assert key(Call(functools.lru_cache(functions()["fit"]))) != key(
        Call(functools.lru_cache(functions(result="y")["fit"]))
    )


def test_keys_are_the_same_in_every_process() -> None:
    program = textwrap.dedent(
        """
        from anyjob import Call
        from anyjob.digest.work import keys_of
        def fit(x, y={"a", "b", 1, None}):
            def inner():
                return x in {"a", "b", "c", "d", "e"}
            return inner
        values = {"k": {"a", "b", "c"}, "l": frozenset("defg")}
        print(keys_of([Call(fit, (values, {"x": {b"1", b"2"}}))], "w")[0].hex())
        """
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(printed) == 1


# --- work ------------------------------------------------------------------------------------------


def test_each_part_of_a_key_counts() -> None:
    made = [
        key(Command(["a", "b"])),
        key(Command(["a b"])),
        key(Command(["a", "b"]), "other"),
        key(Command(["a", "b"]), version="2"),
        key(Command(["a", "b"], env={"A": "1"})),
        key(Command(["a", "b"], cwd="/")),
        key(Command([os.fsdecode(b"\xff")])),
        key(Command([os.fsdecode(b"\xfe")])),
        key(Call("a:b", (1,))),
        key(Call("a:b", ("1",))),
        key(Call("a:b", (), {"x": 1})),
        key(Call("a:c", (1,))),
    ]
    assert len(set(made)) == len(made)
    assert key(Command(["a", "b"], env={}, cwd=None)) == made[0]


def test_a_file_is_what_is_in_it(tmp_path: Path) -> None:
    for name, text in (("one", "x"), ("same", "x"), ("other", "y")):
        (tmp_path / name).write_text(text)
    one, same, other = (File(str(tmp_path / name)).taken() for name in ("one", "same", "other"))
    assert key(Command(["cat"], stdin=one)) == key(Command(["cat"], stdin=same))
    assert key(Command(["cat"], stdin=one)) != key(Command(["cat"], stdin=other))
    assert key(Command(["cat"], files={"a": one})) != key(Command(["cat"], files={"b": one}))
    assert key(Call("a:b", (one,))) == key(Call("a:b", (File(str(tmp_path / "same")),)))


def test_the_same_several_times() -> None:
    specs = [Call("a:b", (1,)), Call("a:b", (2,)), Call("a:b", (1,))]
    once, counted = keys_of(specs, "w"), keys_of(specs, "w", counted=True)
    assert (len(set(once)), once[0]) == (2, once[2])
    assert len(set(counted)) == 3
    assert counted[:2] == once[:2]


class Restless:
    def __reduce__(self) -> Any:
        return Restless, (os.urandom(8),)


@pytest.mark.parametrize(
    ("args", "where"),
    [
        ((threading.Lock(),), "argument 0 has no stable digest, as once= needs it: lock cannot be pickled"),
        (({"a": [1, threading.Lock()]},), r"argument 0\['a'\]\[1\] has no stable digest"),
        ((1, Model(deep=Model(lock=threading.Lock()))), r"argument 1\.deep\.lock has no stable digest"),
        ((1, [Restless()]), "argument 1 has no stable digest.* it is pickled in another way each time"),
    ],
)
def test_an_argument_without_a_digest_is_named(args: tuple[Any, ...], where: str) -> None:
    with pytest.raises(SerializationError, match=where):
        key(Call("a:b", args))


def test_a_variable_of_a_function_without_a_digest_is_named() -> None:
    lock = threading.Lock()

    def locks() -> Any:
        return lock

    with pytest.raises(SerializationError, match="the function, its variable 'lock' has no stable digest"):
        key(Call(locks))
    with pytest.raises(SerializationError, match="argument 'k'"):
        key(Call("a:b", (), {"k": lock}))


def test_what_is_nested_too_deeply_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(Unstable, match="nested too deeply"):
        digest(value)


def test_arrays_are_what_is_in_them() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(12).reshape(3, 4)
    same = [numpy.asfortranarray(array), numpy.arange(24).reshape(6, 4)[:3], array.copy()]
    assert {digest(each) for each in same} == {digest(array)}
    others = [array.T, array.reshape(4, 3), array.astype("i4"), array.astype("f8"), array + 1, array[:0]]
    others += [numpy.array([[1]], dtype=object), numpy.array([["a"]], dtype=object), numpy.array([["a"]])]
    records = numpy.zeros(2, dtype=[("a", "i1"), ("b", "i8")])
    changed = records.copy()
    changed["b"][1] = 1
    assert len({digest(each) for each in [array, *others, records, changed]}) == len(others) + 3
