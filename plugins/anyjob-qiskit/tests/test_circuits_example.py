"""The example of the hydrogen molecule gives the known answer, on `local` and, by one word, elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "h2_dissociation"


@pytest.fixture
def h2(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import h2

    return h2


def test_the_exact_energy_is_the_known_one(h2: ModuleType) -> None:
    import math

    e0, ez, ex = h2.hamiltonian(0.735)
    assert e0 - math.hypot(ez, ex) == pytest.approx(-1.137306, abs=2e-6)
    e0, ez, ex = h2.hamiltonian(20.0)
    assert e0 - math.hypot(ez, ex) == pytest.approx(2 * -0.466582, abs=1e-5)


@pytest.mark.parametrize("backend", ["aer", "local"])
def test_the_measured_curve_is_the_exact_one(
    h2: ModuleType, backend: str, anyjob_environment: Path, tmp_path: Path
) -> None:
    (tmp_path / "anyjob.toml").write_text(
        '[backends.local]\ntype = "local"\npreload = ["anyjob_qiskit.simulation"]\n'
        '[backends.aer]\ntype = "aer"\nthreads = 1\n'
    )
    for name in ("sweep.toml", "pair_z.qasm", "pair_x.qasm"):
        (tmp_path / name).symlink_to(EXAMPLE / name)
    program = "import sys; from anyjob.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "-b", backend, "sweep.toml", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows = h2.curve(h2.measured(json.loads(done.stdout)))
    assert max(abs(energy - exact) for _, energy, exact in rows) < 4e-3
    best = min(rows, key=lambda row: row[1])
    assert best[0] == pytest.approx(0.74, abs=0.11)
    h2.draw(rows, str(tmp_path / "curve.svg"))
    assert (tmp_path / "curve.svg").read_text().count("<use ") > 50
