"""What a kind of work makes of its result for a person: text, and files that ``anyjob run`` is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.cli_program import invoke

from anyjob import BackendError, Call, Config, Registry, Session, Spec, TaskJob, set_default_session
from anyjob.cli import exit_codes


class Poem(Spec, frozen=True, tag="acme.poem"):
    """A poem.

    Args:
        line: its line.
        big: whether it is to be shouted.
    """

    line: str
    big: bool = False


class PoemJob(TaskJob):
    spec_type = Poem
    lowers_to = ("python",)
    writes: ClassVar[Mapping[str, str]] = {"page": "Write it on this page.", "big": "A field has that name."}

    @classmethod
    def lower(cls, spec: Any, to: str) -> Spec:
        return Call("builtins:str", (spec.line,))

    @classmethod
    def show(cls, value: Any) -> str:
        return f"~ {value} ~"

    @classmethod
    def write(cls, value: Any, what: str, path: str) -> None:
        if value == "unspeakable":
            raise BackendError("it cannot be put on paper")
        Path(path).write_text(f"{what}: {value}")


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


def test_a_result_is_shown_as_its_kind_shows_it() -> None:
    assert poem("--line", "a rose").stdout == "~ a rose ~\n"
    assert json.loads(poem("--line", "a rose", "--json").stdout)["result"] == "a rose"


def test_files_are_made_of_a_result(tmp_path: Path) -> None:
    done = poem("--line", "a rose", "--page", "p.txt")
    assert (done.exit_code, done.stdout) == (0, "~ a rose ~\n")
    assert (tmp_path / "p.txt").read_text() == "page: a rose"
    assert "--page FILE" in poem("--help").stdout
    assert "Write it on this page." in poem("--help").stdout


def test_a_field_goes_before_a_file_of_the_same_name() -> None:
    assert poem("--line", "a rose", "--big").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--line", "unspeakable", "--page", "p.txt"], "--page: it cannot be put on paper"),
        (["--line", "a rose", "--page", "no/p.txt"], "--page: there is no directory 'no'"),
        (["--line", "a rose", "--page", "p.txt", "--detach"], "which --detach does not wait for"),
    ],
)
def test_a_file_that_cannot_be_made_is_an_error(arguments: list[str], said: str) -> None:
    done = poem(*arguments)
    assert (done.exit_code, said in done.stderr) == (exit_codes.FAILED, True)


def test_a_kind_that_declares_what_it_does_not_do_says_so() -> None:
    with pytest.raises(Exception, match="declares that it writes 'x', and does not"):
        TaskJob.write(None, "x", "p.txt")
    assert TaskJob.show(3) is None
