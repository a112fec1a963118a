"""The other process of `Place.elsewhere`."""

from __future__ import annotations

import pickle
import sys
import traceback
from pathlib import Path


def main(home: Path) -> None:
    """Do the task that lies in this directory, and leave the answer there."""
    make, function, arguments = pickle.loads((home / "task").read_bytes())
    place = make()
    try:
        answer = True, function(place, **arguments)
    except Exception:
        answer = False, traceback.format_exc()
    place.session.close()  # what it has submitted goes on
    part = home / "answer.part"
    part.write_bytes(pickle.dumps(answer))
    part.rename(home / "answer")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
