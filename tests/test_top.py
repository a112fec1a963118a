"""``anyjob top``: what keys do, what is drawn, and the program in a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.cli_program import PROGRAM, invoke
from support.waiting import wait_until

import anyjob
from anyjob import Command
from anyjob.cli.top import snapshot
from anyjob.cli.top.keys import split
from anyjob.cli.top.screen import lines
from anyjob.cli.top.snapshot import Closely, Snapshot, fits, order
from anyjob.cli.top.view import FILTERS, Action, View, press
from anyjob.views.live.loads import Load
from anyjob.views.reported_job import ReportedJob

EVIL = "e\x1b[2J\n\u202evil[red]"
IDS = [letter * 20 for letter in "abcdef"]


def job(number: int, **fields: Any) -> ReportedJob:
    known: dict[str, Any] = dict.fromkeys(ReportedJob._fields, "")
    known |= {"job_id": IDS[number], "state": "DONE", "submitted": 1000.0 + number, "started": None}
    known |= {"finished": None, "cpus": 1, "tags": {}}
    return ReportedJob(**{**known, **fields})


def keys(text: str, view: View | None = None) -> tuple[View, list[Action]]:
    view, actions = view or View(), []
    for key in split(text):
        view, action = press(view, key, IDS, page=3)
        actions += [action] if action else []
    return view, actions


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("\x1b[B", IDS[1]), ("jj", IDS[2]), ("jjk", IDS[1]), ("\x1b[6~", IDS[3]), ("\x1b[F", IDS[5]),
        ("\x1b[F\x1b[5~", IDS[2]), ("\x1b[H", IDS[0]), ("jjjjjjjjjj", IDS[5]), ("\x1b[15~\x1b[1;5Cj", IDS[1]),
    ],
)  # fmt: skip
def test_keys_select(text: str, selected: str) -> None:
    assert keys(text)[0].selected == selected


def test_what_ends_or_repeats_a_job_asks_first_and_means_what_was_asked_about() -> None:
    assert keys("jc")[1] == []
    view, _ = keys("c")
    assert (view.asks, view.selected) == ("cancel", IDS[0])
    # Meanwhile another job has come to be the first.
    view, action = press(view, "y", ["z" * 20, *IDS])
    assert action == Action("cancel", IDS[0])
    assert keys("jcn")[1] == []
    assert keys("jry")[1] == [Action("rerun", IDS[1])]
    assert keys("jhu")[1] == [Action("hold", IDS[1]), Action("release", IDS[1])]
    assert press(View(), "c", []) == (View(), None)


def test_keys_filter_sort_search_and_leave() -> None:
    assert [keys("f" * n)[0].filter for n in range(5)] == [*FILTERS, "all"]
    assert keys("sss")[0].sort == "state"
    view, _ = keys("/fiq\x7ft\r")
    assert (view.search, view.typing, view.ended) == ("fit", False, False)
    assert keys("/x\x1b")[0].search == ""
    for text in ("q", "\x1b", "\x03", "/\x03", "c\x03"):
        assert keys(text)[0].ended, text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (20, 5), (200, 60), (5, 1), (80, 8)])
@pytest.mark.parametrize(
    "view", [View(), View(typing=True, search=EVIL), View(asks="cancel"), View(said=EVIL)]
)
def test_what_is_drawn_fits_and_moves_no_cursor(width: int, height: int, view: View) -> None:
    jobs = [
        job(n % 6, name=EVIL * 9, work=EVIL * 90, backend=EVIL, reason=EVIL, state="ERROR") for n in range(50)
    ]
    shown = Snapshot(
        {"ERROR": 50}, jobs, [Load(EVIL, 1, 2, 3, 4)] * 9, {IDS[0]: Closely(EVIL, [EVIL] * 9, [EVIL])}, 0
    )
    drawn = lines(shown, view, width, height)
    assert len(drawn) == height
    assert all(line.cell_len <= width for line in drawn)
    assert all(line.plain.isprintable() for line in drawn)
    assert lines(Snapshot({}, [], [], {}, 0), view, width, height)


def test_the_selected_job_is_seen_and_told_of() -> None:
    jobs = [job(n, name=f"job-{n}") for n in range(6)]
    shown = Snapshot({"DONE": 6}, jobs, [], {IDS[5]: Closely("has succeeded", ["why"], ["last line"])}, 0)
    text = "\n".join(line.plain for line in lines(shown, View(selected=IDS[5]), 80, 14))
    for words in ("6 DONE", "job-5", "It has succeeded.", "- why", "| last line"):
        assert words in text


def test_the_keys_are_all_named_on_80_columns() -> None:
    last = lines(Snapshot({}, [], [], {}, 0), View(), 80, 14)[-1].plain
    for key in ("q quit", "f filter", "s sort", "/ search", "c cancel", "h hold", "u release", "r rerun"):
        assert key in last


def test_it_says_when_all_that_is_listed_will_be_done() -> None:
    jobs = [
        job(0, name="fit", started=0.0, finished=10.0),
        job(1, name="fit", state="RUNNING", started=96.0, finished=None),
    ]
    head = lines(Snapshot({"DONE": 1, "RUNNING": 1}, jobs, [], {}, 100.0), View(), 80, 14)[0].plain
    assert head.endswith("these done in about 6.0s")


def test_jobs_are_sorted_and_searched() -> None:
    jobs = [job(0, name="b"), job(1, name="a", state="RUNNING"), job(2, name="c", state="ERROR", host="n3")]
    assert [each.job_id[0] for each in order(jobs, "newest")] == ["c", "b", "a"]
    assert [each.job_id[0] for each in order(jobs, "oldest")] == ["a", "b", "c"]
    assert [each.name for each in order(jobs, "name")] == ["a", "b", "c"]
    assert [each.state for each in order(jobs, "state")] == ["RUNNING", "ERROR", "DONE"]
    assert fits(jobs[2], "N3 err")
    assert not fits(jobs[2], "n3 done")


# --- in a terminal --------------------------------------------------------------------------------


class Terminal:
    """The program in a terminal of 80 by 24."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        self.process = subprocess.Popen(
            [*PROGRAM, "top"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, process_group=0
        )
        os.close(theirs)
        self.text = ""

    def expect(self, words: str) -> None:
        """Read until these words were written since the last key."""
        until = time.monotonic() + 60
        while words not in self.text:
            assert select.select([self._ours], [], [], max(0, until - time.monotonic()))[0], self.text[-3000:]
            try:
                self.text += os.read(self._ours, 65536).decode("utf-8", "replace")
            except OSError:
                break
        assert words in self.text, self.text[-3000:]

    def press(self, keys: str) -> None:
        self.text = ""
        os.write(self._ours, keys.encode())

    def close(self) -> None:
        os.close(self._ours)
        self.process.kill()
        self.process.wait(60)


