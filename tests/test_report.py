"""``anyjob report``: figures, the page with hostile names in it, the trace and the table."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import anyjob, invoke

import anyjob as library
from anyjob import Command, StateError
from anyjob.ledger.reading.graph_reader import GraphJob
from anyjob.status import JobStatus
from anyjob.views.graph.folded import Need, Node
from anyjob.views.report.drawings import dependencies, levels
from anyjob.views.report.figures import failures, figures, lanes, timeline
from anyjob.views.report.making import keep
from anyjob.views.report.page import Report, page
from anyjob.views.report.table import as_csv
from anyjob.views.report.trace import trace
from anyjob.views.reported_job import ReportedJob

EVIL = (
    "</script><script>document.title='pwned'</script>"
    "<img src=x onerror=\"document.title='pwned'\">'\"&\x1b[2J\u202e\udcff"
)
NOW = 2_000_000.0


def reported(n: int, **fields: Any) -> ReportedJob:
    known: dict[str, Any] = {
        "job_id": f"{n:020x}", "name": "fit", "backend": "hpc", "kind": "command", "work": f"fit {n}",
        "state": "DONE", "reason": "", "message": "", "native_id": "", "host": "n1", "attempt": 1,
        "submitted": 1000.0 + n, "started": 1010.0 + n, "finished": 1020.0 + n, "cpus": 2, "gpus": 0,
        "memory": None, "cpu_time": None, "peak_memory": None, "exit_code": None, "cost": None,
        "currency": "", "tags": {},
    }  # fmt: skip
    return ReportedJob(**{**known, **fields})


def test_where_it_cannot_be_written_is_told_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StateError, match="that is a directory: name a file"):
        keep(str(tmp_path), "a page")

    (tmp_path / "link").symlink_to(tmp_path / "page.html")
    keep(str(tmp_path / "link"), "a page")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "page.html").read_text() == "a page"
    ours, theirs = os.openpty()
    keep(os.ttyname(theirs), "a page")
    assert os.read(ours, 100) == b"a page"
    assert Path(os.ttyname(theirs)).is_char_device(), "/dev/stdout was replaced by a file"

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StateError, match=r"the disk is full .*: free some space .*prune.*cancel"):
        keep(str(tmp_path / "page.html"), "a page")


FAILED = {"state": "ERROR", "reason": "exit-code"}


def test_figures_are_those_of_what_was_measured() -> None:
    """snakemake-executor-plugin-slurm#147, #337: used against requested."""
    found = figures(
        ("fit",),
        [
            reported(1, cpu_time=10.0, memory=100, peak_memory=50, cost=1.0, currency="USD", gpus=1),
            reported(2, cpu_time=None, memory=None, peak_memory=7, cost=2.0, currency="USD"),
            reported(3, state="QUEUED", started=None, finished=None),
            reported(4, state="RUNNING", finished=None, started=NOW - 36),
        ],
        NOW,
    )
    assert (found.jobs, found.done, found.failed) == (4, 2, 0)
    assert found.ran == 10.0
    assert found.core_hours == pytest.approx(2 * (10 + 10 + 36) / 3600)
    assert found.gpu_hours == pytest.approx(10 / 3600)
    assert (found.cpu_use, found.memory_use, found.cost) == (0.5, 0.5, {"USD": 3.0})
    assert figures((), [reported(1, started=None, finished=None, state="QUEUED")], NOW).cpu_use is None


def test_failures_that_differ_in_numbers_are_of_one_kind() -> None:
    jobs = [reported(n, message=f"cannot read /data/{n}: no such file", **FAILED) for n in range(3)]
    jobs += [reported(9, message="exit code 3", host="n7", **FAILED), reported(10)]
    first, second = failures(jobs)
    assert (first.message, len(first.jobs)) == ("cannot read /data/…: no such file", 3)
    assert (second.message, second.hosts) == ("exit code 3", (("n7", 1),))


