#!/usr/bin/env bash
# Hydra 1.3.8: programs that are started in one second share their output directory, and overwrite each other's configuration, log and results.
#
# The directory is named by the time, to the second, and one that is there already is used: no error, no warning. By hand nobody is that fast; an array of a batch scheduler, or a
# loop with `&`, always is. What is in .hydra/overrides.yaml afterwards are the parameters of whoever wrote last, beside results of another. `hydra.run.dir` has to name
# what differs, such as the id of the job. Sweeps (--multirun) that are started at once share theirs, too.
# Seen on 2026-12-01 of four programs, n=1 to n=4, that wait for the beginning of a second:
#   4 programs, 1 directory, 1 result
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet hydra-core==1.3.8
cd "$directory"
cat >train.py <<'PYTHON'
import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig


@hydra.main(version_base=None)
def main(configuration):
    Path(HydraConfig.get().runtime.output_dir, "result.txt").write_text(str(configuration.n))


while time.time() % 1 > 0.05:  # all begin with a second, as those that a scheduler starts together
    time.sleep(0.001)
main()
PYTHON
for _ in 1 2 3; do # on a machine that is busy one of them may be late
  rm -rf outputs
  for n in 1 2 3 4; do timeout 60 env/bin/python train.py "+n=$n" & done
  wait
  told="4 programs, $(find outputs -name .hydra | wc -l) directory, $(find outputs -name result.txt | wc -l) result"
  [ "$told" != "4 programs, 1 directory, 1 result" ] || break
done
echo "$told"
[ "$told" = "4 programs, 1 directory, 1 result" ] || { echo "it has changed" >&2; exit 1; }
