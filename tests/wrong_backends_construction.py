"""Backends and providers that each break one promise of how they are made and shown.

They derive from right ones. For each check of the conformance kit there is one that fails it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Self

import msgspec
from right_backend import RightBackend, RightOptions

from anyjob.backend import BackendStatus
from anyjob.config.secrets import Secret
from anyjob.orders import Answer, Order, Rejected, Ticket
from anyjob.outcome import Outcome

# --- how a backend is made ------------------------------------------------------------------------


class Renamed(RightBackend):
    """Is called the same, whatever the configuration calls it."""

    def name(self) -> str:
        return "right"


class WithOddStatus(RightBackend):
    def status(self) -> Any:
        return BackendStatus(self.name(), self.version(), operational="yes")  # type: ignore[arg-type]


class WithoutProvider(RightBackend):
    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any], provider: Any = None) -> Self:
        return super().from_options(name, options)


class ClosedOnce(RightBackend):
    def close(self) -> None:
        super().close()
        del self._configuration


class Connecting(RightBackend):
    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        socket.getaddrinfo("localhost", 80)


class TakingAnyOption(RightBackend):
    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any], provider: Any = None) -> Self:
        known = {key: value for key, value in options.items() if key in ("directory", "slots")}
        return super().from_options(name, known, provider)


class TakingAnyValue(RightBackend):
    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any], provider: Any = None) -> Self:
        slots = options.get("slots", 4)
        right = {**options, "slots": slots if isinstance(slots, int) else 4}
        return super().from_options(name, right, provider)


class Assuming(RightBackend):
    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any], provider: Any = None) -> Self:
        return super().from_options(name, {"directory": "/tmp", **options}, provider)


class BareOptions(RightOptions, frozen=True):
    """Where the engine is."""

    queue: str = ""


class Undocumented(RightBackend):
    Options = BareOptions


class ReadingOthersOptions(RightBackend):
    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order in orders:
            if order.resources.options:
                yield order, Rejected("what does this mean?")
            else:
                yield from super().launch([order])


class IgnoringOwnOptions(RightBackend):
    def run(self, spec: Any, *args: Any, **resources: Any) -> Any:
        resources.pop("options", None)
        return super().run(spec, **resources)


# --- secrets --------------------------------------------------------------------------------------


class KeyOptions(RightOptions, frozen=True):
    """Where the engine is, and who asks."""

    token: Annotated[Secret | None, msgspec.Meta(description="what the engine knows us by")] = None


class Secretive(RightBackend):
    """Has a secret and keeps it."""

    Options = KeyOptions

    @property
    def token(self) -> str:
        return self.options.token.get() if self.options.token is not None else ""


class Showing(Secretive):
    def __repr__(self) -> str:
        return f"<Showing({self.name()!r}, token={self.token!r})>"


class FailingOpenly(Secretive):
    def outcome(self, ticket: Ticket) -> Outcome | None:
        found = super().outcome(ticket)
        if found is not None and found.reason:
            found.message = f"GET https://me:{self.token}@example.org answered 500"
        return found


class Handing(Secretive):
    def run(self, spec: Any, *args: Any, **resources: Any) -> Any:
        job = super().run(spec, **resources)
        job._record.message = f"submitted with {self.token}"
        return job


class WritingDown(Secretive):
    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        assert order.spool is not None
        (order.spool / "request").write_text(self.token)
        return engine_order


class HandingOn(Secretive):
    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        engine_order["environment"][b"RIGHT_TOKEN"] = self.token.encode()
        return engine_order


class Logging(Secretive):
    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        logging.getLogger("right").debug("asking with the token %s", self.token)
        return super().launch(orders)


BACKENDS: Mapping[str, type[RightBackend]] = {
    "test_it_has_the_name_that_it_was_configured_with": Renamed,
    "test_it_says_which_version_it_is_and_how_it_is": WithOddStatus,
    "test_from_options_hands_on_name_version_and_provider": WithoutProvider,
    "test_it_can_be_closed_twice": ClosedOnce,
    "test_it_is_made_without_network": Connecting,
    "test_an_unknown_option_is_refused_with_the_nearest": TakingAnyOption,
    "test_an_option_of_the_wrong_type_is_refused": TakingAnyValue,
    "test_a_missing_option_is_refused": Assuming,
    "test_each_option_is_documented": Undocumented,
    "test_options_for_another_engine_are_ignored": ReadingOthersOptions,
    "test_an_unknown_option_of_a_job_is_refused": IgnoringOwnOptions,
    "test_a_secret_is_not_shown_by_the_backend": Showing,
    "test_a_secret_is_not_in_errors": FailingOpenly,
    "test_a_secret_is_not_in_handles": Handing,
    "test_a_secret_is_not_in_files": WritingDown,
    "test_a_secret_is_not_in_the_environment_of_work": HandingOn,
    "test_a_secret_is_not_logged": Logging,
}
"""For each check of how a backend is made and shown one that fails it."""


# --- providers ------------------------------------------------------------------------------------
