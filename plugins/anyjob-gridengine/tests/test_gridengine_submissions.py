"""What was answered to submissions is told in its words, and is a refusal only where it refuses."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from anyjob_gridengine.backend import GridEngineBackend
from support.recorded_submissions import RecordedAnswer, answering, kind_and_words, recorded_answers
from test_gridengine_readme import ROOT

ANSWERS = recorded_answers(Path(__file__).parent / "recorded" / "submissions.txt")


@pytest.mark.parametrize("answer", ANSWERS, ids=[answer.name for answer in ANSWERS])
def test_an_answer_is_taken_as_it_is_meant(
    anyjob_backend: Callable[..., GridEngineBackend], answer: RecordedAnswer, tmp_path: Path
) -> None:
    programs = answering(tmp_path / "programs", answer, "qsub", ("qstat", "qacct", "qdel"))
    backend = anyjob_backend("gridengine", programs=str(programs), spool=str(tmp_path / "spool"))
    kind, said = kind_and_words(backend)
    assert (kind, said) == (answer.kind, "" if kind == "unsure" else answer.words)


@pytest.mark.parametrize("answer", ANSWERS, ids=[answer.name for answer in ANSWERS])
def test_the_configuration_that_the_page_shows_takes_it_so_too(
    anyjob_open: Callable[..., Any], answer: RecordedAnswer, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "how-to" / "batch-schedulers.md").read_text(encoding="utf-8")
    shown = tomllib.loads(page.partition("```toml\n")[2].partition("```")[0])["backends"]["ge"]
    programs = answering(tmp_path / "programs", answer, "qsub", ("qstat", "qacct", "qdel"))
    places = {"programs": str(programs), "spool": str(tmp_path / "spool")}
    kind, said = kind_and_words(anyjob_open({"backends": {"ge": {**shown, **places}}}).get_backend("ge"))
    assert kind == answer.kind
    assert all(words in said for words in answer.words.split("; "))
