"""A real cluster to test against, and faults of it: programs of Slurm's that do not do what they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo")


def answers() -> bool:
    """Whether there is a cluster that answers."""
    if shutil.which("sinfo") is None:
        return False
    return subprocess.run(["sinfo", "-h"], capture_output=True, timeout=30).returncode == 0


class Programs:
    """A directory of Slurm's programs in front of the real ones: calls are counted, and faults can be set.

    Args:
        directory: where to make it.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory
        directory.mkdir()
        for name in PROGRAMS:
            self.wrap(name)

    def wrap(self, name: str, before: str = "", around: str = 'exec "$REAL" "$@"') -> None:
        """Have a program do this first, in sh, and then something else than what it does (``$REAL``)."""
        script = f"""\
            #!/bin/sh
            REAL={shutil.which(name)}
            HERE={self.path}
            echo {name} "$@" >> "$HERE/calls"
            if [ -e "$HERE/away" ]; then
              echo "{name}: error: Unable to contact slurm controller (connect failure)" >&2; exit 1
            fi
            """
        path = self.path / name
        path.write_text(
            textwrap.dedent(script) + textwrap.dedent(before) + "\n" + textwrap.dedent(around) + "\n"
        )
        path.chmod(0o755)

    def calls(self, name: str = "") -> list[str]:
        """Return the calls that were made, of all programs or of one."""
        log = self.path / "calls"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return [line for line in lines if line.partition(" ")[0] in (PROGRAMS if not name else (name,))]

    @contextmanager
    def down(self) -> Iterator[None]:
        """Have the controller be away meanwhile."""
        (self.path / "away").touch()
        try:
            yield
        finally:
            (self.path / "away").unlink()

    def forget(self, native_id: str) -> None:
        """Have neither queue nor accounting know of a job any more."""
        with (self.path / "forgotten").open("a") as stream:
            stream.write(f"^{native_id}[^0-9_]\n")
        for name in ("squeue", "sacct"):
            self.wrap(name, around='"$REAL" "$@" | grep -v -f "$HERE/forgotten" || true')


def scontrol(*arguments: str) -> str:
    """Run ``scontrol`` as an administrator would."""
    return subprocess.run(["scontrol", *arguments], check=True, capture_output=True, text=True).stdout


def sinfo() -> str:
    """Return each node with its state."""
    return subprocess.run(["sinfo", "-hN", "-o", "%N %T"], check=True, capture_output=True, text=True).stdout


def has_ended(native_id: str) -> bool:
    """Whether a job has ended, as Slurm says."""
    shown = scontrol("show", "job", native_id)
    return not any(f"JobState={state}" in shown for state in ("PENDING", "RUNNING", "COMPLETING"))


def is_root() -> bool:
    """Whether these tests may do what only an administrator may."""
    return os.geteuid() == 0
