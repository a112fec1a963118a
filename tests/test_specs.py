"""Specs: what they take, and what they refuse."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob import specs
from anyjob.errors import SpecError
from anyjob.job import JobStatus
from anyjob.outcome import Outcome
from anyjob.resources import MAX_NAME, Resources, make_resources
from anyjob.specs import MAX_ARGUMENT, Call, Command, File, Spec, as_spec, kind_of, with_files


class Notebook(Spec, frozen=True, tag="acme.notebook"):
    path: File
    parameters: dict[str, Any] = {}
    more: tuple[File, ...] = ()
    cover: File | None = None


@pytest.mark.parametrize("spec_type", [Command, Call])
def test_the_files_of_our_own_kinds_are_those_that_their_fields_say(
    spec_type: type[Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = specs.file_fields(spec_type)
    monkeypatch.setattr(specs, "_FILE_FIELDS", {})
    assert specs.file_fields(spec_type) == known


# --- Command --------------------------------------------------------------------------------------


def test_a_command_takes_text_bytes_and_paths() -> None:
    command = Command(["cp", b"\xff\xfe", Path("/tmp/x")], env={"A": b"\xff", "B": Path("y")}, cwd=Path("/"))  # type: ignore[list-item, dict-item, arg-type]
    assert command.argv == ["cp", "\udcff\udcfe", "/tmp/x"]
    assert os.fsencode(command.argv[1]) == b"\xff\xfe"
    assert command.env == {"A": "\udcff", "B": "y"}
    assert command.cwd == "/"
    assert Command(("ls", "-l")).argv == ["ls", "-l"]  # type: ignore[arg-type]


@given(st.binary(max_size=50).filter(lambda data: b"\0" not in data))
def test_bytes_survive_in_a_command(data: bytes) -> None:
    """psij-python#423: values were mangled. Byte for byte, UTF-8 or not."""
    command = Command(["x", data], env={"V": data})  # type: ignore[list-item, dict-item]
    again = pickle.loads(pickle.dumps(command))
    assert os.fsencode(again.argv[1]) == data
    assert os.fsencode(again.env["V"]) == data


@pytest.mark.parametrize("line", ["ls -l", b"ls -l"])
def test_a_line_for_a_list_is_refused_and_told_how_to_split(line: Any) -> None:
    with pytest.raises(SpecError, match=r"takes a list, not a line: Command\(shlex\.split\(b?'ls -l'\)\)"):
        Command(line)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"argv": []}, "at least the name of a program"),
        ({"argv": [""]}, "at least the name of a program"),
        ({"argv": ["a", 3]}, "an argument of a Command is 3, of type int"),
        ({"argv": ["a", None]}, "an argument of a Command is None"),
        ({"argv": ["a\0b"]}, "an argument of a Command holds a NUL byte"),
        ({"argv": ["a", b"\0"]}, "an argument of a Command holds a NUL byte"),
        ({"argv": ["a", "\ud800"]}, "an argument of a Command is no text that can be written as bytes"),
        ({"argv": ["a"], "cwd": "/x\0"}, "cwd of a Command holds a NUL byte"),
        ({"argv": ["a"], "env": {"A": "b\0"}}, "the variable 'A' of a Command holds a NUL byte"),
        ({"argv": ["a"], "env": {"A": 3}}, "the variable 'A' of a Command is 3"),
        ({"argv": ["a"], "env": {"": "x"}}, "'' cannot be the name of an environment variable"),
        ({"argv": ["a"], "env": {"A=B": "x"}}, "'A=B' cannot be the name of an environment variable"),
        ({"argv": ["a"], "files": {"../x": "y"}}, r"'\.\./x' cannot be the name of a file"),
        ({"argv": ["a"], "files": {"..": "y"}}, r"'\.\.' cannot be the name of a file"),
        ({"argv": ["a"], "files": {"": "y"}}, "'' cannot be the name of a file"),
        ({"argv": ["a"], "files": {"é" * 128: "y"}}, "of 255 bytes at most"),
        ({"argv": ["a"], "files": {"a\0": "y"}}, "NUL byte"),
    ],
)
def test_a_command_that_could_not_be_run_anywhere_is_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Command(**arguments)


