#!/usr/bin/env bash
# mqt.ddsim 2.7.0: two simulators list an option for the seed, and read another one.
#
# The options of StochasticNoiseSimulatorBackend and HybridQasmSimulatorBackend have `simulator_seed`. Set, it has no effect, and
# nothing says so. What is read is `seed_simulator` by the one and `seed` by the other, which neither lists.
# Seen on 2026-11-28, the counts of '00' of three runs with the seed 7:
#   StochasticNoiseSimulatorBackend simulator_seed [508, 496, 507] seed_simulator [498, 498, 498]
#   HybridQasmSimulatorBackend simulator_seed [508, 508, 509] seed [514, 514, 514]
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet qiskit==2.6.2 mqt.ddsim==2.7.0
"$directory/env/bin/python" - <<'PYTHON'
from mqt.ddsim.hybrid_qam_simulator_backend import HybridQasmSimulatorBackend
from mqt.ddsim.stochastic_noise_simulator_backend import StochasticNoiseSimulatorBackend
from qiskit import QuantumCircuit, transpile

circuit = QuantumCircuit(2)
circuit.h(0)
circuit.cx(0, 1)
circuit.measure_all()
for backend, read in ((StochasticNoiseSimulatorBackend(), "seed_simulator"), (HybridQasmSimulatorBackend(), "seed")):
    assert hasattr(backend.options, "simulator_seed") and not hasattr(backend.options, read)
    ready = transpile(circuit, backend, optimization_level=0)
    seen = {
        name: [backend.run(ready, shots=1000, **{name: 7}).result().get_counts()["00"] for _ in range(8)]
        for name in ("simulator_seed", read)
    }
    print(type(backend).__name__, *(f"{name} {found[:3]}" for name, found in seen.items()))
    assert len(set(seen[read])) == 1
    assert len(set(seen["simulator_seed"])) > 1, "it has changed: the seed that is listed is read"
PYTHON
