"""The program that `anyjob.testing.harness.other_process.OtherProcess` starts."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from pathlib import Path


def main(directory: Path, begun: int) -> None:
    """Do the task that lies in this directory, and leave the answer there; a descriptor is closed before."""
    make_harness, function, arguments = pickle.loads((directory / "task").read_bytes())
    harness = make_harness()
    os.close(begun)
    try:
        answer = True, function(harness, **arguments)
    except Exception:  # passed on to the process that waits
        answer = False, traceback.format_exc()
    harness.session.close()  # what it has submitted goes on
    part = directory / "answer.part"
    part.write_bytes(pickle.dumps(answer))
    part.rename(directory / "answer")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
