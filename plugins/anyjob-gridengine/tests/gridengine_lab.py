"""A real cluster to test against, and faults of it: programs that do not do what they should."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from support.wrapped_programs import WrappedPrograms

OUTAGE = """\
error: commlib error: got select error (Connection refused)
Unable to run job: unable to send message to qmaster using port 6444 on host "localhost": got send error
Exiting."""
# Takes records out of what qstat -xml, or qacct, prints: those that a pattern is in.
FORGET = r"""
import re, sys
text, ids = sys.stdin.read(), open(sys.argv[1]).read().split()
for each in ids:
    job, _, task = each.partition(".")
    text = re.sub(rf"(?s)<job_list(?:(?!</job_list>).)*<JB_job_number>{job}<.*?</job_list>", "", text)
    text = re.sub(rf"(?m)^=+\n(?:(?!=====).*\n)*?jobnumber +{job} *\n(?:(?!=====).*\n?)*", "", text)
sys.stdout.write(text)
"""


def answers() -> bool:
    """Whether there is a cluster that answers."""
    if shutil.which("qstat") is None or shutil.which("qacct") is None:
        return False
    return subprocess.run(["qstat"], capture_output=True, timeout=60).returncode == 0


class Programs(WrappedPrograms):
    """Grid Engine's programs, with their calls counted, and with faults to set."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, ("qsub", "qstat", "qacct", "qdel"), OUTAGE)

    def forget(self, native_id: str) -> None:
        """Have neither queue nor accounting know of a job any more."""
        with (self.path / "forgotten").open("a") as stream:
            stream.write(f"{native_id}\n")
        (self.path / "forget.py").write_text(FORGET)
        for name in ("qstat", "qacct"):
            self.wrap(name, around='"$REAL" "$@" | python3 "$HERE/forget.py" "$HERE/forgotten"')

    def reject_next(self) -> bool:
        """Have the next submission refused: all of it, where it is an array."""
        self.once("qsub", 'echo "Unable to run job: denied by the lab" >&2; echo Exiting. >&2; exit 1')
        return True

    def lose_next_answer(self) -> None:
        """Have the next submission be taken, and its answer lost."""
        self.once(
            "qsub",
            '"$REAL" "$@" > /dev/null\n'
            'echo "Unable to run job: failed receiving gdi request response (got no message)." >&2\n'
            "exit 1",
        )


def sge(*command: str) -> str:
    """Run a program of Grid Engine's as a user would."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
