"""What it costs a fresh process to find one plugin among 1,000 installed ones, and to load it.

Each of the distributions brings one plain backend, and a provider. All variants look up the same name in
the same environment. pluggy is shown twice: as it is commonly called, which loads all plugins of a group, and
asked for one name. stevedore keeps a cache on disk, which is warm here.

Usage: python benchmarks/lookup.py [rounds]
"""

from __future__ import annotations

import compileall
import subprocess
import sys
import tempfile
from pathlib import Path

import _side_by_side as bench

COUNT = 1000
MODULE = """\
from anyjob.backend import BaseBackend


class Backend(BaseBackend):
    def run(self, *args, **kwargs):
        return None
"""
PROVIDER = """\
from anyjob.provider import BaseProvider


class Account(BaseProvider):
    def backends(self, name=None, filters=None, **kwargs):
        return []
"""
ANYJOB = "anyjob: Registry().backend(name)"
GET = "anyjob: get_backend(name)"
GET_PROVIDER = "anyjob: get_provider(name)"
LISTING = "anyjob: listing(), with summaries"
METADATA = "stdlib: the metadata of each distribution, as text"
STDLIB = "stdlib: entry_points(group, name), load"
STEVEDORE = "stevedore: DriverManager"
PLUGGY = "pluggy: load_setuptools_entrypoints(group)"
PLUGGY_ONE = "pluggy: load_setuptools_entrypoints(group, name)"
PROGRAMS = {
    ANYJOB: "from anyjob.registry.lookup import Registry; Registry().backend('p500')",
    GET: "import anyjob; anyjob.get_backend('p500')",
    GET_PROVIDER: "import anyjob; anyjob.get_provider('a500')",
    LISTING: (
        "from anyjob.registry.lookup import Registry\n"
        "lines = [(each.name, each.summary) for each in Registry().listing(hooks=False)]\n"
        "assert len(lines) > 2000"
    ),
    METADATA: (
        "from importlib.metadata import distributions\n"
        "names = ('METADATA', 'entry_points.txt')\n"
        "texts = [[each.read_text(name) for name in names] for each in distributions()]"
    ),
    STDLIB: (
        "from importlib.metadata import entry_points\n"
        "(e,) = entry_points(group='anyjob.backends', name='p500'); e.load()"
    ),
    STEVEDORE: (
        "from stevedore.driver import DriverManager\n"
        "DriverManager('anyjob.backends', 'p500', invoke_on_load=False).driver"
    ),
    PLUGGY: "import pluggy; pluggy.PluginManager('x').load_setuptools_entrypoints('anyjob.backends')",
    PLUGGY_ONE: (
        "import pluggy; pluggy.PluginManager('x').load_setuptools_entrypoints('anyjob.backends', 'p500')"
    ),
}
LIMITS = [
    (GET, STDLIB, 0.35),
    (ANYJOB, STDLIB, 0.4),
    (ANYJOB, STEVEDORE, 0.25),
    (ANYJOB, PLUGGY, 0.125),
    (GET_PROVIDER, GET, 1.1),
    (LISTING, METADATA, 1.5),
]
CHECK = """
import sys
import anyjob
anyjob.get_backend('p500')
print(sum(name.startswith('anyjob_bench_') for name in sys.modules))
"""
WARM = """
import time
from anyjob.registry.lookup import Registry
registry = Registry()
registry.backend('p500')
n = 200_000
start = time.perf_counter()
for _ in range(n):
    registry.backend('p500')
print(f'a warm look-up takes {(time.perf_counter() - start) / n * 1e9:.0f} ns')
"""


def install(target: Path, count: int) -> None:
    """Write what an installer writes for so many distributions."""
    for number in range(count):
        module = f"anyjob_bench_p{number}"
        info = target / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (target / f"{module}.py").write_text(MODULE)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: anyjob-bench-p{number}\nVersion: 1.0\nSummary: Number {number}.\n"
        )
        (info / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        (info / "RECORD").write_text("")
        (info / "entry_points.txt").write_text(
            f"[anyjob.api]\nv1 = {module}\n\n[anyjob.backends]\np{number} = {module}:Backend\n\n"
            f"[anyjob.providers]\na{number} = anyjob_bench_account:Account\n"
        )
    (target / "anyjob_bench_account.py").write_text(PROVIDER)
    compileall.compile_dir(target, quiet=1)


def main() -> int:
    python = bench.environment("stevedore", "pluggy")
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "site")
        install(target, COUNT)
        environ = bench.variables(Path(directory), PYTHONPATH=str(target))

        def run(program: str) -> str:
            done = subprocess.run(
                [python, "-c", program], check=True, env=environ, capture_output=True, text=True
            )
            return done.stdout.strip()

        times = bench.measure(python, PROGRAMS, environ, bench.rounds())
        good = bench.report(times, LIMITS)
        imported = run(CHECK)
        print(f"plugins imported: {imported}")
        print(run(WARM))
    return 0 if good and imported == "1" else 1


if __name__ == "__main__":
    sys.exit(main())
