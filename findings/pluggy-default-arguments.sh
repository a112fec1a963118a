#!/usr/bin/env bash
# pluggy 1.6.0 and 1.7.0: a hook's argument that has a default in the implementation is that default with the one, and what the caller passes with the other.
#
# Until 1.6.0 an argument with a default counts as one that is not asked for: the call goes well, and the implementation works on its own limit in place of the one that was
# passed. With 1.7.0 it is passed, and nothing in the plugin has changed. `**others` is empty with both. A misspelt argument is an error at once; this one looks as if nothing had been said.
# Seen on 2026-12-01 of `hook.finished(job="a", code=3)`:
#   1.6.0: (job, code) 3, (job, code=0) 0, (job, **others) {}
#   1.7.0: (job, code) 3, (job, code=0) 3, (job, **others) {}
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
for version in 1.6.0 1.7.0; do
  python3 -m venv "$directory/$version"
  "$directory/$version/bin/pip" install --quiet pluggy==$version
done
cd "$directory"
cat >run.py <<'PYTHON'
import pluggy

spec, implementation = pluggy.HookspecMarker("demo"), pluggy.HookimplMarker("demo")


class Hooks:
    @spec
    def finished(self, job, code):
        pass


class Asked:
    @implementation
    def finished(self, job, code):
        return code


class Default:
    @implementation
    def finished(self, job, code=0):
        return code


class Others:
    @implementation
    def finished(self, job, **others):
        return others


def told(plugin):
    manager = pluggy.PluginManager("demo")
    manager.add_hookspecs(Hooks)
    manager.register(plugin)
    manager.check_pending()
    return manager.hook.finished(job="a", code=3)[0]


found = [told(Asked()), told(Default()), told(Others())]
print("(job, code) {}, (job, code=0) {}, (job, **others) {}".format(*found))
PYTHON
told=$(for version in 1.6.0 1.7.0; do echo "$version: $("$version/bin/python" run.py)"; done)
echo "$told"
[ "$told" = "1.6.0: (job, code) 3, (job, code=0) 0, (job, **others) {}
1.7.0: (job, code) 3, (job, code=0) 3, (job, **others) {}" ] || { echo "it has changed" >&2; exit 1; }
