"""The dissociation curve of the hydrogen molecule, from what the circuits of sweep.toml have measured.

    anyjob run sweep.toml --json >measured.json
    python h2.py measured.json                    # the curve as a table, beside the exact one
    python h2.py measured.json --plot curve.svg   # and as a drawing

In the smallest basis (STO-3G) the two electrons are both in the bonding orbital, both in the antibonding
one, or in a superposition of these. Its Hamiltonian, E0 + Ez Z + Ex X in the space of these two, is computed
here from integrals over Gaussians, for each distance; the circuits, which know nothing of the distance,
measure <Z> and <X> for each way to share the pair. The lowest energy at a distance is the answer (Ritz); at
0.7414 Å it is known to be -1.1373 hartree.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from itertools import product
from typing import Any

ANGSTROM = 1.8897261246
"""One ångström in bohr."""
GAUSSIANS = [(3.42525091, 0.15432897), (0.62391373, 0.53532814), (0.16885540, 0.44463454)]
"""Exponents and coefficients of hydrogen's 1s orbital in STO-3G."""
DISTANCES = [0.3 + 0.05 * number for number in range(55)]
"""Between the two nuclei, in ångström."""

Orbital = tuple[float, float, float]
"""A Gaussian: exponent, factor, and where on the axis."""


def atom(place: float) -> list[Orbital]:
    """Return hydrogen's orbital at a place on the axis."""
    return [(a, c * (2 * a / math.pi) ** 0.75, place) for a, c in GAUSSIANS]


def boys(t: float) -> float:
    """The function of Boys, of order 0."""
    return 1 - t / 3 if t < 1e-9 else 0.5 * math.sqrt(math.pi / t) * math.erf(math.sqrt(t))


def overlap(one: Orbital, other: Orbital) -> float:
    """The overlap of two Gaussians."""
    (a, c, x), (b, d, y) = one, other
    return float(c * d * (math.pi / (a + b)) ** 1.5) * math.exp(-a * b / (a + b) * (x - y) ** 2)


def kinetic(one: Orbital, other: Orbital) -> float:
    """The integral of the kinetic energy."""
    (a, _, x), (b, _, y) = one, other
    reduced = a * b / (a + b)
    return reduced * (3 - 2 * reduced * (x - y) ** 2) * overlap(one, other)


def attraction(one: Orbital, other: Orbital, nucleus: float) -> float:
    """The integral of the attraction by a nucleus."""
    (a, _, x), (b, _, y) = one, other
    centre = (a * x + b * y) / (a + b)
    return -2 * math.sqrt((a + b) / math.pi) * overlap(one, other) * boys((a + b) * (centre - nucleus) ** 2)


def repulsion(one: Orbital, other: Orbital, third: Orbital, fourth: Orbital) -> float:
    """The integral of the repulsion between two pairs."""
    p, q = one[0] + other[0], third[0] + fourth[0]
    gap = (one[0] * one[2] + other[0] * other[2]) / p - (third[0] * third[2] + fourth[0] * fourth[2]) / q
    factor = 2 * math.sqrt(p * q / (p + q) / math.pi)
    return factor * overlap(one, other) * overlap(third, fourth) * boys(p * q / (p + q) * gap**2)


def summed(integral: Callable[..., float], *orbitals: list[tuple[float, list[Orbital]]]) -> float:
    """An integral over combinations of contracted orbitals, term by term."""
    total = 0.0
    for terms in product(*([(w, g) for w, gaussians in each for g in gaussians] for each in orbitals)):
        total += math.prod(weight for weight, _ in terms) * integral(*(gaussian for _, gaussian in terms))
    return total


