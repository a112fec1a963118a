"""The program of Flux, real or simulated, in front of which faults can be set."""

from __future__ import annotations

from pathlib import Path

from support.wrapped_programs import WrappedPrograms

OUTAGE = "flux-jobs: ERROR: Unable to connect to Flux: ENOENT: No such file or directory"
# Takes jobs out of what flux jobs prints.
FORGET = r"""
import json, sys
ids = {each[1:] for each in open(sys.argv[1]).read().split()}
text = sys.stdin.read()
if text.strip():
    said = json.loads(text)
    jobs = [job for job in said.get("jobs", [said]) if job["jobid"][1:] not in ids]
    print(json.dumps({"jobs": jobs}))
"""


class Programs(WrappedPrograms):
    """The program of Flux, with its calls counted, and with faults to set."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, ("flux",), OUTAGE)

    def forget(self, native_id: str) -> None:
        """Have Flux not know of a job any more."""
        with (self.path / "forgotten").open("a") as stream:
            stream.write(f"{native_id}\n")
        (self.path / "forget.py").write_text(FORGET)
        listing = '"$REAL" "$@" | python3 "$HERE/forget.py" "$HERE/forgotten"'
        self.wrap("flux", around=f'if [ "$1" = jobs ]; then {listing}; else exec "$REAL" "$@"; fi')

    def reject_next(self) -> bool:
        """Have the next submission refused: all of it, where it is an array."""
        self.next_submission('echo "[Errno 22] job submission is disabled: maint" >&2; exit 1')
        return True

    def lose_next_answer(self) -> None:
        """Have the next submission be taken, and its answer lost."""
        self.next_submission(
            '"$REAL" "$@" > /dev/null\necho "flux-submit: ERROR: Connection reset" >&2\nexit 1'
        )

    def next_submission(self, instead: str) -> None:
        """Have the next submission do this instead, in sh."""
        (self.path / "flux.once").touch()
        self.wrap("flux", f'if [ "$1" = submit ] && rm "$HERE/flux.once" 2> /dev/null; then\n{instead}\nfi')
