"""What a kind of work makes of its result: text, plain data, and files, wherever a result is asked for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.cli_program import invoke

import anyjob as library
from anyjob import BackendError, Call, Config, Registry, Session, Spec, TaskJob, set_default_session
from anyjob.cli import exit_codes


class Poem(Spec, frozen=True, tag="acme.poem"):
    """A poem.

    Args:
        line: its line.
        page: a field may be called as a file is.
    """

    line: str
    page: int = 1


class Verse:
    def __init__(self, line: str) -> None:
        self.line = line


class PoemJob(TaskJob):
    spec_type = Poem
    lowers_to = ("python",)
    writes: ClassVar[Mapping[str, str]] = {"page": "It, on this page."}

    @classmethod
    def lower(cls, spec: Any, to: str) -> Spec:
        return Call("builtins:str", (spec.line,))

    @classmethod
    def lift(cls, spec: Any, to: str, value: Any) -> Verse:
        return Verse(value)

    @classmethod
    def show(cls, value: Any) -> str:
        return f"~ {value.line} ~"

    @classmethod
    def to_builtins(cls, value: Any) -> Any:
        if value.line == "wordless":
            raise TypeError("there are no words for it")
        return {"line": value.line}

    @classmethod
    def write(cls, value: Any, what: str, path: str) -> None:
        if value.line == "unspeakable":
            raise BackendError("it cannot be put on paper")
        if value.line == "broken":
            raise ZeroDivisionError("of a plugin")
        Path(path).write_text(f"{what}: {value.line}")

    @classmethod
    def check_write(cls, what: str, path: str) -> None:
        if path.endswith(".stone"):
            raise BackendError(f"{what}: nothing is written in stone")


@pytest.fixture(autouse=True)
def _kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    registry = Registry()
    registry.register_job_type("acme.poem", PoemJob)
    set_default_session(Session(Config.from_dict({"default_backend": "threads"}), registry))
    yield
    set_default_session(None)


def poem(*arguments: str) -> Any:
    return invoke("run", "--type", "acme.poem", *arguments)


def kept(line: str) -> str:
    """Have a poem made by a durable backend; return the id of its job."""
    done = poem("-b", "local", "--detach", "--line", line)
    assert done.exit_code == 0, done.stderr
    return str(done.stdout).strip()


SWEEP = """
[job]
type = "acme.poem"
line = "{line}"
[matrix]
line = ["a rose", "an ox"]
"""


def test_a_path_that_cannot_be_written_to_is_refused_before_the_work_is_run(tmp_path: Path) -> None:
    done = poem("-b", "local", "--line", "a rose", "--write", "page=p.stone")
    assert (done.exit_code, done.stdout) == (exit_codes.FAILED, "")
    (tmp_path / "one.toml").write_text('[job]\ntype = "acme.poem"\nline = "x"\n[write]\npage = "p.stone"\n')
    of_file = invoke("run", "one.toml", "-b", "local")
    assert "page: nothing is written in stone" in done.stderr
    assert "page: nothing is written in stone" in of_file.stderr
    assert library.jobs() == []


def test_a_result_is_shown_as_its_kind_shows_it() -> None:
    assert poem("--line", "a rose").stdout == "~ a rose ~\n"
    assert invoke("result", kept("a rose")).stdout == "~ a rose ~\n"


def test_a_result_is_the_same_plain_data_everywhere(tmp_path: Path) -> None:
    assert json.loads(poem("--line", "a rose", "--json").stdout)["result"] == {"line": "a rose"}
    assert json.loads(invoke("result", kept("a rose"), "--json").stdout) == {"line": "a rose"}
    (tmp_path / "poems.toml").write_text(SWEEP)
    jobs = json.loads(invoke("run", "poems.toml", "--json").stdout)["jobs"]
    assert [job["result"] for job in jobs] == [{"line": "a rose"}, {"line": "an ox"}]


def test_a_result_without_a_form_as_json_is_told(tmp_path: Path) -> None:
    why = "the result cannot be written as JSON (there are no words for it)"
    done = poem("--line", "wordless", "--json")
    assert (done.exit_code, why in done.stderr) == (exit_codes.FAILED, True)
    known = json.loads(done.stdout)
    assert (known["state"], known["result"], why in known["error"]) == ("DONE", None, True)
    done = invoke("result", kept("wordless"), "--json")
    assert (done.exit_code, done.stdout, why in done.stderr) == (exit_codes.FAILED, "", True)
    (tmp_path / "poems.toml").write_text(SWEEP.replace("an ox", "wordless"))
    done = invoke("run", "poems.toml")
    assert (done.exit_code, "~ wordless ~" in done.stdout) == (0, True), done.stderr
    done = invoke("run", "poems.toml", "--json")
    found = [(job["state"], job["result"]) for job in json.loads(done.stdout)["jobs"]]
    assert (done.exit_code, found) == (1, [("DONE", {"line": "a rose"}), ("DONE", None)])


def test_files_are_made_of_a_result(tmp_path: Path) -> None:
    done = poem("--line", "a rose", "--page", "7", "--write", "page=p.txt")
    assert (done.exit_code, done.stdout) == (0, "~ a rose ~\n")
    assert (tmp_path / "p.txt").read_text() == "page: a rose"
    assert "page: It, on this page." in " ".join(poem("--help").stdout.split())


def test_files_are_made_of_the_result_of_an_earlier_job(tmp_path: Path) -> None:
    job_id = kept("a rose")
    done = invoke("result", job_id, "--write", "page=p.txt")
    assert (done.exit_code, done.stdout) == (0, "~ a rose ~\n")
    assert (tmp_path / "p.txt").read_text() == "page: a rose"
    done = invoke("result", job_id, "--write", "pages=p.txt")
    assert done.exit_code == exit_codes.FAILED
    assert "work of kind 'acme.poem' writes no 'pages'; did you mean 'page'?" in done.stderr


@pytest.mark.parametrize("backend", ["threads", "local"])
def test_a_job_file_has_files_made_of_each_result(backend: str, tmp_path: Path) -> None:
    beside = tmp_path / "jobs"
    beside.mkdir()
    (beside / "poems.toml").write_text(SWEEP + '[write]\npage = "{line}.txt"\n')
    for _ in range(2):  # on a durable backend, all is done the second time, and its files are made anew
        done = invoke("run", "jobs/poems.toml", "-b", backend)
        assert done.exit_code == 0, done.stderr
        for name in ("a rose", "an ox"):
            written = beside / f"{name}.txt"
            assert written.read_text() == f"page: {name}"
            written.unlink()


def test_a_job_file_of_one_job_has_files_made_of_its_result(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(
        '[job]\ntype = "acme.poem"\nline = "a rose"\n[write]\npage = "p.txt"\n'
    )
    assert invoke("run", "one.toml").stdout == "~ a rose ~\n"
    assert (tmp_path / "p.txt").read_text() == "page: a rose"


@pytest.mark.parametrize(
    ("line", "path", "said"),
    [
        ("{line}", "p.txt", "write.page: 'p.txt' would be written twice: put what tells the jobs apart into"),
        ("{line}", "no/{line}", "write.page: there is no directory"),
        ("unspeakable", "{line}", "could not be written: it cannot be put on paper"),
    ],
)
def test_a_job_file_whose_files_cannot_be_made(line: str, path: str, said: str, tmp_path: Path) -> None:
    text = SWEEP.replace('line = "{line}"', f'line = "{line}"')
    (tmp_path / "poems.toml").write_text(f'{text}[write]\npage = "{path}"\n')
    done = invoke("run", "poems.toml")
    assert done.exit_code != 0
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--line", "unspeakable", "--write", "page=p.txt"], "not be written: it cannot be put on paper"),
        (["--line", "broken", "--write", "page=p.txt"], "not be written: ZeroDivisionError: of a plugin"),
        (["--line", "a rose", "--write", "page=no/p.txt"], "--write page: there is no directory 'no'"),
        (["--line", "a rose", "--write", "p=p.txt"], "writes no 'p'; there are: page"),
        (["--line", "a rose", "--write", "page"], "--write takes KEY=VALUE"),
        (["--line", "a rose", "--write", "page=p.txt", "--detach"], "which --detach does not wait for"),
    ],
)
def test_a_file_that_cannot_be_made_is_an_error(arguments: list[str], said: str) -> None:
    done = poem(*arguments)
    assert (done.exit_code, said in done.stderr) == (exit_codes.FAILED, True), done.stderr


def test_files_are_of_kinds_of_work() -> None:
    done = invoke("run", "--write", "page=p.txt", "--", "true")
    assert (done.exit_code, "--write can be given with --type" in done.stderr) == (exit_codes.FAILED, True)


def test_a_kind_that_declares_what_it_does_not_do_says_so() -> None:
    with pytest.raises(Exception, match="declares that it writes 'x', and does not"):
        TaskJob.write(None, "x", "p.txt")
    assert TaskJob.show(3) is None


@dataclasses.dataclass
class Point:
    x: float
    names: dict[int, str]


class Odd(float):
    """As NumPy's float64 is one."""


class Array:
    def tolist(self) -> list[int]:
        return [1, 2]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Point(1.5, {1: "a"}), {"x": 1.5, "names": {"1": "a"}}),
        ({"a": (Odd(0.5), Array())}, {"a": (0.5, [1, 2])}),
        ([Path("/a"), b"a"], ["/a", "YQ=="]),
    ],
)
def test_what_results_are_as_plain_data_by_default(value: Any, plain: Any) -> None:
    assert TaskJob.to_builtins(value) == plain
