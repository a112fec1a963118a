"""Progress of waits: the figures, where they are shown, and that the waits are as they are without."""

from __future__ import annotations

import io
import queue
import re
import sys
from typing import Any

import pytest

import anyjob
from anyjob import JobStatus
from anyjob.cli.run.sweeps import progress as sweep_progress
from anyjob.progress_display import displays, notebook
from anyjob.progress_display.displays import LogLines, display
from anyjob.progress_display.shown_wait import ShownWait, title_of
from anyjob.progress_display.tally import Tally
from anyjob.progress_display.terminal import TerminalBar

DONE, ERROR = JobStatus.DONE, JobStatus.ERROR
EVIL = "<script>\x1b[2J[red]"


def tally(ended: int, total: int = 100, every: float = 1.0) -> Tally:
    made = Tally(total, 0.0)
    for n in range(1, ended + 1):
        made.end(ERROR if n % 10 == 0 else DONE, n * every)
    return made


@pytest.mark.parametrize(
    ("made", "now", "words"),
    [
        (tally(0), 5.0, []),
        (tally(2), 2.0, []),
        (tally(5), 5.0, ["1/s", "1m35s to go"]),
        (tally(5), 0.0001, ["50,000/s", "0.0s to go"]),
        (tally(10), 10.0, ["9 done", "1 failed", "1/s", "1m30s to go"]),
        (tally(5, every=60), 300.0, ["1/min", "1h35m to go"]),
        (tally(5, every=3600), 18000.0, ["1/h", "3d23h to go"]),
        (tally(5, total=5), 5.0, ["1/s", "in 5.0s"]),
        (Tally(0, 0.0), 0.0, ["in 0.0s"]),
    ],
)
def test_words_of_a_tally(made: Tally, now: float, words: list[str]) -> None:
    assert list(made.words(now)) == words


def test_the_rate_is_that_of_late_and_not_of_what_was_done_before() -> None:
    made = Tally(10_000, 0.0)
    for _ in range(5000):
        made.end(DONE, 0.0, before=True)
    for n in range(1, 1001):
        made.end(DONE, n * 0.1)
    for n in range(1, 301):
        made.end(DONE, 100 + n * 1.0)
    assert made.rate(400.0) == pytest.approx(1.0, rel=0.02)
    assert made.to_go(400.0) == pytest.approx(3700, rel=0.02)
    made.running = 4
    assert made.queued == 10_000 - 6300 - 4


def test_a_log_has_a_line_a_minute_and_one_at_the_end() -> None:
    stream = io.StringIO()
    lines = LogLines("fit", stream)
    made = tally(0)
    for second in range(180):
        lines.update(made, float(second))
    lines.close(made, 200.0)
    assert stream.getvalue() == "fit: 0 of 100\n" * 3
    stream.close()
    lines.close(made, 200.0)  # nobody reads of it any more


def test_a_terminal_that_becomes_narrower_has_no_broken_bar_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line was broken in two by the terminal: two are erased before the next is drawn."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    bar = TerminalBar("fit", stream)
    bar.update(tally(10), 10.0)
    bar.update(tally(11), 11.0)
    assert stream.getvalue().count("\x1b[2K") == 2
    stream.truncate(0)
    monkeypatch.setattr(type(bar._progress.console), "width", property(lambda console: 50))
    bar.update(tally(12), 12.0)
    assert stream.getvalue().count("\x1b[2K") == 2
    stream.truncate(0)
    bar.update(tally(12), 12.0)
    assert stream.getvalue().count("\x1b[2K") == 1
    bar.close(tally(100), 100.0)


def test_the_title_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "<" not in re.sub(r"</?(?:div|code|progress|span)[^>]*>", "", notebook.bar(EVIL, tally(3), 3.0))
    stream = io.StringIO()
    shown = display(EVIL, stream)
    shown.close(tally(3), 3.0)
    assert stream.getvalue().startswith("<script>\\x1b[2J[red]: 3 of 100")


