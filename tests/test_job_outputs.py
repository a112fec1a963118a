"""Files that jobs leave: as files and arguments of others, and fetched."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running
from support.cli_program import invoke

import anyjob
from anyjob import Command, DependencyFailedError, File
from anyjob.errors import JobError, SpecError
from anyjob.references import OutputPath
from anyjob.specs import outputs_in

LEAVES = 'echo model > model.txt; echo own > "$ANYJOB_SPOOL/own.txt"'
OWN = "$ANYJOB_SPOOL/own.txt"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with running(tmp_path_factory.mktemp("local")) as made:
            yield made


@pytest.fixture(params=["local", "threads", "processes", "inline"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    if request.param == "local":
        return request.getfixturevalue("local").backend
    return request.getfixturevalue("anyjob_session").get_backend(request.param)


def read_both(path: str, others: dict[str, list[str]]) -> tuple[str, str]:
    return Path(path).read_text(), Path(others["own"][0]).read_text()


def test_a_file_that_a_job_leaves_is_given_to_others_that_start_after_it(
    backend: Any, tmp_path: Path
) -> None:
    fit = backend.run(Command(["sh", "-c", f"sleep 0.2; {LEAVES}"]), name="fit")
    model, own = fit.output("model.txt"), fit.output(OWN)
    assert model == str(tmp_path / "model.txt")
    uses = Command(
        ["sh", "-c", 'cat "$ANYJOB_SPOOL/files/in" "$1" "$MODEL" -', "sh", model],
        files={"in": own},
        env={"MODEL": model},
        stdin=own,
    )
    command = backend.run(uses)
    call = backend.run(read_both, model, {"own": [own]})
    assert command.result(60).stdout.text().split() == ["own", "model", "model", "own"]
    assert call.result(60) == ("model\n", "own\n")
    assert command.spec().argv[-1] == model


def test_a_file_that_was_not_left_ends_what_needs_it_by_name(backend: Any) -> None:
    fit = backend.run(Command(["true"]), name="fit")
    for uses in (
        Command(["cat"], files={"in": fit.output("no.txt")}),
        Command(["cat", fit.output("no.txt")]),
    ):
        error = backend.run(uses).exception(60)
        assert f"job {fit.job_id()} (fit) has not left the file" in str(error)
        assert "no.txt" in str(error)
    failed = backend.run(Command(["false"]), name="fit")
    assert isinstance(backend.run(len, failed.output("no.txt")).exception(60), DependencyFailedError)


def test_what_a_job_left_is_fetched(backend: Any, tmp_path: Path) -> None:
    fit = backend.run(
        Command(["sh", "-c", f'{LEAVES}; mkdir "$ANYJOB_SPOOL/p"; echo p > "$ANYJOB_SPOOL/p/q"'])
    )
    fit.result(60)
    into = tmp_path / "got"
    assert fit.fetch("model.txt", "own.txt", into=into) == [into / "model.txt", into / "own.txt"]
    assert (into / "model.txt").read_text() == "model\n"
    assert set(fit.fetch(into=tmp_path / "all")) == {
        tmp_path / "all" / "own.txt",
        tmp_path / "all" / "p" / "q",
    }
    with pytest.raises(JobError, match=r"own.txt' is there already: fetch into another directory"):
        fit.fetch("own.txt", into=into)
    assert asyncio.run(anyjob.aio.fetch(fit, "own.txt", into=into, overwrite=True)) == [into / "own.txt"]
    with pytest.raises(JobError, match=r"has left no file '/.*/no.txt' and no file '/"):
        fit.fetch("no.txt")
    with pytest.raises(JobError, match="is no file: name the files in it"):
        fit.fetch("$ANYJOB_SPOOL/p")


def test_a_command_of_local_gets_a_link_and_no_copy(local: Local, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    fit = local.backend.run(Command(["sh", "-c", LEAVES]))
    uses = local.backend.run(
        Command(["sh", "-c", 'readlink "$ANYJOB_SPOOL/files/in"'], files={"in": fit.output("model.txt")})
    )
    assert uses.result(60).stdout.text().strip() == str(tmp_path / "model.txt")


def test_what_is_run_anew_with_what_it_needs_gets_the_new_files(
    local: Local, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    text = 'test -e ok || { touch ok; exit 1; }; echo anew > "$ANYJOB_SPOOL/own.txt"'
    fit = local.backend.run(Command(["sh", "-c", text]))
    uses = local.backend.run(Command(["cat", fit.output(OWN)]))
    assert isinstance(uses.exception(60), DependencyFailedError)
    _, again = local.session.rerun([fit], downstream=True)
    assert again.result(60).stdout.text() == "anew\n"


def test_the_file_is_text_elsewhere_and_where_it_makes_no_sense_is_refused(anyjob_session: Any) -> None:
    backend = anyjob_session.get_backend("threads")
    fit = backend.run(Command(["true"]))
    for name in ("", "/", "$ANYJOB_SPOOL/", "a\0b"):
        with pytest.raises(JobError, match="is no name of a file"):
            fit.output(name)
    with pytest.raises(JobError, match="has no directory of its own"):
        backend.run(len, "abc").output(OWN)
    assert fit.output("/x/y") == "/x/y"
    with pytest.raises(SpecError, match="cannot read the file '/no/such/file': No such"):
        File("/no/such/file").taken()
    moved = OutputPath("/s/ab/abc/x", "abc").of("def")
    assert (moved, outputs_in(Command(["cat", moved]))) == ("/s/de/def/x", [moved])


@pytest.mark.usefixtures("local_cli")
def test_fetch_on_the_command_line(tmp_path: Path) -> None:
    done = invoke("run", "--detach", "--", "sh", "-c", LEAVES)
    job = done.stdout.strip()
    invoke("wait", job)
    done = invoke("fetch", job, "--into", str(tmp_path / "got"))
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'got' / 'own.txt'}\n"), done.stderr
    for options, code, said in (([], 125, "is there already"), (["--overwrite"], 0, "")):
        again = invoke("fetch", job, "--into", str(tmp_path / "got"), *options)
        assert (again.exit_code, said in again.stderr) == (code, True)
    done = invoke("fetch", job, "nothing.txt")
    assert done.exit_code not in (0, 1)
    assert f"job {job} has left no file" in done.stderr
    os.unlink("model.txt")
