"""Measures how soon the dashboard tells a page what there is and what has changed, and what it costs idle.

    .venv-plugins/anyjob-dashboard/bin/python benchmarks/dashboard.py [--jobs 1000000]

The jobs are those of `benchmarks/report.py`. A page is played by a program that reads the events: the median
of four times from its request to the first 200 jobs, and of five to all that are listed; the first page of
a new dashboard by itself, since that has the ledger read; the median of twenty times from the commit of one
more job to its being told; and the processor's time that the dashboard takes in ten seconds without a change.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT / "src"),
    str(ROOT / "plugins" / "anyjob-dashboard" / "src"),
    str(ROOT / "benchmarks"),
]

from report import fill  # noqa: E402

PAGES, CHANGES, IDLE = 5, 20, 10.0


def events(url: str) -> Iterator[dict[str, Any]]:
    """Enter by the token, and yield what a page is told."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    connection.request("GET", url.partition(urlsplit(url).netloc)[2])
    answer = connection.getresponse()
    cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
    answer.read()
    connection.request("GET", "/events", headers={"Cookie": cookie})
    for line in connection.getresponse():
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000, metavar="N")
    count = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state"
        fill(state, count, bulk=min(1000, count))
        environment = {**os.environ, "ANYJOB_STATE": str(state), "PYTHONPATH": os.pathsep.join(sys.path[:3])}
        program = [sys.executable, "-m", "anyjob", "dashboard"]
        process = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            measure(found[0], state, min(count, 10_000), psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def measure(url: str, state: Path, listed: int, dashboard: psutil.Process) -> None:
    """Measure a dashboard that runs."""
    first, every = [], []
    for _ in range(PAGES):
        began, told, page = time.perf_counter(), 0, events(url)
        for event in page:
            told += len(event["jobs"])
            first += [time.perf_counter() - began] if len(first) == len(every) else []
            if told >= listed:
                every.append(time.perf_counter() - began)
                break
        page.close()
    print(f"the first page  {first[0] * 1000:8.0f} ms to its first 200 jobs")
    print(f"later ones      {statistics.median(first[1:]) * 1000:8.0f} ms")
    print(f"all {listed} listed {statistics.median(every) * 1000:8.0f} ms")
    page, told = events(url), 0
    while told < listed:
        told += len(next(page)["jobs"])
    time.sleep(1)
    delays = []
    for _ in range(CHANGES):
        fill(state, 1)
        began = time.perf_counter()
        while not next(page)["jobs"]:
            pass
        delays.append(time.perf_counter() - began)
        time.sleep(0.5)
    print(f"a change        {statistics.median(delays) * 1000:8.0f} ms, at most {max(delays) * 1000:.0f} ms")
    before = sum(dashboard.cpu_times()[:2])
    time.sleep(IDLE)
    print(f"{IDLE:g} s idle       {(sum(dashboard.cpu_times()[:2]) - before) * 1000:8.0f} ms of a processor")


if __name__ == "__main__":
    main()
