"""``anyjob run -- CMD``: streams, exit codes, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from support.cli_program import PROGRAM, anyjob, invoke, on_terminal, start

from anyjob import (
    BackendUnavailableError,
    BaseBackend,
    BaseJob,
    Call,
    Config,
    JobStatus,
    Registry,
    Session,
    get_backend,
    jobs,
    set_default_session,
)
from anyjob.builtin.threads import ThreadsBackend
from anyjob.cli.run.streaming import follow_log

EVERY_BYTE = "import sys; b = bytes(range(256)); sys.stdout.buffer.write(b); sys.stderr.buffer.write(b[::-1])"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shell(script: str, *options: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return anyjob("run", *options, "--", "sh", "-c", script, **more)


def started(script: str, *options: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The program, running a script."""
    return start("run", *options, "--", "sh", "-c", script)


def read_line(process: subprocess.Popen[bytes], stream: str = "stdout") -> str:
    line: bytes = getattr(process, stream).readline()
    return line.decode().strip()


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


# --- streams --------------------------------------------------------------------------------------


def test_what_was_passed_on_before_an_outage_is_not_passed_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def log_bytes(stream: str, follow: bool, attempt: int | None) -> Iterator[bytes]:
        whole = b"0123456789"
        size, reach = outages.pop(0)
        for at in range(0, reach, size):
            yield whole[at : min(at + size, reach)]
        if outages:
            raise BackendUnavailableError("the line is cut")

    monkeypatch.setattr("anyjob.cli.run.streaming.time.sleep", lambda seconds: None)
    outages = [(4, 6), (3, 3), (3, 8), (2, 10)]  # bytes a chunk, and how many until the line is cut
    job = SimpleNamespace(log_bytes=log_bytes)
    assert b"".join(follow_log(job, "stdout")) == b"0123456789"


@pytest.mark.parametrize("backend", ["inline", "threads", "processes"])
def test_streams_are_passed_on_byte_for_byte(backend: str) -> None:
    done = anyjob("run", "-b", backend, "--", sys.executable, "-c", EVERY_BYTE)
    assert done.stdout == bytes(range(256))
    assert done.stderr == bytes(range(256))[::-1]
    assert done.returncode == 0