def test_each_exit_code_is_a_kind_of_failure_and_jobs_are_told_by_their_parameters() -> None:
    jobs = [
        reported(n, **FAILED, exit_code=code, message=f"exit code {code}", parameters=f"seed={n}")
        for n, code in enumerate((1, 3, 1))
    ]
    assert [(len(kind.jobs), kind.message) for kind in failures(jobs)] == [
        (2, "exit code 1"),
        (1, "exit code 3"),
    ]
    said = Tags(page(Report("t", jobs, NOW))).text
    assert "00000000 (seed=0), 00000000 (seed=2)" in said


def test_a_report_on_what_goes_on_says_when_it_will_be_done() -> None:
    runs = [reported(1), reported(2, state="RUNNING", finished=None, started=NOW - 4)]
    assert "6.0sto go, about" in Tags(page(Report("t", runs, NOW))).text
    assert "to go, about" not in Tags(page(Report("t", runs[:1], NOW))).text


def test_what_overlaps_has_lanes_of_its_own() -> None:
    assert lanes([(0, 10), (1, 3), (3, 5), (4, 6), (10, 11)]) == [0, 1, 1, 2, 0]
    bars = timeline(
        [reported(1, host="n10"), reported(2, host="n2"), reported(3, host="", backend="pc")], NOW
    )
    assert [bar.place for bar in bars] == ["n2", "n10", "pc"]


def node(name: str, *needs: int, state: JobStatus = JobStatus.DONE, count: int = 2) -> Node:
    job = GraphJob(1, "ab" * 10, name, "work", "hpc", state, "", None, None, None)
    return Node(name, Counter({state: count}), [job], [Need(index, 0) for index in needs], 0.0)


def test_a_node_is_below_all_that_it_starts_after() -> None:
    assert levels({0, 1, 2, 3}, [(0, 1), (1, 2), (0, 2), (0, 3)]) == [[0], [1, 3], [2]]
    drawn = "".join(dependencies([node("a"), node("b", 0, state=JobStatus.ERROR), node("alone")]))
    assert "<title>a x2: 2 DONE</title>" in drawn
    assert "alone" not in drawn
    assert drawn.count("stroke:var(--error)") == 1
    assert list(dependencies([node("a")])) == []
    assert "too many" in "".join(dependencies([node("a"), *(node(f"n{i}", 0) for i in range(60))]))


class Tags(HTMLParser):
    """What a page is made of: its tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_page() -> str:
    jobs = [
        reported(1, name=EVIL, backend=EVIL, host=EVIL, work=EVIL * 50, message=EVIL * 2000, **FAILED),
        reported(2, name="after", tags={EVIL: EVIL}, currency=EVIL, cost=1.0),
        reported(3, name="x" * 255, state="RUNNING", finished=None, started=NOW - 5),
        reported(4, state="QUEUED", started=None, finished=None),
    ]
    return page(Report(EVIL, jobs, NOW, {f"{1:020x}": [EVIL, "\0"]}, [node(EVIL), node("after", 0)]))


def rendered(text: str, path: Path, fragment: str = "") -> str:
    """What a browser makes of a page, where there is one; else the page."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        return text
    path.write_text(text, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"]
    done = subprocess.run(
        [browser, *options, f"--user-data-dir={path.parent / 'profile'}", f"{path.as_uri()}{fragment}"],
        capture_output=True, timeout=100, check=True,
    )  # fmt: skip
    return done.stdout.decode()


def test_hostile_names_are_text_in_a_browser(tmp_path: Path) -> None:
    """dask#7570, distributed#2753: keep the picture; and nothing in a name becomes a part of it."""
    text = hostile_page()
    source = Tags(text)
    assert source.tags.count("script") == 2
    assert source.links == []
    assert not [name for name in source.attributes if name.startswith("on")]
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text) < 200_000
    seen = rendered(text, tmp_path / "report.html")
    if seen is text:
        return
    found = Tags(seen)
    assert "img" not in found.tags
    assert "<title>pwned" not in seen
    assert found.tags.count("script") == 2
    assert "4 of 4 jobs" in found.text
    assert "</script><script>document.title" in found.text
    assert "1 of 4 jobs" in Tags(rendered(text, tmp_path / "report.html", "#queued")).text


