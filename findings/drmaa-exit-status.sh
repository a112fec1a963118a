#!/usr/bin/env bash
# drmaa 0.7.9 (Python) with Son of Grid Engine 8.1.9: the exitStatus of a job that was killed, reached its limit, or could not be started is 0.
#
# It is a number that means something if hasExited, which the class that has it does not say: `wait(job).exitStatus == 0` takes all three for success. The shell's own way
# of telling of a signal, 137, is in resourceUsage["exit_status"], as the text '137.0000'; a job that exits with 137 itself has exitStatus 137.
# Needs a Grid Engine, such as `scripts/gridengine-up` starts, which is not stopped, and Debian's packages (apt-get update).
# Seen on 2026-11-30:
#   exit 3: exitStatus 3, hasExited True, hasSignal False, wasAborted False
#   killed: exitStatus 0, hasExited False, hasSignal True, wasAborted False
#   limit: exitStatus 0, hasExited False, hasSignal True, wasAborted False
#   no such program: exitStatus 0, hasExited False, hasSignal False, wasAborted True
set -euo pipefail

[ "$(qstat -help | head -n 1)" = "SGE 8.1.9" ] || { echo "needs Son of Grid Engine 8.1.9" >&2; exit 2; }
seen=$(sed -n 's/^#   \([a-z].*: exitStatus .*\)/\1/p' "$0")
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet drmaa==0.7.9
cd "$directory"
apt-get download -q gridengine-drmaa1.0=8.1.9+dfsg-10+b1 >/dev/null 2>&1 || { echo "needs gridengine-drmaa1.0 of Debian 12" >&2; exit 2; }
dpkg -x ./*.deb .
cat >run.py <<'PYTHON'
import drmaa

jobs = {
    "exit 3": ("/bin/sh", ["-c", "exit 3"], ""),
    "killed": ("/bin/sh", ["-c", "kill -9 $$"], ""),
    "limit": ("/bin/sleep", ["30"], "-l h_rt=2"),
    "no such program": ("/no/such/program", [], ""),
}
with drmaa.Session() as session:
    for what, (command, arguments, options) in jobs.items():
        job = session.createJobTemplate()
        job.remoteCommand, job.args, job.nativeSpecification = command, arguments, options
        job.outputPath, job.joinFiles = ":/dev/null", True
        info = session.wait(session.runJob(job), 90)
        told = [f"{name} {getattr(info, name)}" for name in ("exitStatus", "hasExited", "hasSignal", "wasAborted")]
        print(f"{what}:", ", ".join(told))
PYTHON
library=$PWD/usr/lib/gridengine-drmaa/lib/libdrmaa.so.1.0
allocator=$(ldd "$library" | awk '/jemalloc/ {print $3}') # it cannot be loaded later
told=$(SGE_ROOT=${SGE_ROOT:-/var/lib/gridengine} DRMAA_LIBRARY_PATH=$library LD_PRELOAD=$allocator timeout 400 env/bin/python run.py)
echo "$told"
[ "$told" = "$seen" ] || { echo "it has changed" >&2; exit 1; }
