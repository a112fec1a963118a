"""The programs of PBS, real or simulated, in front of which faults can be set."""

from __future__ import annotations

from pathlib import Path

from support.wrapped_programs import WrappedPrograms

OUTAGE = """\
Connection refused
qstat: cannot connect to server pbshost (errno=15010)"""
# Takes lines of jobs out of what qstat prints, and what is said of their array.
FORGET = r"""
import re, sys
ids = open(sys.argv[1]).read().split()
for line in sys.stdin:
    if not any(line.startswith(f"Job Id: {each}|") for each in ids):
        sys.stdout.write(line)
"""


class Programs(WrappedPrograms):
    """The programs of PBS, with their calls counted, and with faults to set."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, ("qsub", "qstat", "qdel"), OUTAGE)

    def forget(self, native_id: str) -> None:
        """Have neither queue nor history know of a job any more."""
        with (self.path / "forgotten").open("a") as stream:
            stream.write(f"{native_id}\n")
        (self.path / "forget.py").write_text(FORGET)
        self.wrap("qstat", around='"$REAL" "$@" | python3 "$HERE/forget.py" "$HERE/forgotten"')

    def reject_next(self) -> bool:
        """Have the next submission refused: all of it, where it is an array."""
        self.once("qsub", 'echo "qsub: would exceed queue generic\'s per-user limit" >&2; exit 38')
        return True

    def lose_next_answer(self) -> None:
        """Have the next submission be taken, and its answer lost."""
        self.once("qsub", '"$REAL" "$@" > /dev/null\necho "qsub: Premature end of message" >&2\nexit 1')
