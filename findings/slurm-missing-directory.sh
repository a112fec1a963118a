#!/usr/bin/env bash
# Slurm 22.05.8: a job whose working directory is not there on the node works in /tmp, and has succeeded.
#
# That is the one named by --chdir, or the one in which sbatch was called, which need not be on a disk that the node sees. A line in the job's own output
# tells, if that is somewhere else; state and exit code are those of success, and what was written lies in /tmp of the node. The manual of --chdir does not say so.
# Needs a Slurm with accounting, such as `scripts/slurm-up` starts; it is not stopped.
# Seen on 2026-11-30 of a job that writes a file into its directory:
#   it ran in /tmp, and wrote there; sbatch --wait: 0, sacct: COMPLETED 0:0
set -euo pipefail

sbatch --version | grep -qx 'slurm-wlm 22.05.8' || { echo "needs Slurm 22.05.8" >&2; exit 2; }
directory=$(mktemp -d)
chmod 755 "$directory"
name=finding-$$.txt
trap 'rm -rf "$directory" "/tmp/$name"' EXIT
id=$(timeout 60 sbatch --parsable --wait --chdir "$directory/missing" --output "$directory/output" --wrap "pwd >$name; cat $name") && code=0 || code=$?
for _ in $(seq 30); do
  told=$(sacct --noheader --allocations --parsable2 --jobs "$id" --format=State,ExitCode | tr '|' ' ')
  [[ -z $told || $told == RUNNING* ]] || break
  sleep 0.5
done
where=$(tail -n 1 "$directory/output")
[ -e "/tmp/$name" ] && wrote=", and wrote there" || wrote=
echo "it ran in $where$wrote; sbatch --wait: $code, sacct: $told"
[ "$where$wrote: $code $told" = "/tmp, and wrote there: 0 COMPLETED 0:0" ] || { echo "it has changed" >&2; exit 1; }
