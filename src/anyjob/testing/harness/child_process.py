"""The program that `anyjob.testing.harness.other_process.OtherProcess` starts."""

from __future__ import annotations

import pickle
import sys
import traceback
from pathlib import Path


def main(directory: Path) -> None:
    """Do the task that lies in this directory, and leave the answer there."""
    make_harness, function, arguments = pickle.loads((directory / "task").read_bytes())
    harness = make_harness()
    try:
        answer = True, function(harness, **arguments)
    except Exception:
        answer = False, traceback.format_exc()
    harness.session.close()  # what it has submitted goes on
    part = directory / "answer.part"
    part.write_bytes(pickle.dumps(answer))
    part.rename(directory / "answer")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
