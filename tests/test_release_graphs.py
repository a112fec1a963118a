"""Random graphs of jobs on several engines, while supervisors and releasers are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.several_engines import World, several_engines

import anyjob
from anyjob import Command, DependencyFailedError
from anyjob.builtin.local.locks import lock_holder

GRAPHS = int(os.environ.get("ANYJOB_TEST_GRAPHS", "3"))
NODES = 7
LIMIT = 120.0
CONDITIONS = ("after", "after_end", "after_failure")


class Node(NamedTuple):
    """A job of a graph: where it runs, how it ends, and what it starts after, by number."""

    backend: str
    code: int
    needs: dict[int, str]


def graph(seed: int) -> list[Node]:
    rng = random.Random(seed)
    nodes = []
    for number in range(NODES):
        before = [each for each in range(number) if rng.random() < 0.35]
        needs = {each: rng.choices(CONDITIONS, (6, 2, 2))[0] for each in before}
        nodes.append(Node(rng.choice(["local", "right"]), rng.choice([0, 0, 0, 3]), needs))
    return nodes


def expected(nodes: list[Node]) -> list[str]:
    """What is to come of each: that it is done, that it fails, or that it never starts."""
    came: list[str] = []
    for node in nodes:
        meets = {
            "after": ("done",),
            "after_end": ("done", "failed", "never"),
            "after_failure": ("failed", "never"),
        }
        is_met = all(came[each] in meets[condition] for each, condition in node.needs.items())
        came.append(("failed" if node.code else "done") if is_met else "never")
    return came


@contextlib.contextmanager
def killing(world: World, rng: random.Random) -> Iterator[None]:
    """Kill a supervisor or a releaser at random moments."""
    is_over = threading.Event()

    def kill() -> None:
        while not is_over.wait(rng.uniform(0.5, 3.0)):
            whom = [*world.releasers(), lock_holder(world.paths.supervisor_lock)]
            pid = rng.choice(whom)
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        is_over.set()
        killer.join()


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_each_job_runs_once_and_never_before_what_it_needs(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = graph(seed)
    with several_engines(tmp_path, monkeypatch) as world:
        jobs: list[Any] = []
        for number, node in enumerate(nodes):
            text = f"echo begin {number} >> '{world.ran}'; sleep 0.3; echo end {number} >> '{world.ran}'"
            given: dict[str, list[Any]] = {}
            for each, condition in node.needs.items():
                given.setdefault(condition, []).append(jobs[each])
            spec = Command(["sh", "-c", f"{text}; exit {node.code}"])
            jobs.append(anyjob.run(spec, backend=node.backend, **given))
        with killing(world, random.Random(seed)):
            failures = [job.exception(LIMIT) for job in jobs]
        came = [
            "done" if failure is None else "never" if isinstance(failure, DependencyFailedError) else "failed"
            for failure in failures
        ]
        assert came == expected(nodes), failures
        lines = world.runs()
        ran = [number for number, what in enumerate(came) if what != "never"]
        assert sorted(lines) == sorted(f"{mark} {number}" for mark in ("begin", "end") for number in ran)
        for number in ran:
            for each in nodes[number].needs:
                if came[each] != "never":
                    assert lines.index(f"end {each}") < lines.index(f"begin {number}")