def test_in_a_notebook_the_bar_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar without widgets; in the kernel of a notebook, and in no other IPython."""
    told: list[tuple[str, str]] = []

    class Handle:
        def update(self, shown: Any) -> None:
            told.append(("update", shown.data))

    def show(shown: Any, display_id: bool) -> Handle:
        assert display_id is True
        told.append(("display", shown.data))
        return Handle()

    import IPython.display

    monkeypatch.setattr(IPython.display, "display", show)
    assert not displays.in_notebook()

    class Shell:
        kernel = object()

    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", Shell)
    shown = display("fit")
    shown.update(tally(1), 1.0)
    shown.close(tally(3), 3.0)
    assert [what for what, _ in told] == ["display", "update"]
    assert 'value="3" max="100"' in told[1][1]


class Recorded:
    """A display that keeps what it is told."""

    interval = 0.0

    def __init__(self, *_: Any) -> None:
        self.told: list[tuple[int, int | None]] = []
        self.closed = 0

    def update(self, tally: Tally, now: float) -> None:
        self.told.append((tally.ended, tally.running))

    def close(self, tally: Tally, now: float) -> None:
        self.closed += 1
        self.last = (tally.ended, tally.failed)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    made: list[Recorded] = []

    def make(title: str) -> Recorded:
        made.append(Recorded())
        return made[-1]

    monkeypatch.setattr("anyjob.progress_display.shown_wait.display", make)
    return made


def jobs(count: int = 6) -> list[Any]:
    return anyjob.get_backend("threads").map(_call, range(count), name="fit")


def _call(n: int) -> int:
    if n == 3:
        raise ValueError(n)
    return n


def test_waits_are_the_same_with_progress(shown: list[Recorded]) -> None:
    some = jobs()
    assert set(anyjob.as_completed(some, progress=True)) == set(some)
    assert (shown[0].closed, shown[0].last) == (1, (6, 1))
    assert anyjob.wait(jobs(), progress=True).not_done == []
    assert [job.job_id() for job in anyjob.get_backend("threads").map(abs, [1, 2], progress=True)]
    assert [each.closed for each in shown] == [1, 1, 1]
    with anyjob.Session() as session:
        assert len(list(session.as_completed(jobs(), progress=True))) == 6
        assert session.wait(jobs(), progress=True).not_done == []


def test_a_loop_that_is_left_and_a_wait_that_is_late_close_the_bar(shown: list[Recorded]) -> None:
    for _ in anyjob.as_completed(jobs(), progress=True):
        break
    assert shown[0].closed == 1
    backend = anyjob.get_backend("threads", slots=1)
    import threading

    go = threading.Event()
    job = backend.run(anyjob.Call(go.wait))
    with pytest.raises(anyjob.JobTimeoutError):
        list(anyjob.as_completed([job], timeout=0.05, progress=True))
    assert anyjob.wait([job], timeout=0.05, progress=True).not_done == [job]
    assert [each.closed for each in shown] == [1, 1, 1]
    go.set()


def test_what_runs_is_counted_without_asking(shown: list[Recorded]) -> None:
    some = jobs(3)
    anyjob.wait(some)
    wait = ShownWait([*some, object()])
    wait.tick()
    wait.end(DONE)
    wait.close()
    assert shown[0].told[0] == (0, 0)
    assert shown[0].last == (1, 0)
    assert title_of(some) == "fit"
    assert title_of([object()]) == "jobs"


def test_others_bars_know_how_many_there_are() -> None:
    """As tqdm asks: by ``len``."""
    ended = anyjob.as_completed(jobs())
    assert len(ended) == 6
    assert len(list(ended)) == 6
    assert len(anyjob.as_completed([])) == 0


def test_without_a_terminal_stderr_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    anyjob.wait(jobs(), progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(r"fit: 6 of 6, 5 done, 1 failed, .*in .*s\n", shown.err)


def test_the_time_to_go_of_a_sweep_is_told_anew_while_none_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: queue.Queue[float] = queue.Queue()

    class Bar:
        interval = 0.0

        def __init__(self, *given: object) -> None:
            pass

        def update(self, tally: Tally, now: float) -> None:
            drawn.put(now)

        close = update

    monkeypatch.setattr("anyjob.progress_display.terminal.TerminalBar", Bar)
    monkeypatch.setattr(sweep_progress, "is_terminal", lambda stream: True)
    monkeypatch.setattr(sweep_progress, "TICK", 0.001)
    with sweep_progress.Progress("fit", 2, "local"):
        times = [drawn.get(timeout=60) for _ in range(4)]
    assert times == sorted(set(times))
