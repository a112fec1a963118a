"""What comes from a job, a file or an engine is shown by one function, and moves no cursor."""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path

import pytest
from support.cli_program import invoke, on_terminal

import anyjob.cli
import anyjob.testing.commands
from anyjob.cli.terminal.output import LONGEST, print_message, table, write_line, write_text

EVIL = "a\x1b[2J\nb\x9b\u202ec\udcff"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def job_file(argv: list[str], **matrix: list[int]) -> None:
    axes = "".join(f"{name} = {values}\n" for name, values in matrix.items())
    quoted = json.dumps(argv).replace("{", "{{").replace("}", "}}").replace("<<", "{").replace(">>", "}")
    Path("jobs.toml").write_text(f"[command]\nargv = {quoted}\n" + (f"[matrix]\n{axes}" if axes else ""))


def test_nothing_else_prints() -> None:
    """A line that is printed past `anyjob.cli.terminal.output` a job can write its escapes into."""
    roots = [Path(str(package.__file__)).parent for package in (anyjob.cli, anyjob.testing.commands)]
    found = [
        f"{path}:{node.lineno}"
        for root in roots
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        if path.name != "output.py" and path != Path(str(anyjob.cli.__file__))
    ]
    assert found == []


def test_a_table_is_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    table([EVIL, "b"], [[EVIL, {EVIL: [EVIL]}], ["x" * 5000, None]], cut=[EVIL])
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith("a\\x1b[2J\\nb\\x9b\\u202ec\\udcff")
    assert lines[2] == "x" * (LONGEST - 1) + "…"


def test_messages_keep_their_lines_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    print_message(EVIL)
    write_line(EVIL)
    shown = capsys.readouterr()
    assert shown.err == "anyjob: a\\x1b[2J\nb\\x9b\\u202ec\\udcff\n"
    assert shown.out == "a\\x1b[2J\\nb\\x9b\\u202ec\\udcff\n"


def test_text_is_as_it_is_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text("a\x1b[2J\nb")
    assert capsys.readouterr().out == "a\x1b[2J\nb\n"
    monkeypatch.setattr("anyjob.cli.terminal.output.is_terminal", lambda stream: True)
    write_text("a\x1b[2J\nb")
    assert capsys.readouterr().out == "a\\x1b[2J\nb\n"


@pytest.mark.parametrize("backend", ["local", "threads"])
def test_keys_of_a_job_are_no_escapes(backend: str, local_cli: Path) -> None:
    job_file(python(f"print({json.dumps(json.dumps({EVIL: 'x' * 3000, 'n': [1] * 500}))})"), a=[1, 2])
    done = invoke("run", "-b", backend, "jobs.toml")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() and len(line) < 300 for line in lines)
    assert "a\\x1b[2J\\nb" in lines[0]


def test_a_long_value_leaves_room_for_the_others(local_cli: Path) -> None:
    job_file(python(f"print({json.dumps(json.dumps({'long': 'x' * 3000, 'n': 7, 'm': 'short'}))})"), a=[1, 2])
    shown = on_terminal("run", "jobs.toml", NO_COLOR="1")
    rows = [line.split() for line in shown.splitlines() if " DONE " in line and "xxx" in line]
    assert [row[:2] + row[3:] for row in rows] == [["1", "DONE", "7", "short"], ["2", "DONE", "7", "short"]]
    assert all(row[2].endswith("x…") and len(row[2]) > 30 for row in rows)


def test_what_fails_says_it_without_escapes(local_cli: Path) -> None:
    job_file(python("import sys; sys.stderr.write('no \\x1b[2J'); sys.exit(3)"), a=[1])
    done = invoke("run", "jobs.toml")
    assert done.exit_code == 1
    assert "\x1b" not in done.stderr
    assert "no \\x1b[2J" in done.stderr


# --- one job ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["local", "threads"])
def test_a_file_of_one_job_shows_what_it_writes(backend: str, local_cli: Path) -> None:
    job_file(["sh", "-c", "echo out; echo err >&2"])
    for _ in range(2):  # the second time it was done before, where that is known
        done = invoke("run", "-b", backend, "jobs.toml")
        assert (done.exit_code, done.stdout) == (0, "out\n")
        assert "err\n" in done.stderr


def test_a_file_of_one_job_has_its_exit_code(local_cli: Path) -> None:
    job_file(["sh", "-c", "exit 7"])
    assert invoke("run", "jobs.toml").exit_code == 7
    assert json.loads(invoke("run", "jobs.toml", "--json").stdout)["jobs"][0]["exit_code"] == 7


def test_a_file_of_one_call_shows_what_it_returns(local_cli: Path) -> None:
    Path("jobs.toml").write_text('[python]\ncall = "math:factorial"\nargs = [5]\n')
    done = invoke("run", "jobs.toml")
    assert (done.exit_code, done.stdout) == (0, "120\n")


@pytest.mark.parametrize("backend", ["local", "processes"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("os._exit(3)", "the call ended its process (exit code 3) and left no result"),
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
    ],
)
def test_a_call_that_dies_says_why(body: str, said: str, backend: str, local_cli: Path) -> None:
    Path("dying.py").write_text(f"import os\ndef die():\n    {body}\n")
    done = invoke("run", "-b", backend, "--type", "python", "--fn", "dying:die")
    assert done.exit_code != 0
    assert said in done.stderr


def test_a_traceback_is_shown_once(local_cli: Path) -> None:
    Path("raising.py").write_text("def fail():\n    raise ValueError('no luck')\n")
    done = invoke("run", "-b", "local", "--type", "python", "--fn", "raising:fail")
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith("anyjob: error: the job raised an exception: ValueError: no luck\n")


# --- whose fault it is ------------------------------------------------------------------------------


def test_a_result_that_cannot_be_read_is_no_fault_of_anyjob(local_cli: Path) -> None:
    Path("unreadable.py").write_text(
        "class Bad:\n    def __reduce__(self):\n        return int, ('no number',)\n"
        "def make():\n    return Bad()\n"
    )
    done = invoke("run", "-b", "local", "--type", "python", "--fn", "unreadable:make")
    assert done.exit_code == 125
    assert "is DONE, and its result cannot be read here: ValueError" in done.stderr
    assert "fault" not in done.stderr


def test_what_a_plugin_raises_names_its_file(site: Path) -> None:
    from support.cli_program import anyjob as program
    from support.cli_program import install

    entry_points = "[anyjob.backends]\ncloud = cloud:Cloud\n"
    code = (
        "from anyjob import BaseBackend\nclass Cloud(BaseBackend):\n    def run(self, work):\n"
        "        raise LookupError('no route')\n"
    )
    install(site, "cloud", entry_points, cloud=code)
    done = program("run", "-b", "cloud", "--", "true", env={**os.environ, "PYTHONPATH": str(site)})
    said = done.stderr.decode()
    assert "anyjob: error: LookupError: no route\nRaised in " in said
    assert "cloud.py, line 4: `anyjob --debug …` shows how it came to it" in said


def test_a_fault_of_ours_says_so(local_cli: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyjob.cli.jobs.listing.read_columns", lambda texts: 7)
    done = invoke("jobs")
    assert done.exit_code == 125
    assert done.stderr.startswith("anyjob: error: TypeError: ")
    assert "This is a fault of anyjob: `anyjob --debug …` shows how it came to it" in done.stderr
