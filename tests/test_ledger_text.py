"""Whatever text jobs are called by, or have failed with, the ledger keeps it, and finds them by it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledgers import add, new_ids

from anyjob import Call, Command, Config, JobStatus, Registry, Session
from anyjob.ledger.encoding import (
    Context,
    decode_context,
    decode_outcome,
    decode_resources,
    encode_context,
    encode_outcome,
    encode_resources,
)
from anyjob.ledger.file.salvage import replacement
from anyjob.ledger.rows import as_column, of_column
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.resources import Resources
from anyjob.spool.job_spool import InSpool

TEXT = st.text(st.characters(blacklist_characters="\0"), max_size=40)
ANY = TEXT | st.text(st.sampled_from("a\udcff\ud800\ude42\\ué🙂'\"\n"), max_size=10)
"""Text, with halves of characters among it: what bytes become that are not UTF-8."""
BAD = "caf\udce9 \ud800"


@given(text=ANY)
def test_a_column_gives_back_what_was_put_into_it(text: str) -> None:
    assert of_column(as_column(text)) == text


@given(name=ANY, tags=st.dictionaries(ANY, ANY, max_size=3), partition=ANY)
def test_resources_are_read_back(name: str, tags: dict[str, str], partition: str) -> None:
    resources = Resources(name=name, tags=tags, cpus=2, options={"x": {"partition": partition}})
    assert decode_resources(encode_resources(resources)) == resources


@given(cwd=st.binary(), paths=st.lists(ANY, min_size=2).map(tuple))
def test_what_jobs_run_in_is_read_back(cwd: bytes, paths: tuple[str, ...]) -> None:
    context = Context(("acme.x", "command"), b"{}", cwd, environment=paths[0], python=paths[1], path=paths)
    assert decode_context(encode_context(context)) == context


@given(path=st.binary(min_size=1).map(os.fsdecode))
def test_a_large_value_is_found_by_a_path_of_any_bytes(path: str) -> None:
    kept = decode_outcome(encode_outcome(Outcome(status=JobStatus.DONE, value=InSpool(path)))).value
    assert (type(kept), kept) == (InSpool, path)


@settings(max_examples=20)
@given(names=st.lists(ANY.filter(bool), min_size=2, max_size=4, unique=True))
def test_jobs_are_found_by_names_and_tags_of_any_characters(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        ledger = Ledger(Path(directory, "state"))
        ids = {name: add(ledger, name=name, tags={name: name}) for name in names}
        for name in names:
            by_name, by_tag = ledger.select(name=name), ledger.select(tags={name: name})
            assert [row.job_id for row in by_name] == [row.job_id for row in by_tag] == ids[name]
            assert by_name[0].name == name
            assert ledger.tags(by_name[0].bulk) == {name: name}
        ledger.close()


def test_an_outcome_in_text_that_is_none_is_kept_readably() -> None:
    outcome = Outcome(status=JobStatus.ERROR, reason="exception", message=BAD, traceback=f"é {BAD}")
    kept = decode_outcome(encode_outcome(outcome))
    assert (kept.status, kept.reason) == (JobStatus.ERROR, "exception")
    assert (kept.message, kept.traceback) == ("caf\\udce9 \\ud800", "é caf\\udce9 \\ud800")


def test_a_damaged_ledger_is_salvaged_with_such_names(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first, second = new_ids(2)
    add(ledger, ids=[first], name=BAD, tags={BAD: BAD})
    add(ledger, ids=[second], name="plain")
    ledger.close()
    replacement.replace(ledger.path, "a test")
    again = Ledger(tmp_path)
    assert [row.job_id for row in again.select(name=BAD, tags={BAD: BAD})] == [first]
    assert [row.job_id for row in again.select(name="plain")] == [second]
    again.close()


def test_jobs_of_such_names_are_run_listed_and_run_anew(tmp_path: Path) -> None:
    def session() -> Session:
        return Session(Config.from_dict({}), Registry(), state=tmp_path)

    with session() as here, session() as there:
        jobs: list[Any] = here.get_backend("local").run_many(
            [Call("operator:add", (1, 2)), Command(["true"])], name=BAD, tags={BAD: BAD}
        )
        here.wait(jobs, timeout=60)
        found = there.jobs(name=BAD, tags={BAD: BAD})
        assert found == jobs
        assert found[0].metadata()["name"] == BAD
        assert found[0].metadata()["tags"] == {BAD: BAD}
        assert [job.outcome(60).status for job in there.rerun(found)] == [JobStatus.DONE] * 2
        assert len(here.jobs(name=BAD)) == 2
        assert len(here.jobs(name=BAD, superseded=True)) == 4
