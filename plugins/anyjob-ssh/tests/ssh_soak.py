"""Kill what is between a program and its jobs on another machine, again and again, and account for every job.

Each round hands over jobs from a process of its own, and kills one of: that client, its ``ssh``, the agent,
the session of sshd, the supervisor there; or has nobody come in for a moment. At the end another process
waits for all. A job that ran twice, or is DONE and did not run, or neither ran nor is said not to have, is a
fault.
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
from collections import Counter
from contextlib import suppress
from pathlib import Path

import ssh_lab

import anyjob
from anyjob.testing.environment.leftover_processes import leftovers

JOBS = 15
VICTIMS = ("client", "ssh", "agent", "sshd", "supervisor", "nobody comes in")
CLIENT = """
    import anyjob
    session = anyjob.Session(
        config=anyjob.Config.from_dict({"backends": {"far": {"type": "ssh", **OPTIONS}}}, origin="soak"),
        state=STATE,
    )
    command = anyjob.Command(["sh", "-c", 'echo . >> "$0/$ANYJOB_JOB_ID"; sleep 0.05', RAN])
    jobs = session.get_backend("far").run_many([command] * JOBS, name="soak")
    anyjob.wait(jobs, 60)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    random.seed(given.seed)
    with tempfile.TemporaryDirectory(prefix="anyjob-soak-") as directory:
        return soak(Path(directory), given.kills)


def soak(directory: Path, kills: int) -> int:
    """Kill so many times; return the number of faults."""
    server = ssh_lab.Server(directory / "far")
    state, ran = directory / "near", directory / "ran"
    ran.mkdir()
    names = {"OPTIONS": repr(dict(server.options())), "STATE": repr(str(state)), "RAN": repr(str(ran))}
    script = textwrap.dedent(CLIENT).replace("JOBS", str(JOBS))
    for name, value in names.items():
        script = script.replace(name, value)
    done: Counter[str] = Counter()
    try:
        clients: list[subprocess.Popen[bytes]] = []
        while sum(done.values()) < kills:
            clients = [client for client in clients if client.poll() is None]
            if len(clients) < 2:
                clients.append(subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL))
            time.sleep(random.uniform(0.05, 1.5))
            victim = random.choice(VICTIMS)
            done[victim] += kill(victim, server, clients)
        for client in clients:
            client.kill()
            client.wait()
        return account(server, state, ran, done)
    finally:
        server.close()


def kill(victim: str, server: ssh_lab.Server, clients: list[subprocess.Popen[bytes]]) -> int:
    """Kill one of these; return how often that was done."""
    pids: list[int] = []
    if victim == "client":
        pids = [client.pid for client in clients]
    elif victim == "ssh":
        pids = server._commands(os.fsencode(server.config))
    elif victim == "agent":
        pids = server.agents()
    elif victim == "sshd":
        pids = [_parent(pid) for pid in server.agents()]
    elif victim == "supervisor":
        pids = leftovers(server.state)
        pids = [pid for pid in pids if b"supervisor" in _command(pid)]
    else:
        server.stop()
        time.sleep(random.uniform(0.1, 2))
        server.start()
        return 1
    if not pids:
        return 0
    with suppress(ProcessLookupError, PermissionError):
        os.kill(random.choice(pids), signal.SIGKILL)
    return 1


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _parent(pid: int) -> int:
    """Return the session of sshd that an agent belongs to; itself where that is not to be told."""
    with suppress(OSError, ValueError, IndexError):
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if b"sshd" in _command(parent):
            return parent
    return pid


def account(server: ssh_lab.Server, state: Path, ran: Path, done: Counter[str]) -> int:
    """Wait for all that is in the ledger, and compare it with what has run; return the number of faults."""
    config = {"backends": {"far": {"type": "ssh", **server.options()}}}
    with anyjob.Session(config=anyjob.Config.from_dict(config, origin="soak"), state=state) as session:
        jobs = session.jobs(name="soak")
        anyjob.wait(jobs, 300)
        table: Counter[str] = Counter()
        faults = 0
        for job in jobs:
            path = ran / job.job_id()
            times = path.read_text().count(".") if path.exists() else 0
            ended = job.outcome(1)
            what = f"{ended.status.name} ({ended.reason})" if ended.reason else ended.status.name
            table[f"{what}, ran {times} times"] += 1
            faults += times > 1 or (ended.status.name == "DONE" and times != 1)
        known = {job.job_id() for job in jobs}
        stray = [path.name for path in ran.iterdir() if path.name not in known]
        faults += len(stray)
    print(f"killed: {', '.join(f'{what} {count}' for what, count in sorted(done.items()))}")
    print(f"jobs: {len(jobs)}; " + "; ".join(f"{what}: {count}" for what, count in sorted(table.items())))
    print(f"ran and stand in no ledger: {len(stray)}; faults: {faults}")
    return faults


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