@pytest.mark.parametrize("fill", ["a", "é", "\udcff"])
def test_the_limit_of_an_argument_is_that_of_the_system(fill: str) -> None:
    size = len(os.fsencode(fill))
    longest = fill * (MAX_ARGUMENT // size) + "x" * (MAX_ARGUMENT % size)
    Command(["a", longest])
    with pytest.raises(
        SpecError, match="131,072 bytes; the operating system takes 131,071 at most: put it into"
    ):
        Command(["a", longest + "x"])
    Command(["a"], env={"A": longest[: -2 * size] if size == 1 else "a" * (MAX_ARGUMENT - 2)})
    with pytest.raises(SpecError, match="the variable 'A' of a Command has"):
        Command(["a"], env={"A": longest})  # with its name and '=' it is too long


def test_the_limit_of_an_argument_is_the_real_one() -> None:
    import subprocess

    subprocess.run(["true", "a" * MAX_ARGUMENT], check=True)
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["true", "a" * (MAX_ARGUMENT + 1)], check=True)


# --- Call -----------------------------------------------------------------------------------------


def test_a_call_takes_what_can_be_called() -> None:
    assert Call(len, [1]).args == (1,)
    assert Call("os.path:join", ("a", "b")).fn == "os.path:join"


@pytest.mark.parametrize("fn", [None, 3, "os.path.join", ":join", "os.path:", "", [len]])
def test_a_call_refuses_the_rest(fn: Any) -> None:
    with pytest.raises(SpecError, match="something callable, or 'module:function'"):
        Call(fn)


def test_a_call_of_what_a_function_returned_is_told() -> None:
    with pytest.raises(SpecError, match="the result of a call"):
        Call(print())  # type: ignore[call-overload]


def test_the_arguments_of_a_call_are_no_text() -> None:
    with pytest.raises(SpecError, match=r"args=\('abc',\)"):
        Call(len, "abc")


# --- File -----------------------------------------------------------------------------------------


def test_a_field_of_files_takes_paths(tmp_path: Path) -> None:
    source = tmp_path / "a.ipynb"
    source.write_bytes(b"one")
    book = Notebook(source, cover=str(source))  # type: ignore[arg-type]
    assert book.path == File(str(source))
    assert book.cover == File(str(source))
    assert File(source).path == str(source)  # type: ignore[arg-type]


def test_the_content_of_a_file_is_taken_once(tmp_path: Path) -> None:
    source = tmp_path / "a.ipynb"
    source.write_bytes(b"one")
    taken = with_files(Notebook(source, more=(File(str(source)),)))  # type: ignore[arg-type]
    source.write_bytes(b"two")
    assert isinstance(taken, Notebook)
    assert taken.path.content == b"one"
    assert taken.more[0].content == b"one"
    assert taken.path.taken() is taken.path
    command = with_files(Command(["a"], files={"x": source}))  # type: ignore[dict-item]
    assert isinstance(command, Command)
    assert command.files["x"].content == b"two"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot read the file '.*/none': No such file"):
        with_files(Notebook(tmp_path / "none"))  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="Is a directory"):
        File(str(tmp_path)).taken()


# --- kinds ----------------------------------------------------------------------------------------


def test_the_kind_of_a_spec_is_its_tag() -> None:
    assert kind_of(Command(["a"])) == kind_of(Command) == "command"
    assert kind_of(Call) == "python"
    assert kind_of(Notebook(File("x"))) == "acme.notebook"


