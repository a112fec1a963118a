"""What was answered to submissions is told in its words, and is a refusal only where it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from anyjob_flux.backend import FluxBackend
from support.recorded_submissions import RecordedAnswer, answering, kind_and_words, recorded_answers

ANSWERS = recorded_answers(Path(__file__).parent / "recorded" / "submissions.txt")


@pytest.mark.parametrize("answer", ANSWERS, ids=[answer.name for answer in ANSWERS])
def test_an_answer_is_taken_as_it_is_meant(
    anyjob_backend: Callable[..., FluxBackend], answer: RecordedAnswer, tmp_path: Path
) -> None:
    programs = answering(tmp_path / "programs", answer, "flux", ())
    backend = anyjob_backend("flux", programs=str(programs), spool=str(tmp_path / "spool"))
    kind, said = kind_and_words(backend)
    assert (kind, said) == (answer.kind, "" if kind == "unsure" else answer.words)
