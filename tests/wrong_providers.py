"""Providers that break one promise each: what each check of the conformance kit is to catch."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import msgspec
from right_backend import RightOptions
from right_provider import CloudOptions, CloudProvider, Machine

from anyjob.backend import BackendConfiguration, BackendStatus
from anyjob.config.secrets import Secret
from anyjob.errors import (
    BackendAuthError,
    BackendError,
    BackendNotFoundError,
    BackendUnavailableError,
)
from anyjob.orders import Answer, Observation, Options, Order, Ticket
from anyjob.outcome import Outcome
from anyjob.provider import BaseProvider
from anyjob.runtime.recording.recorder import NO_RECORDER
from anyjob.status import JobStatus

# --- what is offered ------------------------------------------------------------------------------


class OfferingOneTwice(CloudProvider):
    def machines(self) -> list[Machine]:
        return super().machines() * 2


class Nobodys(Machine):
    def provider(self) -> Any:
        return None


class Disowning(CloudProvider):
    machine = Nobodys


class GivingTheFirst(CloudProvider):
    def get_backend(self, name: str | None = None, **kwargs: Any) -> Any:
        return [*self.backends(name, **kwargs), *self.backends()][0]


class Unfiltered(CloudProvider):
    def backends(self, name: str | None = None, filters: Any = None, **kwargs: Any) -> list[Any]:
        return super().backends(name, None, **kwargs)


class Lenient(CloudProvider):
    def backends(self, name: str | None = None, filters: Any = None, **kwargs: Any) -> list[Any]:
        known = {key: value for key, value in kwargs.items() if key == "backend_name"}
        return super().backends(name, filters, **known)


class Restless(CloudProvider):
    turn = 1

    def machines(self) -> list[Machine]:
        self.turn = -self.turn
        return super().machines()[:: self.turn]


class Slashed(CloudProvider):
    def machines(self) -> list[Machine]:
        return [
            self.machine(BackendConfiguration("eu/one"), self, options=RightOptions(self.options.directory))
        ]


class EitherOr(CloudProvider):
    def backends(self, name: str | None = None, filters: Any = None, **kwargs: Any) -> list[Any]:
        return super().backends(filters=filters, **kwargs) if name is None else super().backends(name)


class Mumbling(Machine):
    def status(self) -> Any:
        return "online"


class MumblingCloud(CloudProvider):
    machine = Mumbling


class DeafToStatus(CloudProvider):
    def backends(self, name: str | None = None, filters: Any = None, **kwargs: Any) -> list[Any]:
        kwargs.pop("operational", None)
        return super().backends(name, filters, **kwargs)


class OneAtATime(CloudProvider):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lock = threading.Lock()

    def machines(self) -> list[Machine]:
        if not self.lock.acquire(blocking=False):
            raise BackendError("asked while it was answering")
        time.sleep(0.1)  # what a service takes
        self.lock.release()
        return super().machines()


class Picky(CloudProvider):
    """Gives a backend by a name that is not the one that it lists."""

    def get_backend(self, name: str | None = None, **kwargs: Any) -> Any:
        if name is None or not name.startswith("device-"):
            raise BackendNotFoundError(f"there is no {name!r}: there are device-1 and device-2")
        return super().get_backend(name.removeprefix("device-"), **kwargs)


# --- accounts -------------------------------------------------------------------------------------


class Unequal(CloudProvider):
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = CloudProvider.__hash__


class ClosedOnce(CloudProvider):
    def close(self) -> None:
        del self._configuration


class ClosingAll(CloudProvider):
    is_closed = False

    def close(self) -> None:
        ClosingAll.is_closed = True

    def machines(self) -> list[Machine]:
        if ClosingAll.is_closed:
            raise BackendError("the connection is closed")
        return super().machines()


class Connecting(CloudProvider):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        socket.getaddrinfo("localhost", 80)


class Nameless(CloudProvider):
    def __str__(self) -> str:
        return "an account"


class Swallowing(CloudProvider):
    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any], provider: Any = None) -> Self:
        known = {key: value for key, value in options.items() if key in CloudOptions.__struct_fields__}
        return super().from_options(name, known, provider)


class Forgiving(CloudProvider):
    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any], provider: Any = None) -> Self:
        return super().from_options(name, {"directory": "/", **options}, provider)


class BareOptions(Options, frozen=True):
    """Options that say not what they are for."""

    directory: str
    key: Secret | None = None


class Undocumented(CloudProvider):
    Options = BareOptions  # type: ignore[assignment]


class ShowingItsKey(CloudProvider):
    def __repr__(self) -> str:
        return f"{super().__repr__()} with {self.options.key.get()}"


class AllAlike(CloudProvider):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, AllAlike)

    __hash__ = CloudProvider.__hash__


class OneForAll(CloudProvider):
    """Logs in once for all accounts, as a client does that is a global variable of its module."""

    logged_in: Any = None

    def machines(self) -> list[Machine]:
        OneForAll.logged_in = OneForAll.logged_in or self.options
        options = RightOptions(OneForAll.logged_in.directory)
        return [self.machine(each.configuration(), self, options=options) for each in super().machines()]

    def configure_backend(self, backend: Any, options: Any) -> Any:
        return backend


# --- a service that fails -------------------------------------------------------------------------


class EmptyWhenAway(CloudProvider):
    def backends(self, name: str | None = None, filters: Any = None, **kwargs: Any) -> list[Any]:
        try:
            return super().backends(name, filters, **kwargs)
        except BackendUnavailableError:
            return []


class LosingHeart(CloudProvider):
    has_failed = False

    def check(self) -> None:
        try:
            super().check()
        except BackendError:
            self.has_failed = True
        if self.has_failed:
            raise BackendUnavailableError("the service did not answer")


class Hasty(Machine):
    """Takes what it is not told for an end."""

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        try:
            return super().observe(tickets)
        except BackendError:
            return {ticket.job_id: Observation(JobStatus.ERROR, "lost") for ticket in tickets}


class HastyCloud(CloudProvider):
    machine = Hasty


class RefusedIsAway(CloudProvider):
    def check(self) -> None:
        try:
            super().check()
        except BackendAuthError as error:
            raise BackendUnavailableError(str(error)) from None


class TellingItsKey(CloudProvider):
    def check(self) -> None:
        try:
            super().check()
        except BackendAuthError as error:
            raise BackendAuthError(f"{error}: {self.options.key.get()}") from None


class RefusedForAll(CloudProvider):
    """Asks with the first account's key, whoever asks."""

    first: Any = None

    def check(self) -> None:
        RefusedForAll.first = RefusedForAll.first or self
        CloudProvider.check(RefusedForAll.first)


