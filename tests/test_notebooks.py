"""What a notebook shows of jobs and backends; and a real kernel runs the notebook of ``examples/``."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

import anyjob
from anyjob import BaseBackend, BaseJob, Command
from anyjob.job import JobList
from anyjob.text.html_tables import MOST_ROWS, card, listing
from anyjob.text.markup import escaped, script_data

EVIL = "<img src=x onerror=alert(1)>'\"&\x1b[2J\u202e\udcff"
ROOT = Path(__file__).parent.parent
OURS = re.compile(r"</?(?:div|table|thead|tbody|tr|th|td|small)(?: style=\"[a-z0-9#:;-]*\")?>")


def test_all_text_goes_through_one_function() -> None:
    shown = escaped(EVIL)
    assert shown == "&lt;img src=x onerror=alert(1)&gt;&#x27;&quot;&amp;\\x1b[2J\\u202e\\udcff"
    assert "</" not in script_data({"a": "</script><!--"})


def test_tables_hold_no_markup_but_their_own_and_are_bounded() -> None:
    text = listing([EVIL * 100] * 500, lambda name: {EVIL: name, "state": "DONE", "empty": None}, "jobs")
    assert "<" not in OURS.sub("", text)
    assert text.count("<tr>") == MOST_ROWS + 1
    assert "500 jobs; the first 100 are shown" in text
    assert "empty" not in text
    assert len(text) < 100_000
    assert "<" not in OURS.sub("", card({EVIL: EVIL, "none": ""}))
    assert listing([], lambda name: {}, "jobs") == "<div><small>0 jobs</small></div>"


def test_jobs_and_lists_of_them_show_themselves_and_are_lists() -> None:
    backend: Any = anyjob.get_backend("threads")
    jobs: Any = backend.map(abs, [1, 2], name=EVIL)
    anyjob.wait(jobs)
    assert issubclass(type(jobs), list)
    shown = jobs._repr_html_()
    assert "<" not in OURS.sub("", shown)
    assert "2 jobs: 2 DONE" in shown
    assert "abs(" in shown
    assert jobs[0].job_id() in jobs[0]._repr_html_()
    assert "<" not in OURS.sub("", jobs[0]._repr_html_())
    found: Any = anyjob.jobs(name=EVIL)
    assert found._repr_html_().count("<tr>") == 3
    assert copy.copy(jobs) == jobs
    assert pickle.loads(pickle.dumps(JobList([1]))) == [1]
    assert jobs + jobs == [*jobs, *jobs]


def test_a_plain_job_is_not_asked() -> None:
    class Job(BaseJob):
        def submit(self) -> None: ...
        def result(self) -> None: ...
        def cancel(self) -> None: ...
        def status(self) -> Any:
            raise AssertionError("asked")

    assert EVIL not in Job(EVIL, EVIL)._repr_html_()
    assert "Job" in JobList([Job("b", "1")])._repr_html_()


def test_a_backend_shows_what_it_is_and_no_option() -> None:
    class Plain(BaseBackend):
        def run(self, *args: Any) -> None: ...

    configuration = anyjob.BackendConfiguration(backend_name=EVIL, backend_version="1", token="geheim")
    shown = Plain(configuration)._repr_html_()
    assert "<" not in OURS.sub("", shown)
    assert "geheim" not in shown
    shown = anyjob.get_backend("threads")._repr_html_()
    assert "command, python" in shown


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/*.ipynb")), ids=lambda path: path.name)
def test_a_kernel_runs_the_notebooks_of_the_examples(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambdas and functions of cells run on every backend; what is shown is a table, and a bar."""
    nbformat: Any = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    monkeypatch.setenv("ANYJOB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pages = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert any("6 jobs: 5 DONE, 1 ERROR" in page for page in pages)
    assert any('<progress value="6" max="6">' in page for page in pages)
    assert any("no convergence" in page for page in pages)
    assert "'local': 42, 'threads': 42, 'processes': 42, 'inline': 42" in str(outputs[-1])


def test_the_command_of_a_job_is_in_its_card() -> None:
    job: Any = anyjob.get_backend("threads").run(Command(["echo", "<b>"]))
    job.wait_for_final_state(60)
    assert "echo &#x27;&lt;b&gt;&#x27;" in job._repr_html_()
