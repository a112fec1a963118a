"""Secrets: where they are kept goes around freely, what they are is read at the last moment.

In a configuration a secret is a table that says where it is::

    token = { env = "IBM_TOKEN" }
    token = { file = "~/.config/ibm/token" }
    token = { keyring = "service/user" }      # needs anyjob[keyring]

or, where it need not be kept from those who read the file, the text itself.
"""

from __future__ import annotations

from anyjob.errors import ConfigError, SecretError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any, NoReturn

SOURCES = ("env", "file", "keyring")
MASK = "***"


class Secret:
    """A secret, or where to find it. Its text is in no repr, format, pickle or error.

    Two are equal when they name the same place, or are the same text.

    Args:
        value: the text itself, or a table with one of ``env`` (a variable), ``file`` (an absolute path,
            or one that starts with ``~``) and ``keyring`` (``service/user``).
        where: where it was configured, for errors.

    Raises:
        ConfigError: the value is none of these.
    """

    __slots__ = ("_name", "_source", "_where")
    _source: str
    _name: str
    _where: str

    def __init__(self, value: str | dict[str, str] | Secret, where: str = "") -> None:
        if isinstance(value, Secret):
            self._source, self._name, self._where = value._source, value._name, where or value._where
            return
        if isinstance(value, str):
            self._source, self._name = "literal", value
        elif is_reference(value):
            ((self._source, self._name),) = value.items()
        else:
            raise ConfigError(
                f"{where or 'a secret'}: expected a string, or a table with one of env, file and keyring; "
                'for instance { env = "TOKEN" }'
            )
        self._where = where
        self._check()

    def _check(self) -> None:
        at = self._where or "a secret"
        if not self._name:
            raise ConfigError(f"{at}: the secret is empty")
        if self._source == "keyring" and not all(self._name.rpartition("/")):
            raise ConfigError(f"{at}: keyring = {self._name!r} must be of the form 'service/user'")
        if self._source == "file" and not self._name.startswith(("/", "~")):
            # Relative, it would be another file in every working directory.
            raise ConfigError(f"{at}: file = {self._name!r} must be an absolute path, or start with '~'")

    def get(self) -> str:
        """Read the secret.

        Returns:
            The text; of a file, less the line ends that it ends with.

        Raises:
            SecretError: the variable, file or entry is missing, empty or cannot be read; or the
                package ``keyring`` is not installed.
        """
        readers = {"env": self._from_env, "file": self._from_file, "keyring": self._from_keyring}
        reader = readers.get(self._source)
        text = self._name if reader is None else reader()
        if not text:
            self._fail("is empty")
        return text

    def reference(self) -> dict[str, str]:
        """Return where the secret is, for the ledger and for people; a literal one as ``***``."""
        return {self._source: MASK if self._source == "literal" else self._name}

    def _from_env(self) -> str:
        import os

        text = os.environ.get(self._name)
        if text is None:
            self._fail("is not set")
        return text

    def _from_file(self) -> str:
        import os

        try:
            with open(os.path.expanduser(self._name), "rb") as stream:
                self._warn_if_open_to_others(os.fstat(stream.fileno()))
                text = _decoded(stream.read())
        except OSError as error:
            self._fail(f"cannot be read: {error.strerror or type(error).__name__}")
        if text is None:
            self._fail("is not UTF-8 text")
        return text.rstrip("\r\n")

    def _warn_if_open_to_others(self, stat: Any) -> None:
        # Of other people's files (/run/secrets, for one) the user cannot change the mode.
        import os

        if stat.st_uid == os.geteuid() and stat.st_mode & 0o044:
            import warnings

            warnings.warn(
                f"the secret {self._describe()} can be read by other users: chmod 600 {self._name}",
                stacklevel=4,
            )

    def _from_keyring(self) -> str:
        try:
            import keyring
            from keyring.errors import KeyringError
        except ModuleNotFoundError as error:
            self._fail("needs the package keyring: pip install 'anyjob[keyring]'", error)
        service, _, user = self._name.rpartition("/")
        try:
            text = keyring.get_password(service, user)
        except KeyringError as error:
            self._fail(f"cannot be read: {str(error) or type(error).__name__}", error)
        if text is None:
            self._fail(f"is not there: keyring set {service} {user}")
        return str(text)

    def _describe(self) -> str:
        return self.place() + (f" ({self._where})" if self._where else "")

    def place(self) -> str:
        """Return where it is read from, in words."""
        kinds = {"env": "environment variable", "file": "file", "keyring": "keyring entry"}
        kind = kinds.get(self._source, "text")
        return kind if self._source == "literal" else f"{kind} {self._name!r}"

    def _fail(self, why: str, cause: BaseException | None = None) -> NoReturn:
        raise SecretError(f"the secret {self._describe()} {why}") from cause

    def __repr__(self) -> str:
        ((source, name),) = self.reference().items()
        return f"<Secret {source}={name}>"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._source, self._name) == (other._source, other._name)

    def __hash__(self) -> int:
        return hash((self._source, self._name))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._source == "literal":
            raise SecretError(
                f"the secret {self._describe()} is not pickled, so that it does not end up in files: "
                'keep it elsewhere and say where, for instance { env = "TOKEN" }'
            )
        return Secret, (self.reference(), self._where)


