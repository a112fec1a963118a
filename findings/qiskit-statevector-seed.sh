#!/usr/bin/env bash
# Qiskit 2.6.2: with a seed all circuits of a job of StatevectorSampler draw the same shots, and all estimates of StatevectorEstimator have one error.
#
# The seed, an int, begins anew for each circuit, so that repeating one in a job to see how it scatters shows that it does not; and the mean of
# ten estimates is no better than one. Two jobs being alike is what a seed is for. BackendSamplerV2 on Aer 0.18.2, with a seed as well, draws anew for each circuit. A
# numpy.random.Generator in place of the int goes on from circuit to circuit. Known as Qiskit's issue 13047, and open.
# Seen on 2026-11-30, of five times one circuit in one job:
#   StatevectorSampler(seed=7): 1 different count
#   StatevectorSampler(seed=default_rng(7)): 5 different counts
#   BackendSamplerV2, seed_simulator=7: 5 different counts
#   StatevectorEstimator(seed=7): 1 different estimate
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet qiskit==2.6.2 qiskit-aer==0.18.2
cd "$directory"
cat >run.py <<'PYTHON'
import numpy
from qiskit import QuantumCircuit
from qiskit.primitives import BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

bare = QuantumCircuit(6)
bare.h(range(6))
measured = bare.measure_all(inplace=False)


def different_counts(sampler):
    counts = (each.data.meas.get_counts() for each in sampler.run([measured] * 5, shots=1000).result())
    return len({tuple(sorted(each.items())) for each in counts})


estimator = StatevectorEstimator(seed=7, default_precision=0.1)
estimates = estimator.run([(bare, SparsePauliOp("ZZZZZZ"))] * 5).result()
of_backend = BackendSamplerV2(backend=AerSimulator(), options={"seed_simulator": 7})
seen = [
    different_counts(StatevectorSampler(seed=7)),
    different_counts(StatevectorSampler(seed=numpy.random.default_rng(7))),
    different_counts(of_backend),
    len({float(each.data.evs) for each in estimates}),
]
print(f"StatevectorSampler(seed=7): {seen[0]} different count")
print(f"StatevectorSampler(seed=default_rng(7)): {seen[1]} different counts")
print(f"BackendSamplerV2, seed_simulator=7: {seen[2]} different counts")
print(f"StatevectorEstimator(seed=7): {seen[3]} different estimate")
assert seen == [1, 5, 5, 1], "it has changed"
PYTHON
timeout 200 env/bin/python run.py
