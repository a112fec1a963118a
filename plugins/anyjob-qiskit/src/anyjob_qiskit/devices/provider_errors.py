"""What a provider's own exceptions mean: it cannot be reached, or does not take our credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anyjob import AnyjobError, BackendAuthError, BackendUnavailableError

UNREACHABLE = (
    "ConnectionError",
    "ConnectTimeout",
    "ReadTimeout",
    "Timeout",
    "ServerNotFoundError",
    "RequestsApiError",
)
"""Names of exceptions that say that a provider cannot be reached now."""
UNAUTHORIZED = ("IBMNotAuthorizedError", "AccountNotFoundError", "InvalidAccountError", "IBMInputValueError")
"""Names of exceptions that say that it does not take our credentials."""
_AUTH_STATUS_CODES = (401, 403)


@contextmanager
def translating_errors(name: str) -> Iterator[None]:
    """Translate a provider's exceptions that mean one of these, raised inside, into anyjob's errors.

    Args:
        name: what to call the backend or the provider.

    Raises:
        BackendAuthError: it refuses our credentials.
        BackendUnavailableError: it cannot be reached now.
    """
    try:
        yield
    except AnyjobError:
        raise
    except Exception as error:
        if is_auth_error(error):
            raise BackendAuthError(
                f"{name!r} does not take the credentials: {error} "
                '(is the token configured, as token = { env = "…" }, and still valid?)'
            ) from error
        if is_unreachable(error):
            raise BackendUnavailableError(
                f"{name!r} cannot be reached: {type(error).__name__}: {error}"
            ) from error
        raise


def is_unreachable(error: BaseException) -> bool:
    """Return whether an exception, or a cause of it, says that a provider cannot be reached."""
    return any(
        isinstance(each, (ConnectionError, TimeoutError))
        or (_is_named(each, UNREACHABLE) and not _has_auth_status(each))
        for each in _chain(error)
    )


def is_auth_error(error: BaseException) -> bool:
    """Return whether an exception, or a cause of it, says that our credentials are not taken."""
    return any(_is_named(each, UNAUTHORIZED) or _has_auth_status(each) for each in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _is_named(error: BaseException, names: tuple[str, ...]) -> bool:
    return any(each.__name__ in names for each in type(error).__mro__)


def _has_auth_status(error: BaseException) -> bool:
    return getattr(error, "status_code", None) in _AUTH_STATUS_CODES
