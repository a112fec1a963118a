"""The runner: one file that performs a call, and says what came of it."""

from __future__ import annotations

import ast
import functools
import pickle
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from anyjob.errors import CommandFailedError, JobFailedError
from anyjob.standalone import runner


def load(fn: Any, *args: Any, **kwargs: Any) -> Any:
    return lambda: (fn, args, kwargs)


def fail(error: BaseException) -> None:
    raise error


def _goes_on_without(node: ast.Try) -> bool:
    return any(
        isinstance(handler.type, ast.Name) and handler.type.id == "ImportError" for handler in node.handlers
    )


def test_it_imports_the_standard_library_and_cloudpickle_alone() -> None:
    """It is sent to where anyjob is not installed: what it has of anyjob, it does without there."""
    imported: set[str] = set()
    tree = ast.parse(Path(runner.__file__).read_text())
    tries = [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
    dispensable = {id(each) for one in tries if _goes_on_without(one) for each in one.body}
    assert dispensable
    for node in ast.walk(tree):
        if id(node) in dispensable:
            continue
        if isinstance(node, ast.Import):
            imported.update(name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= {*sys.stdlib_module_names, "cloudpickle"}


def test_a_call_that_returns() -> None:
    said = runner.perform(load(divmod, 7, 3))
    assert said.pop("started") <= said.pop("finished")
    assert said == {"status": "DONE", "value": (2, 1)}
    assert pickle.loads(runner.pickled(said)["value"]) == (2, 1)


def test_a_call_that_raises() -> None:
    said = runner.perform(load(fail, KeyError("key")))
    assert (said["status"], said["reason"], said["message"]) == ("ERROR", "exception", "KeyError: 'key'")
    assert said["traceback"].startswith("Traceback (most recent call last):")
    assert "in fail" in said["traceback"]
    assert "in perform" not in said["traceback"]
    assert repr(pickle.loads(said["exception"])) == "KeyError('key')"
    assert runner.pickled(said) is said


def test_what_loading_raises_is_the_call_s_own_failure() -> None:
    said = runner.perform(functools.partial(pickle.loads, b"not a pickle"))
    assert (said["status"], said["reason"]) == ("ERROR", "exception")
    assert "UnpicklingError" in said["message"]


@pytest.mark.parametrize(("code", "exit_code"), [(None, 0), (0, 0), (7, 7), ("text", 1), (True, 1)])
def test_a_call_that_leaves(code: Any, exit_code: int) -> None:
    said = runner.perform(load(sys.exit, code))
    assert (said["reason"], said["exit_code"]) == ("exit-code", exit_code)
    assert f"sys.exit({code!r})" in said["message"]


def test_an_interrupt_is_caught_unless_it_is_to_pass() -> None:
    assert runner.perform(load(fail, KeyboardInterrupt()))["reason"] == "exception"
    with pytest.raises(KeyboardInterrupt):
        runner.perform(load(fail, KeyboardInterrupt()), passes=KeyboardInterrupt)


def test_a_missing_module_is_told_from_a_broken_one() -> None:
    said = runner.perform(load("no_such_module:f"))
    assert said["reason"] == "missing-module"
    assert "exception" not in said
    assert runner.perform(load(fail, ImportError("half")))["reason"] == "exception"
    assert runner.perform(load(fail, ModuleNotFoundError("no name")))["reason"] == "exception"


def test_the_reason_of_a_program_that_a_call_ran_is_kept() -> None:
    said = runner.perform(load(fail, CommandFailedError("oh", exit_code=3)))
    assert (said["reason"], said["exit_code"]) == ("exit-code", 3)
    said = runner.perform(load(fail, JobFailedError("oh", reason="signal")))
    assert (said["reason"], said["exit_code"]) == ("signal", None)


def test_the_reason_of_somebody_else_s_exception_is_none_of_ours() -> None:
    error = UnicodeDecodeError("utf-8", b"x", 0, 1, "odd")
    error.exit_code = 4  # type: ignore[attr-defined]
    said = runner.perform(load(fail, error))
    assert said["reason"] == "exception"
    assert "exit_code" not in said


class Liar(Exception):
    def __reduce__(self) -> Any:
        return str, ("I was an exception",)


class Bomb(Exception):
    def __reduce__(self) -> Any:
        return sys.exit, (3,)


class Choosy(Exception):
    def __new__(cls, *arguments: Any) -> Choosy:
        if len(arguments) != 1:
            raise TypeError("one argument")
        return super().__new__(cls)

    def __init__(self, argument: int) -> None:
        super().__init__()


@pytest.mark.parametrize("error", [Liar(), Bomb(), Exception(lambda: (yield)), Choosy(1)])
def test_an_exception_that_would_not_come_back_is_left_out(error: Exception) -> None:
    said = runner.perform(load(fail, error))
    if isinstance(error, Choosy):
        assert said["exception"] is None
    else:  # cloudpickle takes even a generator; and what says how it is pickled is not believed
        assert type(pickle.loads(said["exception"])) is type(error)
    assert said["traceback"]


def test_a_value_that_cannot_be_pickled_fails_the_call() -> None:
    said = runner.pickled(runner.perform(load(lambda: (n for n in range(3)))))
    assert (said["status"], said["reason"]) == ("ERROR", "exception")
    assert said["message"].startswith("the call returned a generator that cannot be pickled: ")
    assert said["message"].endswith("; return a list of what it gives")
    assert "value" not in said


def test_names_lead_through_classes() -> None:
    assert runner.resolve("os.path:join") is __import__("os").path.join
    assert runner.resolve("pathlib:Path.home") == Path.home
    assert runner.resolve(len) is len
    with pytest.raises(AttributeError):
        runner.resolve("os:no.such")


def test_the_outcome_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    payload = ([str(tmp_path)], runner.dumps((fail, (ValueError("oh"),), {})))
    (tmp_path / "files" / "payload.pkl").write_bytes(pickle.dumps(payload))
    path = list(sys.path)
    try:
        assert runner.run_spooled(str(tmp_path)) == 1
        assert sys.path == [*path, str(tmp_path)]
    finally:
        sys.path[:] = path
    assert sorted(file.name for file in tmp_path.iterdir()) == ["files", "outcome.pkl"]
    assert pickle.loads((tmp_path / "outcome.pkl").read_bytes())["message"] == "ValueError: oh"


def test_what_pickles_while_another_thread_imports_cloudpickle_is_pickled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A module that is being imported is in sys.modules, and has nothing in it yet."""
    monkeypatch.setitem(sys.modules, "cloudpickle", types.ModuleType("cloudpickle"))
    assert pickle.loads(runner.dumps([1])) == [1]


def test_a_module_that_is_registered_is_sent_along(tmp_path: Path) -> None:
    """cloudpickle.register_pickle_by_value: the far end need not have the module."""
    (tmp_path / "only_here_by_value.py").write_text("def double(x): return 2 * x\n")
    script = """
import sys
import types
sys.path.insert(0, sys.argv[1])
import cloudpickle, only_here_by_value
from anyjob.standalone import runner
cloudpickle.register_pickle_by_value(only_here_by_value)
sys.stdout.buffer.write(runner.dumps((only_here_by_value.double, (4,), {})))
"""
    blob = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, check=True
    ).stdout
    fn, args, _ = pickle.loads(blob)
    assert fn(*args) == 8