def hamiltonian(distance: float) -> tuple[float, float, float]:
    """Return E0, Ez and Ex, in hartree, for a distance in ångström."""
    length = distance * ANGSTROM
    left, right = atom(0.0), atom(length)
    share = summed(overlap, [(1.0, left)], [(1.0, right)])
    bonding = [(weight / math.sqrt(2 * (1 + share)), each) for weight, each in ((1.0, left), (1.0, right))]
    anti = [(weight / math.sqrt(2 * (1 - share)), each) for weight, each in ((1.0, left), (-1.0, right))]

    def energy(orbital: list[tuple[float, list[Orbital]]]) -> float:
        single = summed(kinetic, orbital, orbital)
        for nucleus in (0.0, length):
            single += summed(lambda one, other, at=nucleus: attraction(one, other, at), orbital, orbital)
        return 2 * single + summed(repulsion, orbital, orbital, orbital, orbital) + 1 / length

    low, high = energy(bonding), energy(anti)
    return (low + high) / 2, (low - high) / 2, summed(repulsion, bonding, anti, bonding, anti)


def measured(told: dict[str, Any]) -> list[tuple[float, float, float]]:
    """Return theta, <Z> and <X> of each job of the sweep, from what ``anyjob run --json`` has told."""
    found = []
    for job in told["jobs"]:
        along, across = job["result"]["experiments"]
        z = share_of(along, lambda bits: bits == "01") - share_of(along, lambda bits: bits == "10")
        x = share_of(across, lambda bits: bits in ("00", "11")) * 2 - 1
        found.append((float(job["parameters"]["theta"]), z, x))
    return found


def share_of(experiment: dict[str, Any], wanted: Callable[[str], bool]) -> float:
    """Return the share of the shots that gave what is wanted."""
    counts = experiment["counts"]
    return float(sum(n for bits, n in counts.items() if wanted(bits)) / sum(counts.values()))


def wave(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return a and b of the a cos(theta) + b sin(theta) that is closest to the points: so they all count."""
    cc = sum(math.cos(t) ** 2 for t, _ in points)
    ss = sum(math.sin(t) ** 2 for t, _ in points)
    cs = sum(math.cos(t) * math.sin(t) for t, _ in points)
    cy = sum(math.cos(t) * y for t, y in points)
    sy = sum(math.sin(t) * y for t, y in points)
    det = cc * ss - cs * cs
    return (cy * ss - sy * cs) / det, (sy * cc - cy * cs) / det


def lowest(points: list[tuple[float, float, float]], e0: float, ez: float, ex: float) -> float:
    """Return the lowest energy that the measured states have."""
    a, b = wave([(theta, ez * z + ex * x) for theta, z, x in points])
    return e0 - math.hypot(a, b)


def curve(points: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Return distance, measured energy and exact energy."""
    terms = [(distance, *hamiltonian(distance)) for distance in DISTANCES]
    return [(d, lowest(points, e0, ez, ex), e0 - math.hypot(ez, ex)) for d, e0, ez, ex in terms]


def draw(rows: list[tuple[float, float, float]], path: str) -> None:
    """Draw the curve into a file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # type: ignore[import-not-found,unused-ignore]
    from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    distances = [row[0] for row in rows]
    axes.plot(distances, [row[2] for row in rows], color="#8d8d8d", label="exact, in this basis")
    axes.plot(distances, [row[1] for row in rows], "o", ms=4, color="#6929c4", label="measured by circuits")
    axes.set_xlabel("distance of the nuclei / Å")
    axes.set_ylabel("energy / hartree")
    axes.set_ylim(-1.18, -0.55)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)


def main() -> None:
    """Make the curve of what was measured."""
    parser = argparse.ArgumentParser(description="the dissociation curve of the hydrogen molecule")
    parser.add_argument("measured", help="what `anyjob run sweep.toml --json` has written")
    parser.add_argument("--plot", help="a file to draw the curve into")
    given = parser.parse_args()
    with open(given.measured, encoding="utf-8") as stream:
        rows = curve(measured(json.load(stream)))
    print("distance/Å  measured/Eh    exact/Eh")
    for distance, energy, exact in rows[::5]:
        print(f"{distance:10.2f}  {energy:11.4f}  {exact:10.4f}")
    best = min(rows, key=lambda row: row[1])
    print(f"The molecule is most stable at {best[0]:.2f} Å, with {best[1]:.4f} hartree.")
    if given.plot:
        draw(rows, given.plot)


if __name__ == "__main__":
    main()
