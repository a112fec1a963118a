"""Kill what is between a program and its jobs on another machine, again and again, and account for every job.

Two clients at a time hand over jobs, and one of these is killed: a client, its ``ssh``, the agent, the
session of sshd, the supervisor or the keeper there; or nobody comes in for a moment. At the end another
process waits for all. A job notes when it starts and when it is through. One that ran twice, or is DONE and
was not through, or is ``lost`` and no keeper was killed while it ran, is a fault.

The table has what came of the jobs that had been handed over, and had not ended, when one was killed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path

import ssh_lab

import anyjob
from anyjob.testing.environment.leftover_processes import leftovers

JOBS = 15
VICTIMS = {
    "client": "the program",
    "ssh": "its `ssh`",
    "sshd": "the session of sshd",
    "agent": "`anyjob serve` there",
    "supervisor": "the supervisor there",
    "keeper": "the keeper there, with what it runs",
    "away": "nothing, but nobody comes in for up to 2 s",
}
RESULTS = {
    "done": "DONE, ran once",
    "running": "`lost`: killed with the keeper",
    "through": "`lost`: had ended, nobody had noted it",
    "never": "`lost`: had not begun",
    "fault": "anything else",
}
MOMENT = 2.0
"""Seconds between the death of a keeper and what a job does that is lost with it, at most."""
CLIENT = """
    import anyjob
    session = anyjob.Session(
        config=anyjob.Config.from_dict({"backends": {"far": {"type": "ssh", **OPTIONS}}}, origin="soak"),
        state=STATE,
    )
    command = anyjob.Command(
        ["sh", "-c", 'exec >> "$0/$ANYJOB_JOB_ID"; date +s%s.%N; sleep 0.05; date +e%s.%N', RAN]
    )
    jobs = session.get_backend("far").run_many([command] * JOBS, name="soak")
    anyjob.wait(jobs, 60)
"""
Kills = list[tuple[float, str]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=VICTIMS, nargs="+", default=list(VICTIMS), help="kill no others")
    given = parser.parse_args()
    random.seed(given.seed)
    with tempfile.TemporaryDirectory(prefix="anyjob-soak-") as directory:
        return soak(Path(directory), given.kills, given.only)


def soak(directory: Path, kills: int, victims: list[str]) -> int:
    """Kill so many times one of these; return the number of faults."""
    server = ssh_lab.Server(directory / "far")
    state, ran = directory / "near", directory / "ran"
    ran.mkdir()
    names = {"OPTIONS": repr(dict(server.options())), "STATE": repr(str(state)), "RAN": repr(str(ran))}
    script = textwrap.dedent(CLIENT).replace("JOBS", str(JOBS))
    for name, value in names.items():
        script = script.replace(name, value)
    done: Kills = []
    try:
        clients: list[subprocess.Popen[bytes]] = []
        while len(done) < kills:
            clients = [client for client in clients if client.poll() is None]
            if len(clients) < 2:
                clients.append(subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL))
            time.sleep(random.uniform(0.05, 1.5))
            victim = random.choice(victims)
            if kill(victim, server, clients):
                done.append((time.time(), victim))
        for client in clients:
            client.kill()
            client.wait()
        return account(server, state, ran, done)
    finally:
        server.close()


def kill(victim: str, server: ssh_lab.Server, clients: list[subprocess.Popen[bytes]]) -> bool:
    """Kill one of these; tell whether there was one."""
    pids: list[int] = []
    if victim == "client":
        pids = [client.pid for client in clients]
    elif victim == "ssh":
        pids = server._commands(os.fsencode(server.config))
    elif victim == "agent":
        pids = server.agents()
    elif victim == "sshd":
        pids = [_parent(pid) for pid in server.agents()]
    elif victim in ("supervisor", "keeper"):
        pids = [pid for pid in leftovers(server.state) if _is_program(pid, victim)]
    else:
        server.stop()
        time.sleep(random.uniform(0.1, 2))
        server.start()
        return True
    if not pids:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(random.choice(pids), signal.SIGKILL)
        return True
    return False


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _is_program(pid: int, name: str) -> bool:
    """Tell whether a process is the supervisor, or the keeper, which has the supervisor's command with it."""
    words = _command(pid).split(b"\0")
    code = words[words.index(b"-c") + 1] if b"-c" in words[:-1] else b""
    return f"anyjob.builtin.local.{name}.main".encode() in code


def _parent(pid: int) -> int:
    """Return the session of sshd that an agent belongs to; itself where that is not to be told."""
    with suppress(OSError, ValueError, IndexError):
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if b"sshd" in _command(parent):
            return parent
    return pid


def account(server: ssh_lab.Server, state: Path, ran: Path, kills: Kills) -> int:
    """Wait for all that is in the ledger, and compare it with what has run; return the number of faults."""
    config = {"backends": {"far": {"type": "ssh", **server.options()}}}
    with anyjob.Session(config=anyjob.Config.from_dict(config, origin="soak"), state=state) as session:
        jobs = session.jobs(name="soak")
        anyjob.wait(jobs, 300)
        table: dict[str, Counter[str]] = defaultdict(Counter)
        whole: Counter[str] = Counter()
        for job in jobs:
            path = ran / job.job_id()
            marks = path.read_text().split() if path.exists() else []
            result = judged(job, marks, kills)
            whole[result] += 1
            told = job.metadata()
            for at, victim in kills:
                if told["submitted"] <= at <= (told["finished"] or at):
                    table[victim][result] += 1
            if result == "fault":
                end = told["finished"] or time.time()
                near = [f"{victim} {at:.3f}" for at, victim in kills if -5 < at - end < 1]
                print(job.job_id(), told["status"], told["message"], *marks, f"{end:.3f}", *near)
        known = {job.job_id() for job in jobs}
        stray = [path.name for path in ran.iterdir() if path.name not in known]
    count = Counter(victim for _, victim in kills)
    print(f"| {len(kills)} kills, {len(jobs)} jobs | times | {' | '.join(RESULTS.values())} |")
    print("|" + " --- |" * (len(RESULTS) + 2))
    for victim, words in VICTIMS.items():
        print(f"| {words} | {count[victim]} | {' | '.join(str(table[victim][each]) for each in RESULTS)} |")
    print(f"| all jobs | | {' | '.join(str(whole[each]) for each in RESULTS)} |")
    print(f"ran and stand in no ledger: {len(stray)}")
    return whole["fault"] + len(stray)


def judged(job: anyjob.TaskJob, marks: list[str], kills: Kills) -> str:
    """Return which of the results that of a job is, by what it has noted itself."""
    ended = job.outcome(1)
    noted = "".join(mark[0] for mark in marks)
    times = [float(mark[1:]) for mark in marks]
    if ended.status is anyjob.JobStatus.DONE:
        return "done" if noted == "se" else "fault"
    if ended.status is not anyjob.JobStatus.ERROR or ended.reason != "lost":
        return "fault"
    keepers = [at for at, victim in kills if victim == "keeper"]
    if noted == "":
        return "never"
    if noted in ("s", "se") and any(abs(at - times[-1]) < MOMENT for at in keepers):
        return "running" if noted == "s" else "through"
    return "fault"


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
