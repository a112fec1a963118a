"""SQLite as processes of the machine see it: real, on a real file; who has to wait lets others go on."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulation.world import World

AGAIN = 0.004
"""Seconds after which a statement is tried again that found the ledger locked."""


def make_connection_class(world: World) -> type[sqlite3.Connection]:
    """Return the class of connections to the ledger."""
    machine = world.machine
    closes = sqlite3.Connection.close

    class Connection(sqlite3.Connection):
        patience = 30.0

        def _run(self, run: Any, sql: str, values: Any) -> Any:
            if machine.task is None:
                return run(self, sql, values)
            machine.step(sql[:6])
            world.faults.check_statement(sql)
            end = machine.now + self.patience
            while True:
                try:
                    result = run(self, sql, values)
                    break
                except sqlite3.OperationalError as error:
                    if not error.sqlite_errorname.startswith("SQLITE_BUSY") or machine.now >= end:
                        raise
                machine.sleep(AGAIN)
            if machine.trace is not None and sql[:6] in (
                "BEGIN ",
                "COMMIT",
                "UPDATE",
                "INSERT",
                "ROLLBA",
                "DELETE",
            ):
                machine.say(f"{' '.join(sql.split())[:60]} {str(values)[:100] if values else ''}")
            if sql == "COMMIT":
                world.checks.committed()
                machine.step("committed")
            return result

        def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
            found: sqlite3.Cursor = self._run(sqlite3.Connection.execute, sql, values)
            return found

        def executemany(self, sql: str, values: Any) -> sqlite3.Cursor:
            found: sqlite3.Cursor = self._run(sqlite3.Connection.executemany, sql, list(values))
            return found

        def close(self) -> None:
            world.connections.discard(self)
            closes(self)

    return Connection


def make_module(world: World) -> Any:
    """Return what stands for `sqlite3`."""
    import types

    connection_class = make_connection_class(world)

    def connect(path: Any, *, timeout: float = 5.0, **named: Any) -> Any:
        if world.machine.task is None:
            return sqlite3.connect(path, timeout=timeout, **named)
        world.machine.step("connect")
        db: Any = sqlite3.connect(path, timeout=0, factory=connection_class, **named)
        db.patience = timeout
        world.connections.add(db)
        process = world.machine.process
        process.connections.add(lambda: sqlite3.Connection.close(db))
        return db

    return types.SimpleNamespace(**{**vars(sqlite3), "connect": connect})
