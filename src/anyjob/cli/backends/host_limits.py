"""What may end, or slow down, jobs that live on this machine: noticed, with what to do about it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from anyjob.ledger.file.statedir import file_system, is_network

_ALLOCATIONS = {
    "SLURM_JOB_ID": "Slurm",
    "PBS_JOBID": "PBS",
    "LSB_JOBID": "LSF",
    "FLUX_JOB_ID": "Flux",
    "OAR_JOB_ID": "OAR",
    "_CONDOR_SCRATCH_DIR": "HTCondor",
}
_LOGIND = ("usr/lib/systemd", "usr/local/lib/systemd", "run/systemd", "etc/systemd")


def notices(state: Path, environ: Mapping[str, str] | None = None, root: Path | None = None) -> list[str]:
    """Return what may end the jobs of this machine before their time, and what to do about each.

    Args:
        state: the state directory.
        environ: the variables of this process; by default those that it has.
        root: where the files of the system are; by default where they are.
    """
    environ = os.environ if environ is None else environ
    root = Path("/") if root is None else root
    return [*_allocation(environ), *_logging_out(environ, root), *_network(state)]


def _allocation(environ: Mapping[str, str]) -> Iterator[str]:
    for name, engine in _ALLOCATIONS.items():
        if environ.get(name):
            yield (
                f"this is inside an allocation of {engine} ({name}={environ[name]}), whose end is that of "
                "all processes in it: jobs that are to outlive it had better be submitted outside of it, or "
                f"to a backend for {engine}"
            )


def _logging_out(environ: Mapping[str, str], root: Path) -> Iterator[str]:
    """Systemd may end what a user's session has started; asked for by ``KillUserProcesses=yes``."""
    found = logind_settings(root)
    if found.get("KillUserProcesses", "no").lower() not in ("yes", "true", "1", "on"):
        return
    user = environ.get("USER") or environ.get("LOGNAME") or ""
    excluded = found.get("KillExcludeUsers", "root").split()
    only = found.get("KillOnlyUsers", "").split()
    if user in excluded or (only and user not in only):
        return
    yield (
        "logging out ends your jobs: systemd-logind has KillUserProcesses=yes. To have them outlive it: "
        "`loginctl enable-linger` once, and then `systemd-run --user --scope anyjob run …` for the first "
        "job; or have an administrator add you to KillExcludeUsers"
    )


def logind_settings(root: Path) -> dict[str, str]:
    """Return what systemd-logind is configured to do; later files, by their names, go before earlier ones."""
    main = [root / directory / "logind.conf" for directory in _LOGIND]
    last = [path for path in main if path.is_file()][-1:]
    extra = {
        path.name: path
        for directory in _LOGIND
        for path in sorted((root / directory / "logind.conf.d").glob("*.conf"))
    }
    found: dict[str, str] = {}
    for path in [*last, *(extra[name] for name in sorted(extra))]:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found.update(re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", text, re.MULTILINE))
    return found


def _network(state: Path) -> Iterator[str]:
    if is_network(state):
        yield (
            f"the state directory {state} is on a network file system ({file_system(state)}): each job costs "
            "more there. Unless several machines are to see the same jobs, set ANYJOB_STATE to a directory "
            "on a local disk"
        )
