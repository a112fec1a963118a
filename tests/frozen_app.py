"""A user's program, made into an application by test_interpreter.py: it counts its starts, and runs jobs."""

import os
import sys

with open(os.path.join(os.path.dirname(sys.executable), "starts"), "a+") as starts:
    starts.write("start\n")
    starts.seek(0)
    if len(starts.readlines()) > 8:
        sys.exit("it starts itself")  # what bounds the trial

import anyjob

KINDS = {"command": anyjob.Command(["true"]), "python": anyjob.Call(abs, (-5,))}
asked = [word for word in sys.argv[1:] if word in (*KINDS, "local", "processes", "threads")]
asked = asked if asked == sys.argv[1:] else ["local", "command"]  # it was started as something else
for name, kind in zip(asked[::2], asked[1::2], strict=True):
    try:
        print(name, kind, anyjob.get_backend(name).run(KINDS[kind]).result(timeout=60), flush=True)
    except Exception as error:
        print(name, kind, f"{type(error).__name__}: {error}", flush=True)
