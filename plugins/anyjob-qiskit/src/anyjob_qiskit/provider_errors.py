"""What a provider's own exceptions mean: it is away, or refuses our credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anyjob import AnyjobError, BackendAuthError, BackendUnavailableError

AWAY = (
    "ConnectionError",
    "ConnectTimeout",
    "ReadTimeout",
    "Timeout",
    "ServerNotFoundError",
    "RequestsApiError",
)
"""Names of exceptions that say that a provider cannot be reached now."""
REFUSED = ("IBMNotAuthorizedError", "AccountNotFoundError", "InvalidAccountError", "IBMInputValueError")
"""Names of exceptions that say that it does not take our credentials."""
_FORBIDDEN = (401, 403)


@contextmanager
def reaching(name: str) -> Iterator[None]:
    """Turn what is raised inside, where it means one of these, into anyjob's error for it.

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
        if is_refusal(error):
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
    """Return whether an exception, or what it was made of, says that a provider cannot be reached."""
    return any(
        isinstance(each, (ConnectionError, TimeoutError)) or (_names(each, AWAY) and not _is_forbidden(each))
        for each in _chain(error)
    )


def is_refusal(error: BaseException) -> bool:
    """Return whether an exception, or what it was made of, says that our credentials are not taken."""
    return any(_names(each, REFUSED) or _is_forbidden(each) for each in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _names(error: BaseException, names: tuple[str, ...]) -> bool:
    return any(each.__name__ in names for each in type(error).__mro__)


def _is_forbidden(error: BaseException) -> bool:
    return getattr(error, "status_code", None) in _FORBIDDEN
