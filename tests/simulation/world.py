"""One run: clients, what goes wrong for them, and whether all that has to hold does."""

from __future__ import annotations

import io
import logging
import os
import shutil
import sqlite3
import sys
import tempfile
import traceback
import types
from pathlib import Path
from typing import Any

from anyjob.builtin.local import process_attributes
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.keeper import daemon
from anyjob.builtin.local.machine import cgroups
from anyjob.builtin.local.supervisor.keepers import keeper_startup
from anyjob.builtin.local.zygote import child as zygote_child
from anyjob.builtin.local.zygote import main as zygote_main
from anyjob.errors import AnyjobError
from anyjob.execution import interpreter
from anyjob.jobtypes import CommandJob, PythonJob
from anyjob.ledger.file import schema, statedir
from anyjob.process import reporting
from anyjob.runtime import ids
from simulation import facades, faults, programs, sql, system, workload
from simulation.files import Files
from simulation.invariants import Checks, Truth
from simulation.machine import Machine
from simulation.processes import Process, Stuck

PATIENCE = 4000.0
"""Seconds within which all has ended, once nothing goes wrong any more."""
IDLE = 200.0
"""Seconds within which our programs have ended by themselves, once nobody needs them."""
_PLACES: list[tuple[Any, str, int]] = []
_EMPTY: list[bytes] = []


