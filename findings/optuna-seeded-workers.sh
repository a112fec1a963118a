#!/usr/bin/env bash
# Optuna 5.0.0: workers of one study that give their sampler the same seed try the same points, and a study that is taken up again repeats those it has.
#
# What is drawn depends on the seed alone until the sampler has enough trials to learn from (10), not on the trials that the storage has. With a seed
# in the script, which is there to make it repeatable, N jobs on N nodes do the work of one, N times; nothing warns. (n_jobs=2 in one process draws anew for each.) The seed of each
# worker must differ: its rank, its task id, or none at all.
# Seen on 2026-12-01, three programs one after the other, of three trials each, with TPESampler(seed=7):
#   9 trials, 3 different points
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet optuna==5.0.0
cd "$directory"
cat >work.py <<'PYTHON'
import optuna
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    study_name="study",
    storage=optuna.storages.JournalStorage(JournalFileBackend("journal")),
    load_if_exists=True,
    sampler=optuna.samplers.TPESampler(seed=7),
)
study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=3)
points = [trial.params["x"] for trial in study.trials]
print(len(points), "trials,", len(set(points)), "different points")
PYTHON
env/bin/python work.py >told
env/bin/python work.py >told
env/bin/python work.py >told 2>&1
cat told
[ "$(cat told)" = "9 trials, 3 different points" ] || { echo "it has changed" >&2; exit 1; }
