#!/usr/bin/env bash
# stevedore 5.10.0: of two packages that give one name, an ExtensionManager runs both and looks up one of them, and leaves out what cannot be imported.
#
# Which one follows the order in which the directory of installed packages is listed. Neither is told, but by a line of logging that is shown if somebody has
# asked for it. DriverManager, asked for that name, refuses, and names the two classes, which have one name here, and neither of the packages.
# Seen on 2026-11-30, two packages with a class Backend each for the name `hpc`, one with `gpu` too, whose module is missing:
#   ExtensionManager: hpc hpc
#   ExtensionManager['hpc']: one of the two
#   NamedExtensionManager(['hpc', 'gpu']): hpc hpc
#   DriverManager('hpc'): multiple implementations found for the 'hpc' command in field.backends namespace: Backend, Backend
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet stevedore==5.10.0 setuptools==80.9.0
cd "$directory"
for name in one two; do
    mkdir -p "$name/field_$name"
    printf 'class Backend:\n    pass\n' >"$name/field_$name/__init__.py"
    cat >"$name/pyproject.toml" <<TOML
[build-system]
requires = ["setuptools==80.9.0"]
build-backend = "setuptools.build_meta"
[project]
name = "field-$name"
version = "1.0"
[project.entry-points."field.backends"]
hpc = "field_$name:Backend"
TOML
done
echo 'gpu = "field_two.missing:Backend"' >>two/pyproject.toml
env/bin/pip install --quiet --no-build-isolation ./one ./two
cat >run.py <<'PYTHON'
from stevedore import DriverManager, ExtensionManager, NamedExtensionManager

every = ExtensionManager("field.backends")
named = NamedExtensionManager("field.backends", ["hpc", "gpu"])
try:
    told = DriverManager("field.backends", "hpc")
except Exception as error:
    told = error
print("ExtensionManager:", *every.names())
assert every["hpc"].plugin.__module__ in ("field_one", "field_two"), "it has changed"
print("ExtensionManager['hpc']: one of the two")
print("NamedExtensionManager(['hpc', 'gpu']):", *named.names())
print("DriverManager('hpc'):", told)
assert every.names() == named.names() == ["hpc", "hpc"], "it has changed"
assert str(told).endswith("namespace: Backend, Backend"), "it has changed"
PYTHON
XDG_CACHE_HOME="$directory/cache" env/bin/python run.py 2>/dev/null
