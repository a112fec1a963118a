"""Calls that end, or block, the process that is to hand them over: they hold up no others."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import gated_calls
from support.several_engines import World, several_engines

import anyjob
from anyjob.errors import JobRejectedError, SpecError
from anyjob.releaser.readings import TRIES, Readings

LIMIT = 120.0
MODULE = """
import sys
if any("anyjob.releaser" in argument for argument in sys.orig_argv):
    {does}
def count(result):
    return result.exit_code
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with several_engines(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    with gated_calls.gate_in(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("sys.exit(3)", r"ends what imports it \(SystemExit: 3\)"),
        ("import os; os._exit(7)", f"cannot be read: {TRIES} times the process"),
    ],
)
def test_it_is_rejected_and_others_are_handed_over(does: str, told: str, world: World, gate: Path) -> None:
    """Nothing of these surroundings was handed over any more, and nobody was told why."""
    module = f"ends_{does[:6].strip()}".replace(".", "_")
    (world.root / "site" / f"{module}.py").write_text(MODULE.format(does=does))
    count = __import__(module).count
    first = anyjob.run(gated_calls.after, gate, 4, backend="local")  # else who submits hands over
    behind = anyjob.run(anyjob.Call(count, (first,)), backend="right", name="odd")
    other = anyjob.run(
        world.work("evaluate"), backend="right", after=behind.backend().run(world.work("fit"), after=first)
    )
    gated_calls.opened(gate)
    with pytest.raises(JobRejectedError, match=told):
        behind.result(LIMIT)
    assert other.result(LIMIT).exit_code == 0
    assert world.runs() == ["fit", "evaluate"]


def test_what_was_read_before_is_not_blamed(tmp_path: Path) -> None:
    """A releaser that is killed now and then, while it does something else, gives up no job."""
    for _ in range(TRIES + 1):
        reading = Readings(tmp_path / "note")
        with reading("a" * 20):
            pass


def test_a_job_is_given_up_when_releasers_have_ended_at_it_too_often(tmp_path: Path) -> None:
    ended = []
    for _ in range(TRIES):
        reading = Readings(tmp_path / "note")
        with reading("b" * 20):
            pass  # it goes well with another job
        ended.append(reading("a" * 20))
        ended[-1].__enter__()  # and this process ends
    reading = Readings(tmp_path / "note")
    with reading("b" * 20):
        pass
    with pytest.raises(SpecError, match="cannot be read"), reading("a" * 20):
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)  # of the last that was not left


def test_what_blocks_is_ended(tmp_path: Path) -> None:
    code = (
        "import signal, sys, threading\n"
        "from pathlib import Path\n"
        "from anyjob.releaser import readings\n"
        "readings.LONGEST = 0.05\n"
        "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
        "with readings.Readings(Path(sys.argv[1]))('a' * 20):\n"
        "    threading.Event().wait(60)\n"
    )
    note = tmp_path / "note"
    done = subprocess.run([sys.executable, "-c", code, str(note)], check=False, timeout=LIMIT)
    assert done.returncode == -signal.SIGALRM
    assert note.read_text().split() == ["a" * 20, "0"]
