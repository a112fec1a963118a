#!/usr/bin/env bash
# opentelemetry-sdk 1.45.2: programs that seed `random` alike have the same trace ids and span ids.
#
# Ids are drawn from the one generator of Python's module random. A job that calls random.seed(42) to be repeatable repeats its ids as well: a
# thousand runs are one trace to whoever collects them. An id generator of one's own, given to TracerProvider, is left alone by that.
# Seen on 2026-11-30, of two processes:
#   without a seed: 2 trace ids
#   with random.seed(42): 1 trace id, 1 span id
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet opentelemetry-sdk==1.45.2
cd "$directory"
cat >job.py <<'PYTHON'
import random
import sys

from opentelemetry.sdk.trace import TracerProvider

if sys.argv[1] == "seeded":
    random.seed(42)
with TracerProvider().get_tracer("job").start_as_current_span("fit") as span:
    context = span.get_span_context()
    print(f"{context.trace_id:032x} {context.span_id:016x}")
PYTHON
count() { # count FIELD MODE: how many different ids two processes have
  for _ in 1 2; do env/bin/python job.py "$2"; done | cut -d' ' -f"$1" | sort -u | wc -l
}
free=$(count 1 free) traces=$(count 1 seeded) spans=$(count 2 seeded)
echo "without a seed: $free trace ids"
echo "with random.seed(42): $traces trace id, $spans span id"
[ "$free $traces $spans" = "2 1 1" ] || { echo "it has changed" >&2; exit 1; }
