"""The other process of `BackendHarness.elsewhere`."""

from __future__ import annotations

import pickle
import sys
import traceback
from pathlib import Path


def main(home: Path) -> None:
    """Do the task that lies in this directory, and leave the answer there."""
    make, function, arguments = pickle.loads((home / "task").read_bytes())
    harness = make()
    try:
        answer = True, function(harness, **arguments)
    except Exception:
        answer = False, traceback.format_exc()
    harness.session.close()  # what it has submitted goes on
    part = home / "answer.part"
    part.write_bytes(pickle.dumps(answer))
    part.rename(home / "answer")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