@pytest.mark.parametrize("backend", ["inline", "threads", "processes"])
def test_output_comes_while_the_command_runs(backend: str, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with started(
        f"echo ready; until test -e '{go}'; do sleep 0.02; done; echo went", "-b", backend
    ) as process:
        assert read_line(process) == "ready"  # and it cannot end before the file is there
        go.touch()
        assert finish(process) == (0, b"went\n", b"")


def test_output_of_gigabytes_is_streamed_in_flat_memory() -> None:
    # Another process measures: one that is started by a large one inherits its peak.
    command = "import sys\nfor i in range(160): sys.stdout.buffer.write(bytes(1 << 20))"
    measure = (
        "import resource, subprocess, sys\n"
        "p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)\n"
        "size = sum(len(chunk) for chunk in iter(lambda: p.stdout.read(1 << 16), b''))\n"
        "print(p.wait(), size, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    run = [*PROGRAM, "run", "--", sys.executable, "-c", command]
    done = subprocess.run([sys.executable, "-c", measure, *run], capture_output=True, timeout=120)
    code, size, megabytes = map(int, done.stdout.split())
    assert (code, size) == (0, 160 << 20)
    assert megabytes < 90


def test_a_pipe_that_does_not_block_gets_all_of_it() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    run = [*PROGRAM, "run", "--", sys.executable, "-c", "print('x' * 1_000_000)"]
    with subprocess.Popen(run, stdout=writer) as process, open(reader, "rb") as stream:
        os.close(writer)
        assert stream.read() == b"x" * 1_000_000 + b"\n"
    assert process.returncode == 0


def test_whoever_reads_may_go_away() -> None:
    with start("run", "--", "yes") as process:
        assert read_line(process) == "y"
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_listing_into_a_pipe_that_is_closed_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as nobody:
        done = subprocess.run(
            [*PROGRAM, "plugins", "list"], stdout=nobody, stderr=subprocess.PIPE, timeout=60
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_pipe_gets_no_colours_and_no_progress() -> None:
    done = shell("sleep 0.5; echo out", env={**os.environ, "TERM": "xterm-256color"})
    assert (done.stdout, done.stderr) == (b"out\n", b"")


# --- exit codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_command_s_own_code_passes_through(code: int) -> None:
    done = shell(f"exit {code}")
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV"])
def test_a_signal_gives_128_and_its_number(name: str) -> None:
    done = shell(f"kill -{name} $$")
    assert done.returncode == 128 + signal.Signals[f"SIG{name}"]
    assert f"SIG{name}" in done.stderr.decode()


def test_a_command_that_is_not_there() -> None:
    done = anyjob("run", "--", "no-such-program")
    assert done.returncode == 127
    assert done.stderr.decode() == (
        "anyjob: error: cannot start: 'no-such-program' is not there, nor anywhere on PATH\n"
    )


def test_a_command_that_cannot_be_started(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no program\n")
    assert anyjob("run", "--", "./data").returncode == 126
    done = shell("true", "--cwd", "nowhere")
    assert done.returncode == 126
    assert "nowhere" in done.stderr.decode()


def test_walltime_ends_it_with_124() -> None:
    done = shell("echo begun; sleep 60", "--walltime", "3s")
    assert (done.returncode, done.stdout) == (124, b"begun\n")
    assert "the 3 s" in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "nothing to run"),
        (["run", "--"], "no command after --"),
        (["run", "echo", "hi"], "argument (hi); a command, with all that is its own, goes after --"),
        (["run", "train", "--epochs", "3"], "'--epochs'; a command, with all that is its own, goes after --"),
        (["run", "--cpus", "1", "ls", "-Q"], "'-Q'; a command, with all that is its own, goes after --"),
        (["run", "--cpu", "1", "a.toml"], "Did you mean one of: '--cpus'"),
        (["run", "echo"], "anyjob run -- echo"),
        (["run", "a.toml", "--", "echo"], "not both"),
        (["run", "a.toml", "--env", "A=1"], "--env can be given with a command after -- only"),
        (["run", "-p", "a=1", "--", "echo"], "-p can be given with a job file only"),
        (["run", "--env", "NOT_SET_HERE", "--", "echo"], "NOT_SET_HERE"),
        (["run", "--tag", "x", "--", "echo"], "KEY=VALUE"),
        (["run", "--option", "partition=gpu", "--", "echo"], "TYPE.KEY=VALUE"),
        (["run", "--option", "a.b.=1", "--", "echo"], "TYPE.KEY=VALUE"),
        (["run", "--option", "a.b=1", "--option", "a.b.c=1", "--", "echo"], "as a whole, and by its entry c"),
        (["run", "--retries", "-1", "--", "echo"], "--retries takes a whole number, 0 or more, not '-1'"),
        (["run", "--cpus", "many", "--", "echo"], "cpus"),
        (["run", "--walltime", "1:30", "--", "echo"], "1h30m"),
        (["run", "--no-such", "--", "echo"], "--no-such"),
        (["run", "-b", "procesess", "--", "echo"], "did you mean 'processes'"),
        (["run", "--type", "comand", "x"], "did you mean 'command'"),
        (["run", "nowhere.toml"], "nowhere.toml"),
        (["runn"], "did you mean 'run'"),
    ],
    ids=" ".join,
)
def test_failures_of_anyjob_have_a_code_of_their_own(arguments: list[str], said: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 125
    assert done.stdout == ""
    assert done.stderr.startswith("anyjob: error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_where_an_error_came_from() -> None:
    done = invoke("--debug", "run", "-b", "nowhere", "--", "echo")
    assert done.exit_code == 125
    assert "Traceback" in done.stderr
    assert "anyjob: error: " in done.stderr


# --- what the command is given --------------------------------------------------------------------


def test_environment_reaches_the_command_as_it_is() -> None:
    """psij-python#423: values with blanks or $(…) were mangled or executed."""
    value = " $(touch pwned) `id` \"'\\ \n\tü "
    done = shell('printf %s "$VALUE"; printf %s "$KEPT" >&2', "--env", f"VALUE={value}", "--env", "KEPT",
                 env={**os.environ, "KEPT": "kept"})  # fmt: skip
    assert done.stdout.decode() == value
    assert done.stderr == b"kept"
    assert not Path("pwned").exists()


def test_arguments_that_are_not_utf8_reach_the_command_as_they_are() -> None:
    done = subprocess.run(
        [*PROGRAM, "run", "--", "printf", "%s", b"a\xff\xfe--"], capture_output=True, timeout=60
    )
    assert done.stdout == b"a\xff\xfe--"


def test_what_follows_the_dashes_is_the_command_s() -> None:
    assert anyjob("run", "--", "echo", "--json", "--", "-b", "x").stdout == b"--json -- -b x\n"


def test_directory_and_stdin(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "input").write_bytes(b"\x00\xffin")
    done = shell("pwd; cat", "--cwd", "sub", "--stdin", "input")
    assert done.stdout == os.fsencode(tmp_path / "sub") + b"\n\x00\xffin"
    assert shell("cat", "--stdin", "-", input=b"piped").stdout == b"piped"
    assert shell("cat", input=b"not read").stdout == b""


def test_output_is_kept_where_it_is_wanted_and_passed_on_as_ever(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    both = ("--stdout", "both", "--stderr", "both")
    assert shell("echo out; echo err >&2", "--cwd", "sub", *both).returncode == 0
    assert (tmp_path / "both").read_bytes() == b"out\nerr\n"
    done = shell("echo out; echo err >&2", "--stdout", "out")
    assert (done.stdout, done.stderr, (tmp_path / "out").read_bytes()) == (b"out\n", b"err\n", b"out\n")
    assert b"--stdout" in anyjob("run", "--stdout", "out", "jobs.toml").stderr


def test_json_tells_of_the_outcome_on_the_last_line_of_stderr() -> None:
    done = shell("printf out; printf err >&2; exit 3", "--json", "--name", "n", "--tag", "study=a")
    assert done.returncode == 3
    assert done.stdout == b"out"
    first, last = done.stderr.decode().splitlines()
    assert first == "err"
    told = json.loads(last)
    assert {
        key: told[key] for key in ("state", "reason", "exit_code", "code", "name", "tags", "backend")
    } == {
        "state": "ERROR",
        "reason": "exit-code",
        "exit_code": 3,
        "code": 3,
        "name": "n",
        "tags": {"study": "a"},
        "backend": "local",
    }


# --- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["inline", "threads", "processes"])
def test_ctrl_c_cancels_and_lets_the_command_clean_up(backend: str) -> None:
    """dask-jobqueue#640, executorlib#1049: SIGTERM skipped clean-up."""
    script = "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    with started(script, "-b", backend) as process:
        assert read_line(process) == "ready"
        process.send_signal(signal.SIGINT)
        code, out, err = finish(process)
    assert (code, out) == (130, b"cleaned\n")
    assert b"anyjob: cancelling; Ctrl-C again leaves at once\n" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_cancel_too_what_would_not_outlive_us(number: signal.Signals, code: int) -> None:
    with started("echo $$; exec sleep 60", "-b", "processes") as process:
        pid = int(read_line(process))
        process.send_signal(number)
        assert finish(process)[0] == code
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("backend", ["inline", "processes"])
def test_second_ctrl_c_leaves_at_once_and_leaves_nothing_behind(backend: str) -> None:
    with started("trap '' TERM; echo $$; while :; do sleep 0.02; done", "-b", backend) as process:
        pid = int(read_line(process))
        process.send_signal(signal.SIGINT)
        assert "cancelling" in read_line(process, "stderr")
        process.send_signal(signal.SIGINT)
        code, _, err = finish(process)
    assert (code, err) == (130, b"")
    assert not psutil.pid_exists(pid)


def test_ctrl_c_where_the_backend_cannot_end_what_runs() -> None:
    sleep = "print('ready', flush=True) or __import__('time').sleep(60)"
    call = ["--type", "python", "--fn", "builtins:eval", "--args", sleep]
    with start("run", "-b", "threads", *call) as process:
        assert read_line(process) == "ready"
        process.send_signal(signal.SIGINT)
        assert "cancelling" in read_line(process, "stderr")
        assert "does not end what runs" in read_line(process, "stderr")
        process.send_signal(signal.SIGINT)
        assert finish(process)[0] == 130


# --- a terminal -----------------------------------------------------------------------------------


def test_a_terminal_shows_where_the_job_is_until_it_writes(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    os.mkfifo(go_on)
    written = on_terminal(
        *("run", "--", "sh", "-c", 'read line <"$0"; echo done', str(go_on)),
        when=(b"actively running", lambda: go_on.write_text("now\n")),
    )
    before, _, after = written.partition("done")
    assert "on local: job is actively running" in before
    assert "running" not in after


def test_a_terminal_shows_what_a_queued_job_waits_for() -> None:
    written = on_terminal(
        *("run", "--name", "again", "--retries", "1", "--retry-wait", "1h", "--", "false"),
        when=(b"attempt 2 of 2, again in", lambda: invoke("cancel", "again")),
    )
    assert "on local: job is queued: attempt 2 of 2, again in" in written


def test_jobs_of_a_sweep_are_run_again_by_a_parameter(tmp_path: Path) -> None:
    (tmp_path / "demo.toml").write_text(SWEEP)
    assert invoke("run", "demo.toml").exit_code == 0
    assert len(jobs(parameters={"a": 2})) == 1
    assert invoke("rerun", "-p", "a=2", "--state", "done").exit_code == 0
    (again,) = jobs(parameters={"a": "2"})
    assert len(jobs(parameters={"a": 2}, superseded=True)) == 2
    assert jobs(parameters={"a": 3}) == []
    on_threads = get_backend("threads").run(Call(abs, (-1,)))
    assert again.status() is JobStatus.DONE
    assert on_threads not in jobs(parameters={"a": 2})


SWEEP = """
name = "demo"
[command]
argv = ["echo", "{{\\"double\\": {a}{a}}}"]
[matrix]
a = [1, 2]
"""


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_shows_a_bar_and_a_table(
    variables: dict[str, str], coloured: bool, tmp_path: Path
) -> None:
    (tmp_path / "demo.toml").write_text(SWEEP)
    written = on_terminal("run", "demo.toml", when=None, **variables)
    assert "demo on local" in written
    assert "2/2" in written
    assert "double" in written
    assert ("\x1b[32m" in written) is coloured


# --- other backends -------------------------------------------------------------------------------


class CallsOnly(ThreadsBackend):
    """Runs calls, and programs only as part of one."""

    accepts = frozenset({"python"})


class PlainJob(BaseJob):
    def __init__(self, backend: Any, text: str) -> None:
        super().__init__(backend, text)
        self._text = text

    def submit(self) -> None:
        """Nothing to do."""

    def status(self) -> JobStatus:
        return JobStatus.ERROR if "fail" in self._text else JobStatus.DONE

    def result(self) -> str:
        if "fail" in self._text:
            raise ValueError(self._text)
        return self._text

    def cancel(self) -> bool:
        return False


class Plain(BaseBackend):
    def run(self, spec: Any) -> PlainJob:
        return PlainJob(self, " ".join(spec.argv))


@pytest.fixture
def _session() -> Iterator[None]:
    registry = Registry()
    registry.register_backend("calls", CallsOnly)
    registry.register_backend("plain", Plain)
    set_default_session(Session(Config.from_dict({}), registry))
    yield
    set_default_session(None)


@pytest.mark.usefixtures("_session")
def test_a_command_that_runs_as_part_of_a_call() -> None:
    done = invoke("run", "-b", "calls", "--", "sh", "-c", "echo out; echo err >&2")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "out\n", "err\n")
    done = invoke("run", "-b", "calls", "--", "sh", "-c", "echo err >&2; exit 3")
    assert (done.exit_code, done.stderr) == (3, "err\n")
    done = invoke("run", "-b", "calls", "--", "no-such-program")
    assert done.exit_code == 127
    assert "no-such-program" in done.stderr


@pytest.mark.usefixtures("_session")
def test_a_plain_backend() -> None:
    done = invoke("run", "-b", "plain", "--", "echo", "hi")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "echo hi\n", "")
    done = invoke("run", "-b", "plain", "--", "fail")
    assert done.exit_code == 125
    assert "ValueError: fail" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--retry-wait", "soon", "--retry-wait"),
        ("--retry-on", "memry", "--retry-on: 'memry' is no reason of a failure"),
        ("--retry-grow", "disk=2", "--retry-grow: 'disk' is nothing that grows"),
    ],
)
def test_an_option_of_retries_is_called_as_it_was_given(option: str, value: str, told: str) -> None:
    done = invoke("run", "--retries", "2", option, value, "--", "true")
    assert done.exit_code not in (0, 1)
    assert f"error: {told}" in done.stderr
