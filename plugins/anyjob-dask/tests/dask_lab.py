"""A real scheduler and workers to test against, each a process of its own, and faults of them."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from anyjob_dask import keys
from anyjob_dask.worker import worker_tasks
from distributed import Client

PATIENCE = 60.0


class Lab:
    """A ``dask scheduler``, and one ``dask worker`` or more.

    Args:
        home: a directory for what they write.
        workers: options of each worker to start.
        more: further options of the scheduler and of all workers.
        host: the address of the scheduler; by default, one that Dask finds.
    """

    def __init__(
        self,
        home: Path,
        workers: Sequence[Sequence[str]] = (("--nthreads", "4"),),
        *more: str,
        host: str = "",
    ) -> None:
        self.home = home
        self.file = home / "scheduler.json"
        self._more = more
        self._running: list[subprocess.Popen[bytes]] = []
        at = ("--host", host) if host else ()
        self.scheduler = self.start("scheduler", "--port", "0", "--no-dashboard", *at)
        self.address = self._address()
        self.workers = [self.add(*options) for options in workers]

    def start(self, what: str, *options: str, enter: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start ``dask scheduler`` or ``dask worker``; ``enter`` begins a command for another host."""
        command = [*enter, sys.executable, "-m", "dask", what, "--scheduler-file", str(self.file)]
        with (self.home / f"{what}-{len(self._running)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *options, *self._more],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def add(self, *options: str, enter: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start one more worker, without a nanny: when it is killed, it is gone."""
        plain = () if "--nanny" in options else ("--no-nanny",)
        return self.start("worker", "--no-dashboard", *plain, *options, enter=enter)

    def _address(self) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(OSError, ValueError):
                return str(json.loads(self.file.read_text())["address"])
            time.sleep(0.02)
        raise AssertionError((self.home / "scheduler-0.log").read_text())

    @contextmanager
    def client(self, **options: Any) -> Iterator[Client]:
        """Give a client of its own."""
        with Client(self.address, set_as_default=False, **options) as client:
            yield client

    def restart(self) -> None:
        """Kill the scheduler and all workers, and start another scheduler in its place."""
        self.close()
        port = self.address.rpartition(":")[2]
        self.file.unlink()
        self.scheduler = self.start("scheduler", "--port", port, "--no-dashboard")
        assert self._address() == self.address

    def wait(self, workers: int | None = None) -> None:
        """Wait until the workers have come."""
        with self.client() as client:
            client.wait_for_workers(len(self.workers) if workers is None else workers, timeout=PATIENCE)

    def close(self) -> None:
        """End all that was started."""
        for process in reversed(self._running):
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def make_certificates(directory: Path) -> None:
    """Write an authority's certificate, and one that it has signed, with the key of that."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    keys = {each: ec.generate_private_key(ec.SECP256R1()) for each in ("ca", "cert")}
    for each, is_authority in (("ca", True), ("cert", False)):
        made = (
            x509.CertificateBuilder()
            .subject_name(name(each))
            .issuer_name(name("ca"))
            .public_key(keys[each].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .sign(keys["ca"], hashes.SHA256())
        )
        (directory / f"{each}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key = keys["cert"].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (directory / "key.pem").write_bytes(key)


class Faults:
    """Faults of a scheduler, as a client sees it that comes by way of these.

    Args:
        address: of the scheduler.
    """

    def __init__(self, address: str) -> None:
        self._there = address
        self._proxy = Proxy(address)
        self.address = self._proxy.address

    @contextmanager
    def down(self) -> Iterator[None]:
        """Have nothing come through to the scheduler."""
        self._proxy.hang_up()
        try:
            yield
        finally:
            self._proxy.go_on()

    def forget(self, native_id: str) -> None:
        """Have the scheduler know a task no more."""
        parsed = keys.parse(native_id)
        assert parsed is not None
        with Client(self._there, set_as_default=False) as client:
            client.sync(client.scheduler.anyjob_release, job_ids=[parsed.job_id])
            client.run(worker_tasks.cancel, [parsed.job_id])

    def close(self) -> None:
        """Let go of the proxy."""
        self._proxy.close()


class Proxy:
    """Passes connections on to an address, until it is told to hang up."""

    def __init__(self, there: str) -> None:
        host, _, port = there.partition("://")[2].rpartition(":")
        self._there = host, int(port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._port = self._server.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        self._open: set[socket.socket] = set()
        self._listen()

    def _listen(self) -> None:
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.create_connection(self._there)
                self._open |= {near, far}
                threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
            for each in other:
                selector.register(each, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                    if not data:
                        return self._shut(near, far)
                    other[key.fileobj].sendall(data)  # type: ignore[index]
        self._shut(near, far)

    def _shut(self, *sockets: socket.socket) -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            self._open.discard(each)

    def hang_up(self) -> None:
        """Break all connections, and take no more."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._shut(*list(self._open))

    def go_on(self) -> None:
        """Take connections again, on the same port."""
        self._server = socket.create_server(("127.0.0.1", self._port))
        self._listen()

    def close(self) -> None:
        """Be there no more."""
        self.hang_up()
