"""What the parts of a session ask of it from below, without knowing its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import os

    from anyjob.config.settings import Config
    from anyjob.ledger.rows import BackendRow
    from anyjob.registry.lookup import Registry


class SessionProtocol(Protocol):
    """A session, as its parts see it."""

    config: Config
    registry: Registry
    state: str | os.PathLike[str] | None

    @property
    def services(self) -> Any:
        """What its backends are surrounded by."""

    def made(self) -> list[Any]:
        """Return the backends that it has made."""

    def get_backend(self, name: str | None = None) -> Any:
        """Return the backend of this name."""

    def backend_names(self) -> list[str]:
        """Return what `get_backend` takes."""

    def rebuild(self, row: BackendRow) -> Any:
        """Make a backend as it was when it was given a job."""

    def take_in(self, backend: Any, row: BackendRow) -> None:
        """Take in a backend that was made for a row of the ledger."""
