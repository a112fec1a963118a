"""The program that runs on the nodes: what it is made of, and what its Python is started with."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from pkgutil import get_data

from anyjob.batch.files.work import asks_for_gpus
from anyjob.errors import StateError
from anyjob.orders import Order
from anyjob.specs import Command
from anyjob.spool.private_files import make_private, write_new

START = b"""\
import os
import sys

launcher = os.getpid()
here = __file__.rpartition("/")[0]
sys.path.insert(0, here)
from anyjob_launcher import main  # a module, so that its byte code is kept

sys.path.remove(here)
code = main()
if os.getpid() != launcher:
    sys.exit(code)
sys.stderr.flush()
os._exit(code)  # without taking the interpreter apart, which takes as long as the work of this program
"""
"""What the node's Python is called with."""
SHIPPED = {
    "anyjob.batch.compute_node": ("launcher", "launched_call"),
    "anyjob.standalone": ("runner", "gpu_memory"),
}
"""The modules that lie in the spool, as ``anyjob_NAME``: the launcher, and what it imports."""


def python_flags(orders: Iterable[Order]) -> str:
    """Return what the node's Python is started with: without what is installed it starts sooner.

    Calls need that; and what GPUs are used for is told by a package.
    """
    is_light = all(isinstance(order.spec, Command) and not asks_for_gpus(order) for order in orders)
    return "-S -E" if is_light else ""


def launcher_path(root: Path) -> Path:
    """Return the program that runs on the nodes; it is laid into the spool where it is not there yet."""
    content = {
        f"anyjob_{name}.py": _source(package, name) for package, names in SHIPPED.items() for name in names
    }
    content["start.py"] = START
    digest = hashlib.sha256(b"\0".join(content.values())).hexdigest()[:16]
    directory = root / "programs" / digest
    if not directory.is_dir():
        part = directory.with_name(f"{digest}.{os.urandom(6).hex()}")
        make_private(part)
        for name, data in content.items():
            write_new(part / name, data)
        try:
            os.rename(part, directory)
        except OSError:  # somebody else was faster
            shutil.rmtree(part, ignore_errors=True)
    if directory.stat().st_uid != os.geteuid():
        raise StateError(f"{directory} is not yours: what lies there is not run")
    return directory / "start.py"


def _source(package: str, name: str) -> bytes:
    """Return the text of a module, from wherever it was imported, such as an archive."""
    found = get_data(package, f"{name}.py")
    assert found is not None, "every loader of modules that can be read has get_data"
    return found