def test_what_is_no_spec_is_refused() -> None:
    with pytest.raises(SpecError, match=r"\['ls'\] is not a spec: give a Command"):
        kind_of(["ls"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("work", "meant"),
    [
        ("fits.linear.fit", "'fits.linear:fit'"),
        ("ls -l", "Command(shlex.split('ls -l'))"),
        (["ls", "-l"], "Command(['ls', '-l'])"),
    ],
)
def test_plain_data_in_the_place_of_a_spec_is_told_what_it_may_have_meant(work: Any, meant: str) -> None:
    with pytest.raises(SpecError) as refused:
        kind_of(work)
    assert str(refused.value).endswith(f"; did you mean {meant}?")


def test_a_keyword_that_is_no_resource_is_told_which_may_be_meant() -> None:
    with pytest.raises(SpecError, match=r"'cpu' is none \(did you mean 'cpus'\?\); for an argument"):
        as_spec(abs, (3,), ["cpu"])
    with pytest.raises(SpecError, match=r"'seed' is none; for an argument of the function: run\(Call\(abs"):
        as_spec(abs, (3,), ["seed"])


def test_a_spec_without_a_tag_is_told_how_to_declare_one() -> None:
    class Untold(Spec, frozen=True):
        pass

    with pytest.raises(SpecError, match="Untold has no kind: declare it as class"):
        kind_of(Untold)


# --- Resources ------------------------------------------------------------------------------------


def test_resources_take_what_people_write() -> None:
    asked = make_resources(
        {"cpus": "4", "memory": "8GiB", "gpus": 0, "nodes": 2, "walltime": "1:30:00", "tags": {"n": 3},
         "options": {"slurm": {"partition": "gpu"}}, "name": "fit", "restartable": True}
    )  # fmt: skip
    assert asked == Resources(
        cpus=4, memory=8 * 2**30, gpus=0, nodes=2, walltime=5400.0, name="fit", tags={"n": "3"},
        options={"slurm": {"partition": "gpu"}}, restartable=True,
    )  # fmt: skip
    assert make_resources({}) == Resources()
    assert make_resources({"memory": "8B"}).memory == 8
    assert make_resources({"memory": 2**20}).memory == 2**20
    assert make_resources({"walltime": "2h"}).walltime == 7200
    assert make_resources({"gpus": "0.5"}).gpus == 0.5
    assert make_resources({"gpus": 1.0}).gpus == 1
    assert make_resources({"gpu_memory": "6GiB"}).gpu_memory == 6 * 2**30
    assert make_resources({"needs": {"license": "2", "disk": 0}}).needs == {"license": 2}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cpus": 0}, "cpus: 0 does not do"),
        ({"cpus": 2.5}, "cpus: 2.5"),
        ({"nodes": "none"}, "nodes: 'none'"),
        ({"gpus": -1}, "gpus: -1"),
        ({"gpus": 1.5}, "gpus: 1.5 does not do: it must be a whole number, or a fraction below 1"),
        ({"gpus": "1/2"}, "gpus: '1/2' does not do"),
        ({"gpu_memory": 6}, 'gpu_memory = 6 is in bytes: write "6GiB"'),
        ({"needs": {"license": -1}}, "needs: license: -1 does not do"),
        ({"needs": {"license": 0.5}}, "needs: license: 0.5 does not do"),
        ({"needs": {"cpus": 2}}, "needs: cpus is asked for by itself: cpus=2"),
        ({"needs": ["license"]}, "needs go by name: {"),
        ({"memory": "8 gigs"}, "memory: '8 gigs' is not understood"),
        ({"walltime": "1:30"}, "walltime: '1:30' could be hours or minutes"),
        ({"walltime": -1}, "walltime: -1"),
        ({"name": 3}, "name is text"),
        ({"name": "a\0"}, "name is text without NUL"),
        ({"name": "a" * (MAX_NAME + 1)}, "name has 255 bytes at most"),
        ({"tags": ["a"]}, "tags are a mapping"),
        ({"tags": {1: "a"}}, "the names of tags are text"),
        ({"options": {"partition": "gpu"}}, "options go by the type of the backend"),
        ({"options": 3}, "options go by the type of the backend"),
        ({"restartable": "yes"}, "restartable is True or False"),
        ({"cpu": 3}, "unknown resource 'cpu'; did you mean 'cpus'?"),
        ({"timeout_min": 3}, "unknown resource 'timeout_min'; did you mean 'walltime'?"),
        ({"memory": 8}, 'memory = 8 is in bytes: write "8GiB" or "8MiB", or "8B" if bytes are meant'),
        ({"memory": 4000}, 'write "4000GiB" or "4000MiB"'),
        ({"partition": "x"}, "unknown resource 'partition'; there are: cpus, memory"),
    ],
)
def test_resources_that_make_no_sense_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says.replace("?", r"\?").replace("(", r"\(")):
        make_resources(given)


# --- they travel ----------------------------------------------------------------------------------


def test_specs_and_outcomes_pickle() -> None:
    for thing in (
        Command(["a"], env={"A": "b"}, stdin=File("x", b"y")),
        Call(len, ([1],)),
        Resources(cpus=3),
        Outcome(status=JobStatus.DONE, value=b"x"),
        Notebook(File("x", b"y")),
    ):
        assert pickle.loads(pickle.dumps(thing)) == thing


def test_specs_are_not_changed() -> None:
    with pytest.raises(AttributeError):
        Command(["a"]).argv = ["b"]  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Resources().cpus = 3  # type: ignore[misc]


def test_a_command_goes_through_json_with_its_kind() -> None:
    command = Command(["a", "b"], env={"A": "ä"}, cwd="/")
    text = msgspec.json.encode(command)
    assert b'"kind":"command"' in text
    assert msgspec.json.decode(text, type=Command) == command


def test_bytes_in_place_of_the_file_on_stdin_are_refused_with_the_way_out() -> None:
    with pytest.raises(SpecError, match=r'File\("stdin", content\): it is not b\'x\''):
        Command(["cat"], stdin=b"x")  # type: ignore[arg-type]
    assert Command(["cat"], stdin=File("stdin", b"x")).stdin == File("stdin", b"x")
