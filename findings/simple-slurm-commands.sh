#!/usr/bin/env bash
# simple_slurm 0.3.6: what is in backticks runs where the job is submitted, backslashes are halved; with job_file= the job has its variables unread.
#
# sbatch() hands the script over in a here-document of a shell, and escapes the dollars in it, nothing else: the shell here reads the rest. With job_file= the same text, with
# its escaped dollars, is written to a file that no shell reads before the job's: there `$SLURM_JOB_ID` is a word with a dollar. The job succeeds either way. What is said of it is that dollars are escaped.
# Needs a Slurm, such as `scripts/slurm-up` starts; it is not stopped.
# Seen on 2026-11-30 of what a job prints, submitted where WHERE is "here", with --export=NONE:
#   echo id $SLURM_JOB_ID: id <its id>; with job_file=: id $SLURM_JOB_ID
#   echo in `printenv WHERE`: in here; with job_file=: in
#   printf 'a\\b': a; with job_file=: a\b
set -euo pipefail

sbatch --version | grep -qx 'slurm-wlm 22.05.8' || { echo "needs Slurm 22.05.8" >&2; exit 2; }
directory=$(mktemp -d)
chmod 755 "$directory"
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet simple-slurm==0.3.6
cd "$directory"
cat >run.py <<'PYTHON'
from pathlib import Path

from simple_slurm import Slurm


def printed(command, **options):
    Slurm(output="output", wait="", export="NONE").sbatch(command, verbose=False, **options)
    return Path("output").read_text().strip().replace("\b", "<backspace>")


seen = []
for command in ("echo id $SLURM_JOB_ID", "echo in `printenv WHERE`", r"printf 'a\\b'"):
    plain, filed = printed(command), printed(command, job_file="job.sh")
    seen += [plain, filed]
    print(f"{command}: {plain}; with job_file=: {filed}")
number = seen.pop(0).removeprefix("id ")
assert number.isdecimal(), "it has changed"
assert seen == ["id $SLURM_JOB_ID", "in here", "in", "a<backspace>", r"a\b"], "it has changed"
PYTHON
WHERE=here timeout 120 env/bin/python run.py
