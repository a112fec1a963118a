"""A program that is given addresses at which there is no cluster; each must be told of."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any

from anyjob import BackendError, BackendUnavailableError, Call, Config, Session

BOUND = 20.0
"""Seconds within which it must be told; Ray by itself tries for minutes."""


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def told(state: str, **options: Any) -> BackendError:
    config = Config.from_dict({"backends": {"cluster": {"type": "ray", "timeout": 5.0, **options}}})
    with Session(config, state=state) as session:
        backend = session.get_backend("cluster")
        before = time.monotonic()
        found = None
        try:
            backend.run(Call(abs, (1,)))
        except BackendError as error:
            found = error
        assert found is not None, f"a job was taken: {options}"
        passed = time.monotonic() - before
        assert passed < BOUND, f"told after {passed:.0f} s: {found}"
        assert session.jobs() == [], "a job was left"
        return found


def main(state: str) -> None:
    import ray  # which takes its time, and is not measured

    assert not ray.is_initialized()
    address = f"127.0.0.1:{closed_port()}"
    for mode in ("fast", "durable"):
        error = told(state, address=address, mode=mode)
        assert isinstance(error, BackendUnavailableError), error
        assert address in str(error), error
    os.environ["RAY_ADDRESS"] = address
    assert address in str(told(state, address="auto"))
    sys.modules["grpc"] = None  # type: ignore[assignment]
    error = told(state, address=f"ray://{address}")
    assert "pip install 'anyjob-ray[client]'" in str(error), error


if __name__ == "__main__":
    main(sys.argv[1])