def test_the_page_has_all_that_it_is_for() -> None:
    text = Tags(hostile_page()).text
    for words in (
        "What failed, and why", "Who ran where, and when", "What starts after what", "All jobs", "By name",
        "Waiting and running", "The last that one of them wrote", "core-hours",
    ):  # fmt: skip
        assert words in text
    plain = Tags(page(Report("t", [reported(1)], NOW))).text
    assert "What failed" not in plain
    assert "What starts after what" not in plain


def test_the_trace_has_a_bar_for_each_job_and_counts_those_that_wait_and_run() -> None:
    waits = reported(3, state="QUEUED", started=None, finished=None)
    jobs = [reported(1), reported(2, name=EVIL, host="n2"), waits]
    events = json.loads(trace(jobs, NOW))["traceEvents"]
    bars = [event for event in events if event["ph"] == "X"]
    assert [(bar["ts"], bar["dur"], bar["tid"]) for bar in bars] == [
        (1_011_000_000, 10_000_000, 1),
        (1_012_000_000, 10_000_000, 1),
    ]
    assert bars[1]["name"].isprintable()
    assert len({bar["pid"] for bar in bars}) == 2
    counts = [event["args"] for event in events if event["ph"] == "C"]
    assert counts[-1] == {"waiting": 1, "running": 0}
    assert max(count["running"] for count in counts) == 2


def test_a_table_is_read_by_no_spreadsheet_as_formulas() -> None:
    jobs = [reported(1, name="=cmd|' /C calc'!A0", tags={"a": "b"}, message='two "lines"\nhere'), reported(2)]
    first, second = csv.DictReader(io.StringIO(as_csv(jobs, NOW)))
    assert first["name"] == "'=cmd|' /C calc'!A0"
    assert json.loads(first["tags"]) == {"a": "b"}
    assert (first["waited"], first["ran"], second["tags"]) == ("10.0", "10.0", "")


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("local_cli")
def test_a_report_on_jobs_of_a_name(tmp_path: Path) -> None:
    backend = library.get_backend("local")
    first = backend.run(Command(["sh", "-c", "echo out of tea >&2; exit 3"]), name="brew", memory="64MiB")
    other = backend.run(Command(["true"]), name="brew", after_end=[first])
    library.wait([first, other], timeout=60)
    done = invoke("report", "--name", "brew", "--html", "r.html", "--trace", "t.json", "--csv", "c.csv")
    assert (done.exit_code, done.stderr.count("wrote")) == (0, 3), done.stderr
    text = Tags(Path("r.html").read_text()).text
    assert "out of tea" in text
    assert "1 × exit-code" in text
    assert "What starts after what" in text
    assert f"brew {other.job_id()[:7]}: DONE" in text
    assert len([e for e in json.loads(Path("t.json").read_text())["traceEvents"] if e["ph"] == "X"]) == 2
    rows = list(csv.DictReader(io.StringIO(Path("c.csv").read_text())))
    assert [row["exit_code"] for row in rows] == ["3", "0"]
    assert rows[0]["memory"] == str(64 << 20)
    assert anyjob("report", "--name", "brew", "--csv", "-").stdout.count(b"\n") == 3
    assert "the newest 1;" in invoke("report", "--html", "r.html", "--limit", "1").stderr
    assert "only one of --html" in invoke("report", "--html", "-", "--csv", "-").stderr
    assert "to one file" in invoke("report", "--html", "r.html", "--csv", "./r.html").stderr
    assert anyjob("report", "--csv", "-", "--limit", str(2**70)).returncode == 0
    assert sorted(each.name for each in Path().iterdir()) == ["c.csv", "r.html", "t.json"]