def _decoded(content: bytes) -> str | None:
    # A UnicodeDecodeError holds the content: it must not travel along as the context of ours.
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def is_reference(value: object) -> bool:
    """Return whether this is a table that says where a secret is: env, file or keyring, and a string."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((key, name),) = value.items()
    return key in SOURCES and isinstance(name, str)


def mask_secrets(value: Any, path: tuple[str, ...], hidden: Collection[tuple[str, ...]] = ()) -> Any:
    """Return what may be shown of a configured value: no secrets, nor passwords in URLs.

    Args:
        value: at whatever depth.
        path: the keys that it stands under, from the top of the configuration.
        hidden: the paths whose text is secret, whatever their names.
    """
    if isinstance(value, Secret):
        return value.reference()
    if isinstance(value, dict):
        if is_reference(value):
            return value
        return {key: mask_secrets(item, (*path, key), hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_secrets(item, path, hidden) for item in value]
    if not isinstance(value, str):
        return value
    if len(path) < 3 and path != ("default_backend",) and path[:1] != ("plugins",):
        return MASK  # it is in no place that has a meaning, so it may be anything
    if path in hidden or any(map(_is_telling, path[2:])):
        return MASK
    return _without_password(value)


def _without_password(text: str) -> str:
    import re

    return re.sub(r"(://[^/@\s:]*):[^/@\s]*@", rf"\1:{MASK}@", text)


def _is_telling(name: str) -> bool:
    """Ask whether a name says that what it stands for is secret: all there is to go by without a type."""
    folded = name.lower().replace("_", "").replace("-", "")
    return any(word in folded for word in _TELLING)


_TELLING = (
    "token",
    "secret",
    "passw",
    "pwd",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "auth",
    "webhook",
)


class HiddenText(str):
    """Text that can be used as it is, and is not shown by a repr: a secret where a class wants plain text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class UrlWithPassword(HiddenText):
    """An address with a password in it, which a repr leaves out."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(_without_password(self))


def concealed(values: Mapping[str, Any], *, names: bool = True) -> dict[str, Any]:
    """Return values of which those whose names say that they are secret are not shown, at any depth.

    Args:
        values: by name.
        names: False where the names of the outermost say nothing.
    """
    return {key: _concealed(value, names and _is_telling(key)) for key, value in values.items()}


def _concealed(value: Any, hidden: bool) -> Any:
    if type(value) is dict and value and not is_reference(value):
        return {
            key: _concealed(item, hidden or (isinstance(key, str) and _is_telling(key)))
            for key, item in value.items()
        }
    if type(value) is list:
        return [_concealed(item, hidden) for item in value]
    if type(value) is not str:
        return value
    if hidden and value:
        return HiddenText(value)
    return UrlWithPassword(value) if "://" in value and "@" in value else value


def plain_text(value: Any) -> Any:
    """The inverse of `concealed`: ordinary text, at any depth."""
    if isinstance(value, dict):
        return {key: plain_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_text(item) for item in value]
    return str(value) if isinstance(value, HiddenText) else value


def from_config(values: Mapping[str, Any], where: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the values with every table that says where a secret is made a `Secret`, at any depth.

    For types without ``Options``, of which nothing else tells which values are secrets.

    Args:
        values: what the configuration says.
        where: makes of a (dotted) key the words for where it was configured, for errors.

    Raises:
        ConfigError: a place that cannot be one, such as a relative path.
    """
    return {key: _secrets_in(value, key, where) for key, value in values.items()}


def revealed(value: Any) -> Any:
    """Return what is not ours to keep secret: texts in place of secrets, at any depth.

    For code that knows nothing of `Secret`, and is given what it needs by itself.

    Raises:
        SecretError: a secret is not where it should be.
    """
    if isinstance(value, Secret):
        return value.get()
    if isinstance(value, dict):
        return {key: revealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revealed(item) for item in value]
    return value


def _secrets_in(value: Any, key: str, where: Callable[[str], str]) -> Any:
    if is_reference(value):
        return Secret(value, where(key))
    if isinstance(value, dict):
        return {name: _secrets_in(item, f"{key}.{name}", where) for name, item in value.items()}
    if isinstance(value, list):
        return [_secrets_in(item, key, where) for item in value]
    return value
