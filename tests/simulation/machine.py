"""The machine: threads that are greenlets, a clock that skips what nobody does anything in, signals.

One thread runs at a time. It may be put off at each call of the outside (`Machine.step`), and there faults
happen, too. Who goes on is drawn from the seed.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import greenlet

from simulation.processes import FIRST_PID, Exited, Killed, Process, Stuck, Task

INIT = 1
TICK = 0.00005
"""Seconds that each call of the outside takes."""
MOST_STEPS = 60_000
"""Calls of the outside after which a run is taken for one that does not end."""


class Machine:
    """What all processes share: the clock, the table of processes, who goes on.

    Args:
        seed: what all is drawn from.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"schedule {seed}")
        self.switching = self.random.choice((0.0, 0.02, 0.1, 0.3))
        self.now = 1000.0
        self.wall_offset = 1_790_000_000.0
        self.steps = 0
        self.next_pid = FIRST_PID
        self.next_number = 1 << 20
        self.processes: dict[int, Process] = {}
        self.tasks: list[Task] = []
        self.unwinding: list[Task] = []
        self.alarms: list[tuple[float, int, Callable[[], None]]] = []
        self.hub = greenlet.getcurrent()
        self.task: Task | None = None
        self.on_step: Callable[[str], None] = lambda what: None
        self.on_end: Callable[[Process], None] = lambda process: None
        self.on_crash: Callable[[Process, BaseException], None] = lambda process, error: None
        self.trace: list[tuple[float, int, str, str]] | None = None
        self.init = self.processes[INIT] = Process(INIT, "init", None, {})
        self.init.adopts = True

    # --- who goes on --------------------------------------------------------------------------

    @property
    def process(self) -> Process:
        """The process that runs."""
        assert self.task is not None
        return self.task.process

    def say(self, what: str, process: Process | None = None) -> None:
        """Note for a reader of the schedule what happens."""
        if self.trace is not None:
            of = process or (self.task.process if self.task else None)
            self.trace.append((self.now, self.steps, str(of or "-"), what))

    def step(self, what: str) -> None:
        """Something is asked of the outside: a fault may happen, and others may go on before."""
        task = self.task
        if task is None:
            return
        if task.process.dead:
            raise Killed
        self.steps += 1
        self.now += TICK
        self.on_step(what)
        if task.process.dead:
            raise Killed
        if task.held_until > self.now or (self.switching and self.random.random() < self.switching):
            self.hub.switch()
        if task.process.dead:
            raise Killed
        if task.process.stopped:
            self.hub.switch()
        if task.process.pending:
            self._handle_signals(task.process)

    def wait(self, waits_for: Callable[[], object], seconds: float | None = None) -> bool:
        """Have others go on until something is the case; return False where it was not in time."""
        task = self.task
        assert task is not None
        self.step("wait")
        deadline = None if seconds is None else self.now + seconds
        while not waits_for():
            if deadline is not None and self.now >= deadline:
                return False
            task.waits_for, task.deadline = waits_for, deadline
            self.hub.switch()
            task.waits_for = task.deadline = None
            if task.process.dead:
                raise Killed
            if task.process.pending:
                self._handle_signals(task.process)
        return True

    def sleep(self, seconds: float) -> None:
        """Have others go on for so long."""
        self.wait(bool, seconds)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something happen to the machine after so many seconds."""
        self.next_number += 1
        self.alarms.append((self.now + seconds, self.next_number, call))
        self.alarms.sort(key=lambda alarm: alarm[:2])

    def run(self, until: Callable[[], object], seconds: float) -> None:
        """Run all until something is the case.

        Raises:
            Stuck: it is not, within so many seconds.
        """
        end = self.now + seconds
        while not until():
            self._unwind()
            if self.alarms and self.alarms[0][0] <= self.now:
                self.alarms.pop(0)[2]()
                continue
            ready = self._ready()
            if ready:
                if self.now > end or self.steps > MOST_STEPS:
                    raise Stuck(f"after {self.steps} steps and {self.now - end + seconds:.0f} s")
                self._go_on(ready[0] if len(ready) == 1 else self.random.choice(ready))
                continue
            due = [
                max(task.held_until, task.deadline or 0.0)
                for task in self.tasks
                if not task.process.stopped and (task.deadline is not None or task.held_until > self.now)
            ]
            if self.alarms:
                due.append(self.alarms[0][0])
            if not due or min(due) > end:
                raise Stuck(f"nothing goes on within {seconds:.0f} s")
            self.now = max(self.now, min(due))
        self._unwind()

    def _ready(self) -> list[Task]:
        """Return the threads that can go on."""
        now = self.now
        ready = []
        for task in self.tasks:
            process = task.process
            if process.stopped or task.held_until > now:
                continue
            if (
                task.waits_for is None
                or (task.deadline is not None and task.deadline <= now)
                or (process.pending and task is process.tasks[0])
                or task.waits_for()
            ):
                ready.append(task)
        return ready

    def _go_on(self, task: Task) -> None:
        self.task = task
        try:
            task.greenlet.switch()
        finally:
            self.task = None
        self._forget_ended(task)

    def _forget_ended(self, task: Task) -> None:
        if task.greenlet.dead and task in self.tasks:
            self.tasks.remove(task)
            task.process.tasks.remove(task)

    def _unwind(self) -> None:
        """Have what dead processes were doing end, in the place where it was."""
        while self.unwinding:
            task = self.unwinding.pop()
            for _ in range(20):
                if task.greenlet.dead or not task.greenlet:
                    break
                self.task = task
                try:
                    task.greenlet.throw(Killed)
                except Killed:
                    pass
                finally:
                    self.task = None

    # --- processes ----------------------------------------------------------------------------

    def start(
        self,
        role: str,
        program: Callable[[], object],
        *,
        parent: Process | None = None,
        variables: dict[str, str] | None = None,
        own_session: bool = False,
    ) -> Process:
        """Start a process."""
        self.next_pid += 1
        process = Process(self.next_pid, role, parent or self.init, dict(variables or {}))
        process.started = int(self.now * 100)
        if own_session:
            process.group = process.session = process.pid
        self.processes[process.pid] = process
        self.say(f"starts {process}", parent)
        self.start_task(process, lambda: self._main(process, program), "main")
        return process

    def start_task(self, process: Process, run: Callable[[], object], name: str) -> Task:
        """Start a thread of a process."""
        task = Task(process, run, name)
        task.greenlet.parent = self.hub
        process.tasks.append(task)
        self.tasks.append(task)
        return task

    def _main(self, process: Process, program: Callable[[], object]) -> None:
        code = 0
        try:
            program()
        except Killed:
            return
        except Exited as exited:
            code = exited.code
        except BaseException as error:
            if not process.dead:
                self.on_crash(process, error)
            code = 1
        if not process.dead:
            self.end(process, code << 8)

    def run_task(self, process: Process, run: Callable[[], object]) -> None:
        """What a thread runs that is not the main one."""
        try:
            run()
        except Killed:
            return
        except BaseException as error:
            if not process.dead:
                self.on_crash(process, error)

    def end(self, process: Process, status: int) -> None:
        """A process ends, in the way that a wait status says."""
        if process.dead:
            return
        self.say(f"ends with {status >> 8 or -(status & 127)}", process)
        process.dead, process.status, process.stopped = True, status, False
        for task in process.tasks:
            if task in self.tasks:
                self.tasks.remove(task)
            if task is not self.task:
                self.unwinding.append(task)
        for number in list(process.files):
            process.files.pop(number).release()
        for close in list(process.connections):
            close()
        process.connections.clear()
        self.on_end(process)
        for child in [p for p in self.processes.values() if p.parent is process]:
            self._orphan(child)
        if process.on_death is not None:
            process.on_death()
        parent = process.parent
        if parent is None or parent is self.init or parent.role == "client":
            self.reap(process)
        else:
            self.signal(parent, signal.SIGCHLD)

    def _orphan(self, child: Process) -> None:
        parent = child.parent
        while parent is not None and (parent.dead or not parent.adopts):
            parent = parent.parent
        child.parent = parent or self.init
        if child.dies_with_parent and not child.dead:
            self.end(child, signal.SIGKILL)
        elif child.dead and child.parent is self.init:
            self.reap(child)
        elif child.dead:
            self.signal(child.parent, signal.SIGCHLD)

    def reap(self, process: Process) -> None:
        """Forget a process that has ended."""
        process.reaped = True
        self.processes.pop(process.pid, None)

    # --- signals ------------------------------------------------------------------------------

    def signal(self, process: Process, number: int) -> None:
        """Send a signal."""
        if process.dead or process is self.init or not number:
            return
        if number == signal.SIGKILL:
            self.end(process, signal.SIGKILL)
        elif number == signal.SIGSTOP:
            process.stopped = True
        elif number == signal.SIGCONT:
            process.stopped = False
        else:
            handler = process.handlers.get(number, signal.SIG_DFL)
            if callable(handler):
                process.pending.append(number)
                woken = process.files.get(process.wakeup)
                if woken is not None:
                    woken.write(b"\0")
            elif handler == signal.SIG_DFL and number != signal.SIGCHLD:
                self.end(process, number)

    def _handle_signals(self, process: Process) -> None:
        if self.task is not process.tasks[0]:
            return  # only the main thread handles them
        while process.pending:
            number = process.pending.pop(0)
            handler = process.handlers.get(number)
            if callable(handler):
                handler(number, None)

    def find(self, pid: int) -> Process:
        """Return a process.

        Raises:
            ProcessLookupError: there is none.
        """
        process = self.processes.get(pid)
        if process is None:
            raise ProcessLookupError(3, "No such process")
        return process
