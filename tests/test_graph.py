"""The graph of jobs that start after each other: as it is read of the ledger, folded and drawn."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cli_program import invoke
from support.ledgers import DONE, ERROR, add

from anyjob.ledger.dependencies import RESULT
from anyjob.ledger.encoding import Context
from anyjob.ledger.rows import Prerequisite
from anyjob.ledger.store import Ledger
from anyjob.views.graph import drawn
from anyjob.views.graph.folded import Node, fold

HOSTILE = 'a"b\\ <script>`#;|] {x} [y]\n\x1b[31m--> c'


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def after(*groups: list[str], condition: int = 0) -> tuple[Prerequisite, ...]:
    return tuple(Prerequisite(job_id, condition) for group in groups for job_id in group)


def study(ledger: Ledger, fits: int = 1000) -> dict[str, list[str]]:
    """A diamond with many in the middle, each of which has one behind it, and one that mends."""
    made = {"fetch": add(ledger, name="fetch")}
    made["fit"] = add(ledger, fits, name="fit", after=after(made["fetch"]))
    made["score"] = [add(ledger, name="score", after=after([one]))[0] for one in made["fit"][:20]]
    made["report"] = add(ledger, name="report", after=after(made["fit"], made["fetch"]))
    made["mend"] = add(ledger, name="mend", after=after(made["report"], condition=2))
    add(ledger, 3, name="another")
    ledger.settle(dict.fromkeys(made["fetch"] + made["fit"][1:], DONE))
    ledger.settle({made["fit"][0]: ERROR})
    return made


def nodes(ledger: Ledger, job_id: str) -> list[Node]:
    return fold(ledger.graph([job_id]))


def test_a_graph_is_all_that_is_tied_and_a_thousand_are_one_node(ledger: Ledger) -> None:
    made = study(ledger)
    for of in ("fetch", "fit", "score", "report", "mend"):
        found = nodes(ledger, made[of][-1])
        assert [(node.name, node.total) for node in found] == [
            ("fetch", 1), ("fit", 1000), ("score", 20), ("report", 1), ("mend", 1)
        ]  # fmt: skip
    assert [node.needs for node in found] == [[], [(0, 0)], [(1, 0)], [(0, 0), (1, 0)], [(3, 2)]]
    assert {state.name: count for state, count in found[1].states.items()} == {"DONE": 999, "ERROR": 1}


def test_a_tree_tells_each_once(ledger: Ledger) -> None:
    made = study(ledger)
    lines = [
        f"{line.branch}{line.label}|{line.state}|{line.more}"
        for line in drawn.tree(nodes(ledger, made["fit"][0]))
    ]
    short = {name: ids[0][:7] for name, ids in made.items()}
    assert lines == [
        f"fetch {short['fetch']}|DONE|",
        "├─ fit x1,000|1 ERROR, 999 DONE|",
        "│  ├─ score x20|1 ERROR, 19 QUEUED|",
        f"│  └─ report {short['report']}|ERROR (dependency)|after fetch {short['fetch']}, fit",
        f"│     └─ mend {short['mend']}|QUEUED|once it has failed",
        f"└─ report {short['report']}||as above",
    ]


def test_jobs_without_a_name(ledger: Ledger) -> None:
    (first,) = add(ledger)
    few = add(ledger, 3, after=after([first]))
    add(ledger, 30, after=after(few[:1]))
    assert [node.total for node in nodes(ledger, first)] == [1, 1, 1, 1, 30]


def test_of_jobs_that_were_run_anew_the_newest_counts(ledger: Ledger) -> None:
    made = study(ledger, 1)
    (fit,) = add(ledger, name="fit", after=after(made["fetch"]), rerun_of=made["fit"][0])
    found = nodes(ledger, made["report"][0])
    assert [(node.name, [job.job_id for job in node.jobs]) for node in found if node.name == "fit"] == [
        ("fit", [fit])
    ]
    (again,) = add(ledger, name="fetch", after=after(made["report"]), rerun_of=made["fetch"][0])
    assert again in {job.job_id for node in nodes(ledger, again) for job in node.jobs}


def test_what_started_after_a_job_is_tied_to_what_that_was_run_anew_as(ledger: Ledger) -> None:
    made = study(ledger, 2)
    names = [node.name for node in nodes(ledger, made["fetch"][0])]
    (fetch,) = add(ledger, name="fetch", rerun_of=made["fetch"][0])
    (fetch,) = add(ledger, name="fetch", rerun_of=fetch)
    assert [node.name for node in nodes(ledger, fetch)] == names


def test_a_job_that_is_tied_to_nothing_is_a_graph_of_one(ledger: Ledger) -> None:
    (alone,) = add(ledger, name="alone")
    assert [line.label for line in drawn.tree(nodes(ledger, alone))] == [f"alone {alone[:7]}"]


def test_conditions_are_told_in_each_format(ledger: Ledger) -> None:
    made = study(ledger, 1)
    found = nodes(ledger, made["mend"][0])
    assert "-. after_failure .->" in drawn.mermaid(found)
    assert '[label="after_failure", style=dashed]' in drawn.dot(found, "x")
    assert {edge["condition"] for edge in drawn.as_data(found)["edges"]} == {"after", "after_failure"}


def test_a_result_is_told_once_where_success_is_needed_too(ledger: Ledger) -> None:
    fits = add(ledger, 3, name="fit")
    needs = after(fits, condition=RESULT) + after(fits[:1]) + after(fits[1:], condition=1)
    add(ledger, name="sum", after=needs)
    found = nodes(ledger, fits[0])
    assert found[1].needs == [(0, 1), (0, RESULT)]
    assert [line.more for line in drawn.tree(found)] == ["", "once it has ended", "as above"]


@given(st.text(max_size=30))
def test_names_do_no_harm(name: str) -> None:
    from collections import Counter

    from anyjob.ledger.reading.graph_reader import GraphJob
    from anyjob.status import JobStatus

    job = GraphJob(1, "a" * 20, name, "", "local", JobStatus.DONE, "", None, None, None)
    some = [Node(name, Counter({JobStatus.DONE: 2}), [job], [], 0.0)]
    (label,) = re.findall(r'n0 \[label="((?:[^"\\]|\\.)*)", fillcolor="#b7e1b0"\];', drawn.dot(some, name))
    assert "\n" not in label
    (line,) = [line for line in drawn.mermaid(some).splitlines() if line.startswith('  n0["')]
    assert re.fullmatch(r'  n0\["(?:[\w .,:/-]|#\d+;)*<br/>(?:[\w .,:/-]|#\d+;)*"\]', line)
    (told,) = drawn.tree(some)
    assert told.label.isprintable()


def test_graphviz_takes_what_is_drawn(ledger: Ledger, tmp_path: Path) -> None:
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    (first,) = add(ledger, name=HOSTILE)
    add(ledger, 20, name=HOSTILE + "2", after=after([first], condition=1))
    text = drawn.dot(nodes(ledger, first), HOSTILE)
    subprocess.run(["dot", "-Tsvg"], input=text.encode(), check=True, capture_output=True, timeout=60)


@pytest.mark.usefixtures("local_cli")
def test_the_command_line() -> None:
    """A pipeline, as a user would look at it: by a name, by an id, in each format."""
    invoke("run", "--detach", "--name", "fit", "--", "true")
    invoke("run", "--detach", "--name", "report", "--after", "fit", "--", "true")
    (report,) = json.loads(invoke("jobs", "--name", "report", "--json").stdout)
    invoke("wait", report["job_id"])
    done = invoke("graph", "fit")
    (fit,) = json.loads(invoke("jobs", "--name", "fit", "--json").stdout)
    assert (done.exit_code, done.stdout) == (
        0,
        f"fit {fit['job_id'][:7]}  DONE\n└─ report {report['job_id'][:7]}  DONE\n",
    )
    assert invoke("graph", report["job_id"][:8]).stdout == done.stdout
    assert invoke("graph", "fit", "--format", "dot").stdout.startswith('digraph "fit" {\n')
    assert invoke("graph", "fit", "--format", "mermaid").stdout.startswith("flowchart LR\n")
    told = json.loads(invoke("graph", "fit", "--format", "json").stdout)
    assert (len(told["nodes"]), told["edges"]) == (2, [{"from": 0, "to": 1, "condition": "after"}])
    wrong = invoke("graph", "fti")
    assert wrong.exit_code == 125
    assert "no job 'fti': no id or name in the ledger; did you mean 'fit'?" in wrong.stderr


def test_jobs_of_a_job_are_below_it(ledger: Ledger) -> None:
    (parent,) = add(ledger, name="sweep")
    children = add(ledger, 20, name="fit", context=Context(("command",), b"{}", parent=parent))
    (grandchild,) = add(ledger, name="mend", context=Context(("command",), b"{}", parent=children[3]))
    (report,) = add(ledger, name="report", after=after(children))
    add(ledger, name="stranger")
    for of in (parent, children[7], grandchild, report):
        found = nodes(ledger, of)
        assert [node.name for node in found] == ["sweep", "fit", "mend", "report"]
    assert [[(need.node, need.condition) for need in node.needs] for node in found] == [
        [], [(0, -1)], [(1, -1)], [(1, 0)]
    ]  # fmt: skip
    lines = [f"{line.branch}{line.label}|{line.more}" for line in drawn.tree(found)]
    assert lines == [
        f"sweep {parent[:7]}|",
        "└─ fit x20|submitted by it",
        f"   ├─ mend {grandchild[:7]}|submitted by it",
        f"   └─ report {report[:7]}|",
    ]
    assert "n0 -. parent .-> n1" in drawn.mermaid(found)
    assert {"from": 0, "to": 1, "condition": "parent"} in drawn.as_data(found)["edges"]