class World:
    """One run.

    Args:
        seed: what all is drawn from.
        planned: what goes wrong; by default what the seed draws.
        clients: what clients do; by default what the seed draws.
        traced: whether to note the schedule for a reader.
    """

    def __init__(
        self,
        seed: int,
        planned: list[faults.Fault] | None = None,
        clients: list[workload.ClientPlan] | None = None,
        *,
        traced: bool = False,
    ) -> None:
        self.seed = seed
        self.planned = faults.draw(seed) if planned is None else planned
        root = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.root = Path(tempfile.mkdtemp(prefix="sim", dir=root))
        self.state, self.runtime = self.root / "state", self.root / "run"
        self.runtime.mkdir(0o700)
        self.machine = machine = Machine(seed)
        if traced:
            machine.trace = []
        self.random = machine.random
        self.files = Files(machine)
        self.connections: set[Any] = set()
        self.crashes: list[str] = []
        self.keeper_died = 0
        self.job_types = {"command": CommandJob, "python": PythonJob}
        drawn = workload.draw(seed) if clients is None else clients
        self.clients = [workload.Client(self, f"client {n}", plan) for n, plan in enumerate(drawn)]
        plans = [plan for client in self.clients for bulk in client._plan.bulks for plan in bulk]
        self.truth = Truth(self, plans)
        self.faults = faults.Faults(self, self.planned)
        machine.on_step = self.faults.on_step
        machine.on_crash = self._crashed
        machine.on_end = self.files.drop_descriptors
        self.os = system.Os(machine, self.files)
        self.os.may_write = self.faults.check_write
        self.programs = programs.Programs(self)
        self.os.spawned = self.programs.spawned

    def run(self) -> list[str]:
        """Run, and return what did not hold."""
        if not _PLACES:
            _PLACES.extend(facades.places())
        programs.current = self
        ids._ready.clear()
        keeper_startup._started.clear()
        self._make_ledger()
        ledger = sqlite3.connect(self.state / "ledger.sqlite", timeout=0)
        self.checks = Checks(self, ledger)
        logging.getLogger("anyjob").disabled = True
        hashed = FrameSocket.__hash__
        try:
            # Sets of them have an order that is the same in each run.
            setattr(FrameSocket, "__hash__", lambda frames: hash(frames._sock))  # noqa: B010
            with facades.installed(self._replacements(), _PLACES):
                try:
                    self._go()
                finally:
                    self._clean_up()
        finally:
            setattr(FrameSocket, "__hash__", hashed)  # noqa: B010
            programs.current = None
            logging.getLogger("anyjob").disabled = False
            ledger.close()
            shutil.rmtree(self.root, ignore_errors=True)
        return self.checks.violations

    def _go(self) -> None:
        machine, checks = self.machine, self.checks
        try:
            for client in self.clients:
                client.start()
            self._run_until(lambda: all(client.process.dead for client in self.clients if client.process))
            self.faults.stop()
            auditor = workload.Auditor(self, "the auditor", workload.ClientPlan(9, [], 0.0, "outcome"))
            auditor.start()
            self._run_until(lambda: auditor.process is None or auditor.process.dead)
            if not checks.violations:
                machine.run(lambda: len(machine.processes) == 1 or checks.violations, IDLE)
        except Stuck as stuck:
            waiting = [f"{t.process} {t.name}" for t in machine.tasks]
            checks.that(False, f"{stuck}; these wait: {', '.join(waiting)}")
        if not checks.violations:
            checks.at_end()

    def _run_until(self, done: Any) -> None:
        machine = self.machine

        def until() -> Any:
            return done() or self.checks.violations

        while not until():
            seconds = max(PATIENCE, self.faults.over_at - machine.now + PATIENCE)
            before = self.faults.over_at
            try:
                machine.run(until, seconds)
            except Stuck:
                if self.faults.over_at == before:
                    raise

    def _make_ledger(self) -> None:
        """Lay an empty ledger: the world is about what happens to one that is there."""
        self.state.mkdir(0o700)
        path = self.state / "ledger.sqlite"
        if not _EMPTY:
            db = sqlite3.connect(path, isolation_level=None)
            db.execute("PRAGMA journal_mode = WAL")
            schema.migrate(db, path)
            db.close()
            _EMPTY.append(path.read_bytes())
        path.write_bytes(_EMPTY[0])
        path.chmod(0o600)

    def _replacements(self) -> dict[int, Any]:

        def nothing(*_: Any) -> None: ...

        return {
            **facades.make_replacements(self.machine, self.files, self.os),
            id(sqlite3): sql.make_module(self),
            id(traceback): types.SimpleNamespace(
                **{**vars(traceback), "print_exc": lambda: self._reported(), "print_exception": self._failed}
            ),
            id(facades.LOG_ERROR): self._failed,
            id(daemon.detach): nothing,
            id(daemon.adopt_orphans): nothing,
            id(process_attributes.reset): nothing,
            id(process_attributes.current): lambda: {
                "umask": 0o022,
                "nice": 0,
                "processors": [0],
                "limits": {},
            },
            id(statedir.is_network): lambda path: False,
            id(cgroups.find_place): lambda: None,
            id(interpreter.spawn_interpreter): self.programs.spawn_interpreter,
            id(reporting.report): self._told,
            id(sys): self._make_sys(),
            id(zygote_main.mark_memory): lambda: memoryview(bytearray()),
            id(zygote_child.finalize): nothing,
            id(zygote_child.reset_inherited_state): nothing,
        }

    @staticmethod
    def _make_sys() -> types.ModuleType:
        """Return what stands for `sys`; it has no module whose random numbers are for others, too."""
        module = types.ModuleType("sys")
        modules = {name: found for name, found in sys.modules.items() if "random" not in name}
        vars(module).update(
            vars(sys),
            stderr=io.StringIO(),
            path=list(sys.path),
            argv=list(sys.argv),
            modules={**modules, **programs.MODULES},
        )
        return module

    def _clean_up(self) -> None:
        machine = self.machine
        for process in list(machine.processes.values()):
            if process is not machine.init:
                process.parent = machine.init
                machine.end(process, 9)
        machine._unwind()
        for connection in list(self.connections):
            sqlite3.Connection.close(connection)

    # --- what is told -------------------------------------------------------------------------

    def submitted(self, job_id: str, plan: workload.Plan) -> None:
        """A client was told that a job is handed over: it must be in the ledger."""
        self.truth.by_job[job_id] = plan
        self.truth.id_of[plan.number] = job_id
        self.checks.that(
            job_id in self.checks.rows(), f"job {job_id[:4]} was submitted, and is not in the ledger"
        )

    def _crashed(self, process: Process, error: BaseException) -> None:
        self._judge(process, error)
        self.checks.that(process.role != "client", f"{process} crashed: {error!r}")

    def _reported(self) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self._judge(self.machine.process, error)

    def _told(self, message: str, *arguments: Any, error: BaseException | None = None, **_: Any) -> None:
        self.machine.say(f"reports: {message % arguments}")
        if error is not None:
            self._judge(self.machine.process, error)

    def _judge(self, process: Process, error: BaseException) -> None:
        """Something was raised: by what goes wrong outside, or by a fault of ours."""
        self.machine.say(f"raised {error!r}", process)
        if isinstance(error, (AnyjobError, OSError, EOFError, sqlite3.Error)):
            return
        text = "".join(traceback.format_exception(error))
        self.crashes.append(f"{process}: {text}")
        self.checks.that(False, f"{process}: {text}")
