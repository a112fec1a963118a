"""OAR as the documentation configures it, and faults of it: programs that do not do what they should."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from support.wrapped_programs import WrappedPrograms

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "batch-schedulers.md"
OUTAGE = "DB connection error, exiting."
# Takes records out of what oarstat -f prints.
FORGET = r"""
import re, sys
text = sys.stdin.read()
for job in open(sys.argv[1]).read().split():
    text = re.sub(rf"(?ms)^Job_Id: {job}\n.*?(?=^Job_Id: |\Z)", "", text)
sys.stdout.write(text)
"""


def said_of_oar() -> dict[str, Any]:
    """Return the options of the backend that the page shows."""
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    said = next(tomllib.loads(block)["backends"] for block in blocks if "[backends.oar]" in block)["oar"]
    return {key: value for key, value in said.items() if key != "type"}


class Programs(WrappedPrograms):
    """OAR's programs, with their calls counted, and with faults to set."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, ("oarsub", "oarstat", "oardel"), OUTAGE)

    def forget(self, native_id: str) -> None:
        """Have OAR not know of a job any more."""
        with (self.path / "forgotten").open("a") as stream:
            stream.write(f"{native_id}\n")
        (self.path / "forget.py").write_text(FORGET)
        self.wrap("oarstat", around='"$REAL" "$@" | python3 "$HERE/forget.py" "$HERE/forgotten"')

    def reject_next(self) -> bool:
        """Have the next submission refused: all of it, where it is an array."""
        self.once("oarsub", 'echo "[ADMISSION RULE] denied by the lab" >&2; exit 5')
        return True

    def lose_next_answer(self) -> None:
        """Have the next submission be taken, and its answer lost."""
        self.once(
            "oarsub",
            '"$REAL" "$@" > /dev/null 2>&1\n'
            'echo "[ERROR] Cannot connect to executor localhost:6666. Job is killed." >&2\n'
            "exit 9",
        )
