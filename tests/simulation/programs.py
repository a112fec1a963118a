"""What processes run: our own programs, from their real code, and jobs."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyjob.builtin.local.ipc.protocol import READY
from anyjob.builtin.local.keeper import main as keeper_main
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor import main as supervisor_main
from anyjob.builtin.local.zygote import child, worker
from anyjob.builtin.local.zygote.main import WORKER, Zygote
from anyjob.standalone import runner
from simulation.processes import Exited, Process

if TYPE_CHECKING:
    from simulation.descriptions import Description
    from simulation.world import World

JOB = "/sim/job"
GREEDY = 100 << 10
"""KiB that a greedy job takes."""
current: World | None = None
"""The world that runs, for the calls that are jobs."""


class Popen:
    """What `subprocess.Popen` returns."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self.pid = process.pid
        self.returncode: int | None = None
        self.said = b""
        self.errors = b""

    def poll(self) -> int | None:
        if self._process.dead and self.returncode is None:
            status = self._process.status
            self.returncode = -(status & 127) if status & 127 else status >> 8
            self._world.machine.reap(self._process)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        if not self._world.machine.wait(lambda: self._process.dead, timeout):
            raise subprocess.TimeoutExpired("supervisor", timeout or 0)
        self.poll()
        return self.said, self.errors

    def kill(self) -> None:
        self._world.machine.signal(self._process, signal.SIGKILL)

    def __enter__(self) -> Popen:
        return self

    def __exit__(self, *exc: object) -> None: ...


