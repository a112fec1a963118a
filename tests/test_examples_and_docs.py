"""Every example of README.md and docs/ is executed, and so is every program in examples/."""

from __future__ import annotations

import http.client
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import sysconfig
import tomllib
import venv
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from run_page import Block, Page, blocks, changed, commands, matches, with_free_ports

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 600
"""Seconds that the examples of a page may take: some run all of the kit."""
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]
NOT_RUN = [
    (page, block)
    for page in PAGES
    for block in blocks(page.read_text(encoding="utf-8"))
    if block.key == "skip"
]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables for a process that sees nothing of ours but what is installed here."""
    home = tmp_path_factory.mktemp("home")
    kept = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "LC_", "LANG"))}
    named = {key: os.environ[key] for key in ("PATH", "XDG_RUNTIME_DIR")}
    return {**kept, **named, "HOME": str(home), "COLUMNS": "100"}


def make_environment(directory: Path) -> Path:
    """Make a virtual environment that sees what is installed here, and into which a page may install more."""
    venv.create(directory, symlinks=True, with_pip=False)
    binaries = directory / "bin"
    python = binaries / "python"
    purelib = sysconfig.get_path("purelib", vars={"base": str(directory), "platbase": str(directory)})
    ours = sysconfig.get_path("purelib")
    Path(purelib, "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    scripts = {
        "anyjob": "-c 'import sys; sys.argv[0] = \"anyjob\"; from anyjob.cli import main; sys.exit(main())'",
        "pip": "-m pip",
        "sphinx-build": "-m sphinx",
    }
    for name, arguments in scripts.items():
        script = binaries / name
        script.write_text(f'#!/bin/sh\nexec "{python}" {arguments} "$@"\n')
        script.chmod(0o755)
    return binaries


@pytest.mark.timeout(LIMIT + 30)
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_examples_of_the_page_do_what_they_show(
    page: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    binaries = make_environment(tmp_path / "venv")
    work = tmp_path / "work"
    work.mkdir()
    (work / "examples").symlink_to(ROOT / "examples")  # pages are read in a clone
    done = subprocess.run(
        [str(binaries / "python"), str(ROOT / "tests" / "run_page.py"), str(page)],
        cwd=work,
        env={
            **environment,
            "PATH": f"{binaries}{os.pathsep}{environment['PATH']}",
            # What builds a page's plugin is installed here: nothing is fetched.
            "PIP_NO_BUILD_ISOLATION": "false",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        },
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


if NOT_RUN:

    @pytest.mark.parametrize(
        ("page", "block"), NOT_RUN, ids=[f"{name_of(page)}:{block.line}" for page, block in NOT_RUN]
    )
    def test_example_that_is_not_run(page: Path, block: Block) -> None:
        assert block.value, "a block that is not run needs a reason: <!-- skip: REASON -->"
        pytest.skip(block.value)


def run_example(*arguments: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def test_sunspots_have_a_cycle_of_about_eleven_years(environment: dict[str, str]) -> None:
    fitted = json.loads(
        run_example("examples/sunspots/fit.py", "--order", "9", "--window", "240", environment=environment)
    )
    assert 10 < fitted["cycle_years"] < 11.5
    assert fitted["skill"] > 0.6


def test_levinson_durbin_solves_the_yule_walker_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "sunspots"))
    import fit  # type: ignore[import-not-found,unused-ignore]

    covariances = fit.autocovariances(list(fit.read(fit.DATA).values()), 5)
    weights, variance = fit.levinson_durbin(covariances)
    for lag in range(1, 6):
        predicted = sum(w * covariances[abs(lag - k)] for k, w in enumerate(weights, start=1))
        assert predicted == pytest.approx(covariances[lag])
    explained = sum(w * c for w, c in zip(weights, covariances[1:], strict=True))
    assert variance == pytest.approx(covariances[0] - explained)


def test_demo_kills_its_client_and_goes_on_with_every_combination(environment: dict[str, str]) -> None:
    """executorlib#412, PR#721: a job should outlive its client; a restart submitted it twice."""
    told = run_example("scripts/demo", environment={**environment, "TMPDIR": environment["HOME"]})
    _, again = told.split("The same sweep again goes on where it was left off")
    rows, ledger = again.split("24 jobs in the ledger: ")
    assert rows.count(" DONE ") == 24
    assert "rmse" in rows
    assert "all DONE at attempt 1." in ledger


