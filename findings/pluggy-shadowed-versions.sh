#!/usr/bin/env bash
# pluggy 1.7.0 and importlib.metadata: plugins are also taken from a version of a distribution that another one hides.
#
# With two versions of one distribution on sys.path the first is the one that is imported, and entry_points() lists that one's only. pluggy's
# load_setuptools_entrypoints goes through distributions(), which has both: an entry point that the newer version has dropped is still loaded,
# from the metadata of the hidden one, and with the code of the newer where the module is still there.
# Seen on 2026-11-29:
#   entry_points(): kept
#   pluggy: kept of 2.0, dropped of 1.0 (with the code of 2.0)
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet pluggy==1.7.0
cd "$directory"
cat >run.py <<'PYTHON'
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pluggy


def install(folder, version, *names):
    metadata = Path(folder, f"acme-{version}.dist-info")
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text("[app]\n" + "".join(f"{name} = acme_{name}\n" for name in names))
    for name in ("kept", "dropped"):
        Path(folder, f"acme_{name}.py").write_text(f"version = {version}\n")


install("first", "2.0", "kept")
install("second", "1.0", "kept", "dropped")
sys.path[:0] = ["first", "second"]
listed = [each.name for each in entry_points(group="app")]
plugins = pluggy.PluginManager("app")
plugins.load_setuptools_entrypoints("app")
loaded = [(module.__name__[5:], distribution.version, module.version) for module, distribution in plugins.list_plugin_distinfo()]
print("entry_points():", *listed)
print("pluggy:", ", ".join(f"{name} of {version}" for name, version, _ in loaded), f"(with the code of {loaded[-1][2]})")
assert listed == ["kept"]
assert loaded == [("kept", "2.0", 2.0), ("dropped", "1.0", 2.0)], "it has changed"
PYTHON
env/bin/python run.py