class Programs:
    """Starts programs by their command lines."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._machine = world.machine

    def spawn_interpreter(self, arguments: Any, *, python: str = "", env: Any = None, **_: Any) -> Popen:
        """What `anyjob.execution.interpreter.spawn_interpreter` does."""
        self._machine.step("spawn")
        return self._start([str(argument) for argument in arguments], dict(env or {}))

    def spawned(self, argv: list[bytes], variables: dict[str, str], given: dict[int, Description]) -> Process:
        """Start a program as `os.posix_spawn` does."""
        words = [os.fsdecode(word) for word in argv]
        if words[0] == JOB:
            process = self._machine.start(
                "job", lambda: self._job(int(words[1])), parent=self._machine.process, variables=variables,
                own_session=True,
            )  # fmt: skip
            self._world.truth.started(int(words[1]), process)
            return process
        if words[2].endswith("main.py"):
            process = self._machine.start(
                "zygote", lambda: self._zygote(int(words[6])), parent=self._machine.process,
                variables=variables, own_session=True,
            )  # fmt: skip
            for number, description in given.items():
                self._world.files.add(description, process, number)
            return process
        return self._start(words[1:], variables)._process

    def _start(self, arguments: list[str], variables: dict[str, str]) -> Popen:
        options = dict(zip(arguments[3::2], arguments[4::2], strict=True))
        which = "keeper" if "local.keeper.main" in arguments[2] else "launcher"
        run: Any = self._keeper if which == "keeper" else self._launcher
        process = self._machine.start(
            which,
            lambda: run(options, popen),
            parent=self._machine.process,
            variables={**variables, "XDG_RUNTIME_DIR": str(self._world.runtime)},
            own_session=True,
        )
        popen = Popen(self._world, process)
        return popen

    def _takes_its_time(self) -> None:
        self._machine.sleep(self._world.random.choice((0.01, 0.05, 0.2)))

    # --- supervisor and keeper ----------------------------------------------------------------

    def _launcher(self, options: dict[str, str], popen: Popen) -> None:
        """Start a supervisor, and end once it is there: `supervisor.main.main` without its fork."""
        self._takes_its_time()
        answer: list[str] = []

        def run() -> None:
            machine = self._machine
            machine.process.group = machine.process.session = machine.process.pid
            try:
                paths = RuntimePaths(Path(options["--state"]), Path(options["--runtime"]), options["--host"])
                supervisor = supervisor_main._prepare(paths)
            except Exception as error:
                answer.append(str(error))
                raise Exited(1) from None
            answer.append("ready")
            if supervisor is not None:
                supervisor_main._serve(supervisor)

        launcher = self._machine.process
        process = self._machine.start("supervisor", run, parent=launcher, variables=launcher.variables)
        self._machine.wait(lambda: answer or process.dead)
        if answer == ["ready"]:
            popen.said = READY.encode()
            return
        popen.errors = (answer[0] if answer else "it ended while it started").encode()
        raise Exited(1)

    def _keeper(self, options: dict[str, str], popen: Popen) -> None:
        self._takes_its_time()
        process = self._machine.process
        process.adopts = True

        def ended() -> None:
            self._world.keeper_died += bool(process.status & 127)

        process.on_death = ended
        keeper_main.main([word for pair in options.items() for word in pair])

    # --- jobs ---------------------------------------------------------------------------------

    def _job(self, number: int) -> None:
        machine, plan = self._machine, self._world.truth.plans[number]
        if plan.stubborn:
            machine.process.handlers[signal.SIGTERM] = signal.SIG_IGN
        if plan.greedy:
            machine.process.memory = GREEDY
        if plan.leaves:
            machine.start(
                "leftover", lambda: machine.sleep(10_000), parent=machine.process,
                variables=machine.process.variables, own_session=plan.leaves == "session",
            )  # fmt: skip
        machine.sleep(plan.seconds)
        raise Exited(plan.code)

    def _zygote(self, keeper: int) -> None:
        machine = self._machine
        self._takes_its_time()
        machine.process.dies_with_parent = True
        parent = machine.process.parent
        if parent is None or parent.pid != keeper:
            return
        zygote = SimulatedZygote(self._world)
        messages: list[Any] = []
        while not messages:
            messages = zygote.receive()
        zygote.serve(messages[1:])


class SimulatedZygote(Zygote):
    """A zygote whose fork is a new process of the machine; what children do is the real code."""

    def __init__(self, world: World) -> None:
        super().__init__(3, runner, child)
        self._world = world

    def _receive_files(self) -> tuple[int, ...]:
        files = self._world.files.receive(self._fd + 1)
        if not files:
            raise Exited(0)
        return files

    def _fork_child(self, dispatch_id: int, run: Any, *what: Any) -> None:
        files, machine = self._world.files, self._world.machine
        machine.step("fork")
        before = int(machine.now * 100)
        zygote = machine.process
        memory = bytearray(zygote.environ.ljust(2000, b"\0"))
        process = machine.start(
            "worker" if run is worker.run else "call",
            lambda: run(*given, memoryview(memory), descriptors, "host"),
            parent=zygote,
            variables={},
        )
        process.environ = memory
        process.handlers.update(zygote.handlers)

        def inherited(numbers: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(files.inherit(process, number) for number in numbers)

        given = [inherited(each) if isinstance(each, tuple) else each for each in what]
        descriptors = inherited((self._fd, self._fd + 1, self._wake, self._waker))
        self._children[process.pid] = dispatch_id
        self.report("forked", dispatch_id, process.pid, before)


MODULES = {WORKER: worker}
"""What a zygote loads from files."""


def work(number: int) -> int:
    """The call that is a job."""
    world = current
    assert world is not None
    plan = world.truth.plans[number]
    machine = world.machine
    run = world.truth.started(number, machine.process)
    if plan.greedy:
        machine.process.memory = GREEDY
    if plan.leaves:
        child = machine.start(
            "leftover",
            lambda: machine.sleep(10_000),
            parent=machine.process,
            own_session=plan.leaves == "session",
        )
        child.environ = bytes(machine.process.environ)
    try:
        machine.sleep(plan.seconds)
        if plan.code:
            raise ValueError(plan.code)
        return number * 7
    finally:
        if machine.process.role == "worker":
            run.has_returned(machine.now)


def environment_of(world: World) -> dict[str, str]:
    """Return the variables of a client."""
    return {"PATH": "/sim", "HOME": "/sim", "XDG_RUNTIME_DIR": str(world.runtime)}
