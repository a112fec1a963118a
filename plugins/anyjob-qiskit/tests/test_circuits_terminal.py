"""Circuits on the command line and in job files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import circuits_lab as lab
import pytest
from anyjob_qiskit.results.histogram import (
    BAR_WIDTH,
    MAX_OUTCOMES,
    bar,
    most_frequent,
    render_text,
    save_plot,
)

from anyjob import BackendError

TURN = """OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta;
qubit q;
bit c;
rx(theta) q;
c = measure q;
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "bell.qasm").write_text(lab.BELL_QASM)
    return tmp_path / "bell.qasm"


def test_a_circuit_is_run_and_its_histogram_is_printed_and_drawn(
    anyjob_cli: Run, program: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "out.png"
    done = anyjob_cli(
        "run", "-b", "aer", "--type", "circuit", str(program), "--shots", "1000", "--write", f"plot={plot}"
    )
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == "bell: 1,000 shots, 2 outcomes"
    assert [line.split()[0] for line in lines] == ["00", "11"]
    assert sum(int(line.split()[1]) for line in lines) == 1000
    assert all("█" in line for line in lines)
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_result_is_written_as_json(anyjob_cli: Run, program: Path) -> None:
    done = anyjob_cli(
        "run", "-b", "inline", "--type", "circuit", str(program), "--shots", "100", "--seed", "1", "--json"
    )
    assert done.returncode == 0, done.stderr
    (experiment,) = json.loads(done.stdout)["result"]["experiments"]
    assert set(experiment["counts"]) == {"00", "11"}
    assert experiment["shots"] == 100


def test_parameters_are_given_by_p(anyjob_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "turn.qasm").write_text(TURN)
    done = anyjob_cli(
        "run", "-b", "aer", "--type", "circuit", str(tmp_path / "turn.qasm"), "-p", "theta=3.141592653589793"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[:3] == ["1", "1024", "100.0%"]


def test_what_is_wrong_is_said_with_line_and_column(anyjob_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.qasm").write_text(lab.BELL_QASM.replace("h q[0];", "h q[0]"))
    done = anyjob_cli("run", "-b", "aer", "--type", "circuit", str(tmp_path / "bad.qasm"))
    assert done.returncode != 0
    assert "bad.qasm: line 6, column 1: 'cx' is not expected here" in done.stderr


def test_a_plot_that_cannot_be_made_is_said_before(anyjob_cli: Run, program: Path, tmp_path: Path) -> None:
    run = ("run", "-b", "aer", "--type", "circuit", str(program))
    for more, message in (
        (("--write", f"plot={tmp_path}/no/out.png"), "there is no directory"),
        (("--write", f"plot={tmp_path}/out.png", "--detach"), "which --detach does not wait for"),
        (("--write", f"plot={tmp_path}/out.nonsense"), "no format that matplotlib knows"),
    ):
        done = anyjob_cli(*run, *more)
        assert done.returncode != 0
        assert message in done.stderr
    assert anyjob_cli("jobs", "--json").stdout.split() == ["[]"], "it was said before anything was run"


def test_a_job_file_sweeps_and_results_are_shown_later(anyjob_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "turn.qasm").write_text(TURN)
    (tmp_path / "turns.toml").write_text(
        'backend = "local"\n[job]\ntype = "circuit"\nshots = 10\n'
        f'circuits = ["{tmp_path}/turn.qasm"]\n'
        'parameters = { theta = "{theta}" }\n[matrix]\ntheta = [0.0, 3.141592653589793]\n'
    )
    done = anyjob_cli("run", str(tmp_path / "turns.toml"), "--json")
    assert done.returncode == 0, done.stderr
    jobs: list[Any] = json.loads(done.stdout)["jobs"]
    assert [job["result"]["experiments"][0]["counts"] for job in jobs] == [{"0": 10}, {"1": 10}]
    shown = anyjob_cli("result", jobs[1]["job_id"]).stdout
    assert shown.startswith("turn: 10 shots, 1 outcomes\n")


def test_a_check_runs_a_circuit(anyjob_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "anyjob.toml").write_text('[backends.bad]\ntype = "qiskit"\nbackend = "nonsense:Foo"\n')
    done = anyjob_cli("backends", "check", "aer", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "\ncircuit: ok: in " in done.stdout
    assert "ok      Work that succeeds ends as DONE, and its result is what it should be." in done.stdout
    done = anyjob_cli("backends", "check", "bad", cwd=tmp_path)
    assert done.returncode == 1
    assert "\ncircuit: failed: backend 'bad': 'nonsense:Foo' cannot be imported: No module" in done.stdout


def test_a_histogram_is_drawn_to_scale() -> None:
    text = render_text("bell", {"11": 300, "00": 700}, 1000)
    assert text.splitlines() == [
        "bell: 1,000 shots, 2 outcomes",
        f"       00    700   70.0%  {bar(1)}",
        f"       11    300   30.0%  {bar(3 / 7)}",
    ]
    assert len(bar(1)) == BAR_WIDTH
    assert [bar(part) for part in (0, 1e-9, 0.5)] == ["", "▏", "█" * (BAR_WIDTH // 2)]


def test_rare_outcomes_are_put_together() -> None:
    counts = {f"{number:06b}": number + 1 for number in range(40)}
    shown, rest = most_frequent(counts)
    assert list(shown) == sorted(shown)
    assert len(shown) == MAX_OUTCOMES
    assert sum(shown.values()) + rest == sum(counts.values())
    assert min(shown.values()) > 40 - MAX_OUTCOMES
    assert render_text("many", counts, sum(counts.values())).splitlines()[-1].split()[:3] == [
        "16",
        "more",
        str(rest),
    ]


def test_what_matplotlib_cannot_write_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"cannot be written to .*out\.nonsense"):
        save_plot([("bell", {"0": 1})], os.fspath(tmp_path / "out.nonsense"))