@pytest.mark.usefixtures("local_cli")
def test_what_was_run_anew_is_reported_where_that_is_asked_for() -> None:
    backend = library.get_backend("local")
    library.wait(
        [first := backend.run(Command(["sh", "-c", "exit $ANYJOB_ATTEMPT"]), name="anew")], timeout=60
    )
    library.wait(library.rerun([first]), timeout=60)
    ids = [row["job_id"] for row in _table("--name", "anew")]
    assert len(ids) == 1
    assert ids != [first.job_id()]
    assert [row["job_id"] for row in _table("--name", "anew", "--superseded")] == [first.job_id(), *ids]


@pytest.mark.usefixtures("local_cli")
def test_memory_is_measured_by_what_the_last_attempt_was_given() -> None:
    script, again = "[ $ANYJOB_ATTEMPT = 2 ]", {"times": 1, "grow": {"memory": 2}}
    backend = library.get_backend("local")
    job = backend.run(Command(["sh", "-c", script]), name="grown", memory="64MiB", retries=again)
    library.wait([job], timeout=60)
    assert [(row["attempt"], row["memory"]) for row in _table("--name", "grown")] == [("2", str(128 << 20))]


def _table(*options: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(anyjob("report", *options, "--csv", "-").stdout.decode())))


@pytest.mark.usefixtures("local_cli")
def test_a_report_of_nothing_or_to_nowhere_is_refused() -> None:
    assert "--html FILE" in invoke("report").stderr
    done = invoke("report", "--name", "nothing", "--html", "r.html")
    assert (done.exit_code, Path("r.html").exists()) == (125, False)
    assert "no job fits" in done.stderr
    library.get_backend("local").run(Command(["true"])).result(timeout=60)
    done = invoke("report", "--html", "none/r.html")
    assert "cannot write none/r.html" in done.stderr
    assert done.exit_code == 125


def test_a_report_on_many_jobs_is_small() -> None:
    jobs = [reported(n, work="x" * 200, message="y" * 500 + str(n), **FAILED) for n in range(2000)]
    assert len(page(Report("t", jobs, NOW))) < 1_000_000  # of 10,000, five times as much


# --- at the end of a job file ---------------------------------------------------------------------

SWEEP = """
name = "brew"
[command]
argv = ["sh", "-c", "until [ -e go ]; do sleep 0.02; done; echo cup {cup}; test {cup} != 2"]
[matrix]
cup = [1, 2]
"""


@pytest.mark.usefixtures("local_cli")
def test_a_job_file_leaves_a_report_whoever_waits() -> None:
    Path("sweep.toml").write_text(SWEEP)
    left = anyjob("run", "sweep.toml", "--detach", "--report", "left.html")
    assert left.returncode == 0, left.stderr
    assert not Path("left.html").exists()
    Path("go").touch()
    assert anyjob("wait", "report").returncode == 0
    assert "1 × exit-code" in Tags(Path("left.html").read_text()).text
    waited = anyjob("run", "sweep.toml", "--report", "waited.html")
    assert waited.returncode == 1
    assert waited.stderr.decode().splitlines()[-1] == "anyjob: wrote waited.html"
    assert "brew" in Tags(Path("waited.html").read_text()).text
    asked = anyjob("notify", "brew", "--report", "asked.html")
    assert anyjob("wait", asked.stdout.decode().strip()).returncode == 0
    assert Path("asked.html").exists()


@pytest.mark.usefixtures("local_cli")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--report", "none/r.html"], "there is no directory"),
        (["--report", "r.csv"], "name a file that ends in .html"),
        (["--report", ""], "name a file that ends in .html"),
        (["--report", "made.html"], "that is a directory: name a file"),
        (["--results", "made.csv"], "that is a directory: name a file"),
        (["--report", "r.html", "-b", "threads"], "leave out --report, or choose another one"),
    ],
)
def test_a_report_that_cannot_be_is_refused_before_anything_runs(options: list[str], says: str) -> None:
    Path("sweep.toml").write_text(SWEEP.replace("brew", "never"))
    for name in ("made.html", "made.csv"):
        Path(name).mkdir()
    done = invoke("run", "sweep.toml", *options)
    assert says in done.stderr
    assert done.exit_code == 125
    assert json.loads(invoke("jobs", "--name", "never", "--json").stdout) == []