def test_ten_lines_are_ten_and_run(environment: dict[str, str]) -> None:
    program = ROOT / "examples" / "ten_lines.py"
    text = program.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 10
    assert text in (ROOT / "README.md").read_text(encoding="utf-8")
    assert run_example(str(program), environment=environment)


def test_embedding_service_serves_two_users_side_by_side(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "examples/embedding/service.py", "--port", "0"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split("http://")[1].strip()

            def ask(method: str, path: str, user: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
                connection = http.client.HTTPConnection(address, timeout=60)
                connection.request(method, path, body, {"Authorization": f"Bearer a-token-of-{user}"})
                response = connection.getresponse()
                return response.status, json.load(response)

            made = {user: ask("POST", "/jobs", user, '{"below": 1000}') for user in ("alice", "bob")}
            assert {user: answer["backend"] for user, (_, answer) in made.items()} == {
                "alice": "ThreadsBackend",
                "bob": "ProcessesBackend",
            }
            for user, (status, answer) in made.items():
                job_id = answer["id"]
                assert status == 201
                assert ask("GET", f"/jobs/{job_id}/result", user) == (200, {"id": job_id, "result": 168})
                assert ask("GET", f"/jobs/{job_id}", user) == (200, {"id": job_id, "state": "DONE"})
            assert ask("GET", f"/jobs/{made['bob'][1]['id']}", "alice")[0] == 404
            assert ask("POST", "/jobs", "mallory", '{"below": 10}')[0] == 401
            assert ask("POST", "/jobs", "alice", '{"below": "many"}')[0] == 400
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def test_forms_are_drawn_of_whatever_is_installed(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "examples/forms/forms.py", "--port", "0"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split("http://")[1].strip()

            def ask(path: str, **given: str) -> tuple[int, str]:
                connection = http.client.HTTPConnection(address, timeout=60)
                connection.request("POST" if given else "GET", path, urlencode(given) or None)
                response = connection.getresponse()
                return response.status, response.read().decode()

            assert '<a href="/backends/local">' in ask("/")[1]
            status, drawn = ask("/backends/local")
            assert status == 200
            assert '<input type="number" step="1" name="slots" value="2">' in drawn
            assert "<option>full</option><option selected>normal</option>" in drawn
            assert 'name="hide_gpus" value="true" checked' in drawn
            given = {
                "its-name": "my box", "slots": "many", "durability": "full", "preload": '["json"]',
                "hide_gpus": "true",
            }  # fmt: skip
            wrong = ask("/backends/local", **given)[1]
            assert "the form: backends.my box.slots: expected integer, got string" in unescape(wrong)
            assert 'name="slots" value="many"' in wrong
            right = unescape(ask("/backends/local", **{**given, "slots": "4"})[1])
            written = right.partition("<pre>")[2].partition("</pre>")[0]
            assert tomllib.loads(written) == {
                "backends": {
                    "my box": {"type": "local", "slots": 4, "durability": "full", "preload": ["json"]}
                }
            }
            assert ask("/backends/<script>")[0] == 404
            assert "<script>" not in ask("/backends/<script>")[1]
            assert ask("/nowhere")[0] == 404
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


@pytest.mark.parametrize("script", ["write-architecture", "write-reference"])
def test_what_is_written_into_pages_is_what_the_code_says(script: str) -> None:
    arguments = [sys.executable, str(ROOT / "scripts" / script), "--check"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "reference").glob("*.md")), ids=name_of)
def test_the_reference_can_be_read_as_markdown(page: Path) -> None:
    """Nothing in it is a directive or a substitution, which only Sphinx would expand."""
    text = page.read_text(encoding="utf-8")
    shown = [block.language for block in blocks(text)]
    assert not [language for language in shown if language.startswith("{")]
    prose = re.sub(r"^```.*?^```$|`[^`]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "{{" not in prose
    for written in re.findall(
        r"<!-- by scripts/write-reference: .*? -->\n(.*?)<!-- end -->", text, re.DOTALL
    ):
        assert len(written.split()) > 5


def test_docstrings_become_markdown() -> None:
    markdown = runpy.run_path(str(ROOT / "scripts" / "write-reference"))["markdown"]
    said = """Does it, with ``care``.

    Args:
        one: the first,
            which is long.
        *more: the others.

    Returns:
        what came
        of it.

    Raises:
        KeyError: there is none::

    As here::

        do(``it``)

    And so on.
    """
    assert markdown(said) == (
        "Does it, with `care`.\n\n**Arguments**\n\n- `one`: the first, which is long.\n"
        "- `*more`: the others.\n\n"
        "**Returns** what came of it.\n\n**Raises**\n\n- `KeyError`: there is none::\n\nAs here:\n\n"
        "```text\ndo(``it``)\n```\n\nAnd so on."
    )


def test_every_environment_variable_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "anyjob"
    # What the processes of the local backend tell each other is nobody else's.
    files = [path for path in source.rglob("*.py") if "local" not in path.parts]
    used = {name for path in files for name in re.findall(r"\bANYJOB_[A-Z]+(?:_[A-Z]+)*", path.read_text())}
    assert {name for name in used if name not in page} == set()


def test_every_file_of_the_state_directory_is_in_the_reference_and_private(
    environment: dict[str, str], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    work = "import anyjob; print(anyjob.get_backend().run(anyjob.Call(abs, (-1,))).result(60))"
    run_example("-c", work, environment={**environment, "ANYJOB_STATE": str(state)})
    paths = [path for path in state.rglob("*") if not path.is_symlink()]
    modes = {str(path): path.stat().st_mode & 0o777 for path in [state, *paths]}
    assert modes == {str(path): 0o700 if path.is_dir() else 0o600 for path in [state, *paths]}
    page = (ROOT / "docs" / "reference" / "state.md").read_text(encoding="utf-8")
    # Ids, bulks and hosts have names of their own.
    named = {path.name for path in paths if path.is_file() and path.parent.name != "env"}
    assert {"ledger.sqlite", "keeper.log", "outcome.pkl"} <= named
    assert {name for name in named if name not in page} <= {"ledger.sqlite-wal", "ledger.sqlite-shm"}


def test_every_reason_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "outcomes.md").read_text(encoding="utf-8")
    files = list((ROOT / "src" / "anyjob").rglob("*.py"))
    said = {
        reason for path in files for reason in re.findall(r'reason(?:"\])? ?= ?"([a-z-]+)"', path.read_text())
    }
    assert {"lost", "walltime", "missing-module"} <= said
    assert {reason for reason in said if f"| `{reason}` |" not in page} == set()


def test_every_hook_has_a_docstring_and_so_is_in_the_reference() -> None:
    from anyjob import hookspecs

    hooks = {name: getattr(hookspecs, name) for name in dir(hookspecs) if name.startswith("anyjob_")}
    assert len(hooks) == 8
    assert [name for name, hook in hooks.items() if not hook.__doc__] == []


def test_every_class_of_the_conformance_kit_is_in_the_reference() -> None:
    from anyjob import testing

    page = (ROOT / "docs" / "reference" / "testing.md").read_text(encoding="utf-8")
    assert [name for name in testing.__all__ if f"### {name}\n" not in page] == []


# What executes the pages is itself tested: a checker that passes everything is worse than none.


def test_blocks_carry_their_comment_and_line() -> None:
    page = "a\n\n<!-- file: x/anyjob.toml -->\n```toml\na = 1\n```\n\n```console\n$ true\n```\n"
    assert blocks(page) == [
        Block(5, "toml", "a = 1\n", "file", "x/anyjob.toml"),
        Block(9, "console", "$ true\n", "", ""),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a ... c", "a b c", True),
        ("a\n...\nc", "a\nb\nb\nc", True),
        ("a", "b", False),
        ("a.c", "abc", False),
        ("a", "a\nb", False),
    ],
)
def test_outputs_are_compared(shown: str, printed: str, same: bool) -> None:
    assert matches(shown, printed) is same


def test_commands_of_a_console_block() -> None:
    text = "$ echo a \\\n  b\na b\n$ true\n"
    assert commands(text) == [("echo a \\\n  b", "a b\n"), ("true", "")]


@pytest.mark.parametrize(
    "block",
    [
        Block(1, "python", "1 / 0\n", "", ""),
        Block(1, "console", "$ false\n", "", ""),
        Block(1, "console", "$ echo a\nb\n", "", ""),
        Block(1, "console", "echo a\n", "", ""),
        Block(1, "bash", "false\ntrue\n", "", ""),
        Block(1, "toml", "a = \n", "", ""),
        Block(1, "text", "something\n", "output", ""),
        Block(1, "pyhton", "", "", ""),
        Block(1, "", "", "", ""),
    ],
    ids=str,
)
def test_an_example_that_fails_is_noticed(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ZeroDivisionError, AssertionError, ValueError)):
        Page("page.md").execute(block)


def test_a_file_is_added_to_and_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Page("page.md")
    page.execute(Block(1, "python", "import a\n\nx = 1\n", "file", "a/b.py"))
    page.execute(Block(5, "python", "y = 2\n", "add", "a/b.py"))
    page.execute(Block(9, "python", "x = 3\nz = 4\ny = 5\n", "change", "a/b.py"))
    assert Path("a/b.py").read_text() == "import a\n\nx = 3\nz = 4\n\n\ny = 5\n"


@pytest.mark.parametrize("lines", ["q = 1\n", "    x = 1\n", "y = 1\n"])
def test_a_change_of_no_line_or_of_several_is_noticed(lines: str) -> None:
    with pytest.raises(ValueError, match="lines of the file could be changed"):
        changed("x = 1\ny = 2\ny = 3\n", lines)


def test_what_runs_in_the_background_ends_with_the_page() -> None:
    server = "$ sh -c 'echo serving; exec sleep 60'\nserving\n"
    with Page("page.md") as page:
        page.execute(Block(1, "console", server, "background", ""))
        (process,) = page.running
        assert process.poll() is None
    assert process.returncode == -signal.SIGTERM


def test_what_ends_before_it_has_printed_what_is_shown_is_noticed() -> None:
    with Page("page.md") as page, pytest.raises(AssertionError, match="until it ended"):
        page.execute(Block(1, "console", "$ echo something\nserving\n", "background", ""))


def test_ports_of_loopback_addresses_are_free_ones() -> None:
    page = with_free_ports("--listen 127.0.0.1:8642\nurl = http://127.0.0.1:8642/\nhttp://127.0.0.1:9\n")
    first, second, third = (line.rpartition(" ")[2] for line in page.splitlines())
    assert first != "127.0.0.1:8642"
    assert (second, third) == (f"http://{first}/", "http://127.0.0.1:9")


def test_what_python_prints_is_compared() -> None:
    page = Page("page.md")
    page.execute(Block(1, "python", "x = 6\nprint(7 * x)\n", "", ""))
    page.execute(Block(5, "text", "42\n", "output", ""))
    with pytest.raises(AssertionError):
        page.execute(Block(5, "text", "43\n", "output", ""))
