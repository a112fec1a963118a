"""What jobs say of themselves by `anyjob.progress`, and what is shown of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import invoke
from support.waiting import wait_until

import anyjob
from anyjob import Call, Command, JobStatus
from anyjob.spool import progress_report
from anyjob.spool.progress_report import FILE, ProgressReport, read


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANYJOB_SPOOL", str(tmp_path))
    monkeypatch.setattr(progress_report, "_last", 0.0)
    return tmp_path


def test_what_is_said_is_read_and_told_in_a_line(spool: Path) -> None:
    """cluster_utils#10, hydra#3201: progress reported by the job."""
    assert read(spool) is None
    anyjob.progress(0.3, "epoch 3", loss=0.123456789, best=object, steps=7)
    said = read(spool)
    assert said is not None
    assert said.in_words() == "30% epoch 3 loss=0.123457 best=<class 'object'> steps=7"
    assert [path.name for path in spool.iterdir()] == [FILE]
    anyjob.progress(0.4)  # just after: it is left out
    assert read(spool) == said
    anyjob.progress(1)
    last = read(spool)
    assert last is not None
    assert last.fraction == 1.0


def test_bad_fractions_are_refused_and_nothing_else_is(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad: Any
    for bad in (-0.1, 1.1, float("nan"), "half", []):
        with pytest.raises(ValueError, match="a number from 0 to 1"):
            anyjob.progress(bad)
    monkeypatch.setenv("ANYJOB_SPOOL", str(spool / "gone"))
    anyjob.progress(1)
    monkeypatch.delenv("ANYJOB_SPOOL")
    anyjob.progress(1, loss=float("inf"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"fraction": 0.5}', "50%"),
        ('{"fraction": 7, "message": "x"}', "100% x"),
        ('{"message": 5, "values": {"a": [1, 2]}}', "5 a=[1, 2]"),
        ('{"fraction": "much", "values": 3}', None),
        ("[1]", None),
        ("no json", None),
        ("", None),
        ("[" * 100_000, None),
    ],
)
def test_a_program_may_write_anything(tmp_path: Path, text: str, words: str | None) -> None:
    (tmp_path / FILE).write_text(text)
    said = read(tmp_path)
    assert (said and said.in_words()) == words


def test_what_is_said_is_bounded(tmp_path: Path) -> None:
    values = {f"{n}" * 300: "x" * 9999 for n in range(5)}
    (tmp_path / FILE).write_text(json.dumps({"message": "m" * 9999, "values": values}))
    said = read(tmp_path)
    assert said is not None
    assert len(said.in_words()) < 4000
    assert ProgressReport().in_words() == ""


def _train() -> Any:
    import time

    anyjob.progress(0.25, "epoch \x1b[2J1", loss=0.5)
    time.sleep(60)


@pytest.mark.usefixtures("local_cli")
@pytest.mark.parametrize(
    "spec",
    [
        Call(_train),
        Command(["sh", "-c", 'printf %s "$0" > "$ANYJOB_SPOOL/progress.json"; sleep 60',
                 '{"fraction": 0.25, "message": "epoch \\u001b[2J1", "values": {"loss": 0.5}}']),
    ],
)  # fmt: skip
def test_show_and_explain_tell_it(spec: Any) -> None:
    job = anyjob.get_backend("local").run(spec)
    wait_until(lambda: "25%" in invoke("show", job.job_id()).stdout)
    wait_until(lambda: job.status() is JobStatus.RUNNING, "it is told that it runs")
    assert "epoch \\x1b[2J1 loss=0.5" in invoke("show", job.job_id()).stdout
    assert "it says: 25% epoch \\x1b[2J1 loss=0.5" in invoke("explain", job.job_id()).stdout
    assert json.loads(invoke("show", job.job_id(), "--json").stdout)["progress"]["values"] == {"loss": 0.5}
    assert job.cancel()