class Remembering(CloudProvider):
    known: list[Machine] | None = None

    def machines(self) -> list[Machine]:
        Remembering.known = Remembering.known or super().machines()
        return Remembering.known


class HidingWhatIsOffline(CloudProvider):
    def machines(self) -> list[Machine]:
        return [each for each in super().machines() if each.status().operational]


class Silent(Machine):
    def status(self) -> BackendStatus:
        status = super().status()
        return BackendStatus(status.backend_name, status.backend_version, status.operational)


class SilentCloud(CloudProvider):
    machine = Silent


class FirstIsLeastBusy(CloudProvider):
    def least_busy(self, filters: Callable[[Any], bool] | None = None, **kwargs: Any) -> Any:
        return self.backends(filters=filters, **kwargs)[0]


# --- work -----------------------------------------------------------------------------------------


class TellingItsName(Machine):
    """Tells its engine, which knows its machines by their own names, what its user calls it."""

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        if self.name().rpartition("/")[2] not in ("machine-1", "machine-2"):
            raise BackendError(f"there is no machine {self.name()!r}")
        yield from super().launch(orders)


class CloudOfNames(CloudProvider):
    machine = TellingItsName


class Forgetful(Machine):
    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        return {ticket.job_id: Outcome(status=JobStatus.CANCELLED) for ticket in tickets}


class ForgetfulCloud(CloudProvider):
    machine = Forgetful


class NamedByItself(Machine):
    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.configured_name = configuration.backend_name


class NamingItself(CloudProvider):
    machine = NamedByItself


class ChargingNobodyKnowsWhat(Machine):
    def outcome(self, ticket: Ticket) -> Outcome | None:
        outcome = super().outcome(ticket)
        return None if outcome is None else msgspec.structs.replace(outcome, currency="")


