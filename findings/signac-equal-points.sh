#!/usr/bin/env bash
# signac 2.4.1: the state points {"a": 1} and {"a": 1.0} are equal, and two jobs; a search for either finds both.
#
# The id of a job is a hash of its state point as JSON, where 1, 1.0 and true differ. So a sweep that is extended by numpy.linspace where it was once a range, or read from
# a table, does anew what is done; and who looks for the one takes what belongs to both for one's own. A search compares as Python does.
# Seen on 2026-11-30, of jobs with 1, 1.0 and True:
#   equal: True, ids: 3
#   find_jobs finds 3 for 1, 3 for 1.0, 3 for True
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet signac==2.4.1
cd "$directory"
cat >run.py <<'PYTHON'
import signac

project = signac.init_project("project")
points = [{"a": 1}, {"a": 1.0}, {"a": True}]
jobs = [project.open_job(point).init() for point in points]
equal, ids = points[0] == points[1] == points[2], len({job.id for job in jobs})
found = [len(project.find_jobs(point)) for point in points]
print(f"equal: {equal}, ids: {ids}")
print("find_jobs finds {} for 1, {} for 1.0, {} for True".format(*found))
assert equal and ids == 3 and found == [3, 3, 3], "it has changed"
PYTHON
timeout 60 env/bin/python run.py