@pytest.mark.usefixtures("local_cli")
def test_in_a_terminal_a_job_is_seen_and_cancelled_and_the_terminal_is_as_before(tmp_path: Path) -> None:
    """dask#7570, distributed#2753, chancy#57: a dashboard without a port; one that acts."""
    running = anyjob.get_backend("local").run(
        Command(["sh", "-c", "echo '\x1b[31mhere'; sleep 60"]), name="sleeper"
    )
    terminal = Terminal()
    try:
        terminal.expect("sleeper")
        terminal.expect("It runs, for")
        terminal.expect("| \\x1b[31mhere")
        terminal.press("c")
        terminal.expect("cancel it?")
        terminal.press("y")
        terminal.expect("It was cancelled")
        assert running.status().name == "CANCELLED"
        terminal.press("q")
        terminal.expect("\x1b[?1049l")  # back from the second screen
        assert terminal.process.wait(60) == 0
    finally:
        terminal.close()


@pytest.mark.usefixtures("local_cli")
def test_ctrl_z_gives_the_terminal_back_until_it_goes_on() -> None:
    terminal = Terminal()
    try:
        terminal.expect("q quit")
        terminal.press("\x1a")
        terminal.expect("\x1b[?1049l")  # back from the second screen
        process = psutil.Process(terminal.process.pid)
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
        terminal.press("")
        process.send_signal(signal.SIGCONT)
        terminal.expect("q quit")
        terminal.press("q")
        assert terminal.process.wait(60) == 0
    finally:
        terminal.close()


def test_where_there_is_no_terminal_it_says_so() -> None:
    done = invoke("top")
    assert done.exit_code == 125
    assert "`anyjob jobs` lists jobs anywhere" in done.stderr


@pytest.mark.usefixtures("local_cli")
def test_an_empty_ledger_and_a_page_of_it() -> None:
    session = anyjob.default_session()
    first = snapshot.read(session, View(search="no such job"), ask=False)
    assert first.jobs == []
    anyjob.get_backend("local").run(Command(["true"]), name="one").result(timeout=60)
    found = snapshot.read(session, View(), ask=True)
    assert found.jobs[0].name == "one"
    assert found.counts["DONE"] >= 1
    assert found.closely[found.jobs[0].job_id].headline.startswith("has succeeded")
    assert snapshot.read(session, View(filter="running"), ask=False).jobs == []