class CloudWithoutUnits(CloudProvider):
    machine = ChargingNobodyKnowsWhat


class KnowingItsOwn(Machine):
    """Tells of those jobs only that it was given."""

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        ours = [ticket for ticket in tickets if ticket.native_id == f"right-{ticket.job_id}"]
        return super().observe(ours)


class CloudOfItsOwn(CloudProvider):
    machine = KnowingItsOwn


class AttachingForNow(Machine):
    def attach(self, native_id: str, **called: Any) -> Any:
        self._recorder = NO_RECORDER
        return super().attach(native_id, **called)

    def retrieve_job(self, job_id: str) -> Any:
        from anyjob.errors import JobNotFoundError

        raise JobNotFoundError(f"there is no {job_id!r}")


class CloudForNow(CloudProvider):
    machine = AttachingForNow


class Agreeing(Machine):
    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        return {ticket.job_id: Observation(JobStatus.QUEUED) for ticket in tickets}


class AgreeingCloud(CloudProvider):
    machine = Agreeing


PROVIDERS: Mapping[str, type[BaseProvider]] = {
    "test_it_offers_backends_under_names_of_their_own": OfferingOneTwice,
    "test_a_backend_is_found_by_its_name": Disowning,
    "test_none_and_several_are_not_found": GivingTheFirst,
    "test_filters_choose_among_its_backends": Unfiltered,
    "test_an_unknown_filter_is_refused": Lenient,
    "test_it_offers_the_same_each_time": Restless,
    "test_its_backends_can_be_named": Slashed,
    "test_names_and_filters_both_count": EitherOr,
    "test_its_backends_say_how_they_are": MumblingCloud,
    "test_how_backends_are_chooses_among_them": DeafToStatus,
    "test_threads_may_ask_at_once": OneAtATime,
    "test_a_session_finds_its_backends": Picky,
    "test_it_equals_one_of_the_same_options": Unequal,
    "test_it_can_be_closed_twice": ClosedOnce,
    "test_to_close_it_closes_no_other": ClosingAll,
    "test_it_is_made_without_network": Connecting,
    "test_it_tells_which_account_it_is": Nameless,
    "test_an_unknown_option_of_it_is_refused": Swallowing,
    "test_a_missing_option_of_it_is_refused": Forgiving,
    "test_each_option_of_it_is_documented": Undocumented,
    "test_a_secret_of_it_is_not_shown": ShowingItsKey,
    "test_two_accounts_are_told_apart": AllAlike,
    "test_a_job_of_one_account_is_not_one_of_another": OneForAll,
    "test_a_service_that_is_away_is_told_by_its_own_error": EmptyWhenAway,
    "test_a_service_that_is_away_is_no_missing_backend": EmptyWhenAway,
    "test_a_service_that_is_back_is_asked_again": LosingHeart,
    "test_a_service_that_is_away_ends_no_job": HastyCloud,
    "test_refused_credentials_are_told_by_their_own_error": RefusedIsAway,
    "test_refused_credentials_are_not_shown": TellingItsKey,
    "test_refused_credentials_end_no_job": HastyCloud,
    "test_refused_credentials_of_one_account_leave_another": RefusedForAll,
    "test_a_backend_that_is_gone_is_not_found": Remembering,
    "test_a_backend_that_is_offline_is_offered_and_says_so": HidingWhatIsOffline,
    "test_a_backend_that_is_offline_says_why": SilentCloud,
    "test_a_backend_that_is_offline_is_not_the_least_busy": FirstIsLeastBusy,
    "test_its_backends_work_under_other_names": CloudOfNames,
    "test_its_jobs_are_found_again": ForgetfulCloud,
    "test_what_it_gives_itself_is_called_as_its_account": NamingItself,
    "test_what_is_charged_has_a_unit": CloudWithoutUnits,
    "test_a_job_that_was_submitted_elsewhere_is_attached": CloudOfItsOwn,
    "test_an_attached_job_is_found_again": CloudForNow,
    "test_an_id_that_the_service_does_not_know_is_not_attached": AgreeingCloud,
}
"""For each check of providers one that fails it."""
