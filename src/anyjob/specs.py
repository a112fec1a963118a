"""Specs: descriptions of one piece of work each, plain data that is made to travel."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, overload

import msgspec
from msgspec.structs import force_setattr

from anyjob.errors import DependencyFailedError, SpecError
from anyjob.references import OutputPath
from anyjob.resources import MAX_NAME, Resources, nearest_resource
from anyjob.status import LIMIT, ONCE, PREREQUISITES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from typing_extensions import TypeVar

    from anyjob.command_result import CommandResult  # noqa: F401 (in the base of Command, as text)

    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)
"""What work gives as its result: the parameter of specs and of the jobs that they make."""
T = TypeVar("T")

MAX_ARGUMENT = 128 * 1024 - 1
"""Bytes that one argument or one ``NAME=value`` may have: Linux's MAX_ARG_STRLEN, less the NUL."""
SPECS = (
    'give a Command(["program", ...]), a function and its arguments, a Call(function, (argument, ...)) '
    "or the spec of a plugin"
)
"""What work is made as, for errors."""


class File(msgspec.Struct, frozen=True):
    """A file that goes with the work. Its content is taken when the job is made.

    That of one that another job leaves, `TaskJob.output`, is not: it is there when the job starts.

    Args:
        path: where it is on this side; its name is kept on the other.
        content: the bytes; None as long as they have not been taken.
        sha256: in place of ``content`` the hash of it, where it is large and has been taken: it is kept in
            the state directory.
    """

    path: str
    content: bytes | None = None
    sha256: str = ""

    def __post_init__(self) -> None:
        force_setattr(self, "path", os.fsdecode(self.path))

    @property
    def left_by(self) -> OutputPath | None:
        """The path of it, where another job is to leave it."""
        taken = self.content is not None or self.sha256
        return self.path if not taken and isinstance(self.path, OutputPath) else None

    def taken(self) -> File:
        """Return this file with its content.

        Raises:
            SpecError: the file cannot be read.
            DependencyFailedError: another job was to leave it, and has not.
        """
        if self.content is not None or self.sha256:
            return self
        try:
            with open(self.path, "rb") as stream:
                return File(self.path, stream.read())
        except OSError as error:
            why = error.strerror or str(error)
            if isinstance(self.path, OutputPath):
                raise not_left(self.path, why) from error
            raise SpecError(f"cannot read the file {str(self.path)!r}: {why}") from error


def check_left(path: OutputPath) -> str:
    """Return the path of a file that a job was to leave.

    Raises:
        DependencyFailedError: it has not.
    """
    if not os.path.exists(path):
        with suppress(OSError):
            os.listdir(os.path.dirname(path))  # a network file system may know by heart what was there before
        if not os.path.exists(path):
            raise not_left(path, "it is not there")
    return str(path)


def not_left(path: OutputPath, why: str) -> DependencyFailedError:
    """Return the error of a file that a job was to leave."""
    return DependencyFailedError(
        f"job {path.called} has not left the file {str(path)!r}, which this needs: {why}",
        prerequisite=path.job_id,
    )


class Spec(msgspec.Struct, Generic[T_co], frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """What the specs of all kinds of work derive from.

    The ``tag`` is the kind's name, and that of its entry point in the group ``anyjob.job_types``::

        class Notebook(Spec[NotebookResult], tag="acme.notebook"):
            path: File
            parameters: dict[str, Any] = {}

    In brackets is the type of the results: type checkers know that a ``run`` of such a spec makes a
    ``TaskJob[NotebookResult]``. Without them, a result is of any type.

    A field declared as `File` also takes a path.
    """

    def __post_init__(self) -> None:
        for name in file_fields(type(self)):
            value = getattr(self, name)
            if isinstance(value, (str, os.PathLike)):
                force_setattr(self, name, File(os.fsdecode(value)))


_FILE_FIELDS: dict[type, tuple[str, ...]] = {}
_KINDS: dict[type, str] = {}


def file_fields(spec_type: type[Spec]) -> tuple[str, ...]:
    """Return the names of the fields that are files, or hold some."""
    fields = _FILE_FIELDS.get(spec_type)
    if fields is None:
        fields = tuple(
            field.name
            for field in msgspec.structs.fields(spec_type)
            if File in (field.type, *getattr(field.type, "__args__", ()))
        )
        _FILE_FIELDS[spec_type] = fields
    return fields


def kind_of(spec: Spec | type[Spec]) -> str:
    """Return the name of the kind of work that a spec, or a class of specs, describes.

    Raises:
        SpecError: this is no spec, or its class has no tag.
    """
    known = _KINDS.get(type(spec))
    if known is not None:
        return known
    spec_type = spec if isinstance(spec, type) else type(spec)
    if not issubclass(spec_type, Spec):
        if isinstance(spec, (list, tuple)) and spec and all(isinstance(each, Spec) for each in spec):
            raise SpecError(f"these are {len(spec)} pieces of work: hand them over by run_many")
        raise SpecError(f"{spec!r} is not a spec: {SPECS}{_of_plugins()}{_meant(spec)}")
    tag = spec_type.__struct_config__.tag
    if not isinstance(tag, str) or tag == spec_type.__name__:  # what msgspec takes where none is given
        raise SpecError(f'{spec_type.__qualname__} has no kind: declare it as class …(Spec, tag="acme.name")')
    _KINDS[spec_type] = tag
    return tag


def files_in(spec: Spec) -> Iterator[File]:
    """Yield the files that go with a spec; not what a plugin has in the place of one."""
    for name in file_fields(type(spec)):
        value = getattr(spec, name)
        some = value if isinstance(value, (list, tuple)) else (value,)
        for file in value.values() if isinstance(value, dict) else some:
            if isinstance(file, File):
                yield file


def taken(file: File) -> File:
    """Return a file, or what a plugin has in the place of one, with its content."""
    return file.taken()


def with_files(spec: Spec, content: Callable[[File], File] = taken) -> Spec:
    """Return the spec with the contents of its files taken, of those that other jobs leave not yet.

    Args:
        spec: the spec.
        content: takes that of one.
    """
    fields = file_fields(type(spec))
    if not fields or not any(getattr(spec, name) for name in fields):
        return spec
    given: dict[str, Any] = {}

    def take(file: File) -> File:
        if file.left_by is None:
            return content(file)
        if not isinstance(spec, Command):
            raise SpecError(
                f"{name!r} of this work is the output of job {file.left_by.called}, which only a Command can "
                "have as a file; wait for that job, and give File(path)"
            )
        return file

    for name in fields:
        value = getattr(spec, name)
        if isinstance(value, File):
            given[name] = take(value)
        elif isinstance(value, dict) and value:
            given[name] = {key: take(file) for key, file in value.items()}
        elif isinstance(value, (list, tuple)) and value:
            given[name] = type(value)(map(take, value))
    if all(files == getattr(spec, name) for name, files in given.items()):
        return spec
    return msgspec.structs.replace(spec, **given)


class Command(Spec["CommandResult"], frozen=True, tag="command"):
    """A program to run, without a shell: what you give reaches it byte for byte.

    Args:
        argv: the program and its arguments: text, bytes (any but NUL) or paths.
        env: variables to set beside those of the process that submits.
        cwd: the directory to run in; by default that of the process that submits.
        stdin: a file that the program reads; by default it reads nothing.
        stdout: a file for what it writes there, written anew; by default that is kept with the job. A
            relative path begins where the program runs. ``logs()`` and the result read it if it is seen here.
        stderr: the same for what it writes there; it may be the same file.
        files: files to lay into the job's directory, by name: the program finds each as
            ``$ANYJOB_SPOOL/files/NAME``. What another job leaves, `TaskJob.output`, may be a link there, so
            it is not to be written to.

    Raises:
        SpecError: it could not be run anywhere.
    """

    argv: list[str]
    env: dict[str, str] = {}
    cwd: str | None = None
    stdin: File | None = None
    files: dict[str, File] = {}
    stdout: str | None = None
    stderr: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.argv, (str, bytes)):
            raise SpecError(
                f"Command takes a list, not a line: Command(shlex.split({self.argv!r})), "
                f'or Command(["sh", "-c", {self.argv!r}]) for a shell'
            )
        argv = _many(self.argv, "the program and its arguments", "Command")
        force_setattr(self, "argv", [_text(item, "an argument") for item in argv])
        if not self.argv or not self.argv[0]:
            raise SpecError("Command needs at least the name of a program")
        force_setattr(self, "env", {} if self.env == {} else _variables(self.env))
        for field in ("cwd", "stdout", "stderr"):
            if getattr(self, field) is not None:
                force_setattr(self, field, _text(getattr(self, field), field))
        if "" in (self.stdout, self.stderr):
            raise SpecError(
                "stdout and stderr of a Command are paths of files, and one that was given is empty"
            )
        if self.stdin is not None and not isinstance(self.stdin, File):
            raise SpecError(
                "stdin of a Command is the path of a file; bytes of your own go as "
                f'File("stdin", content): it is not {self.stdin!r:.60}'
            )
        if self.files == {}:
            force_setattr(self, "files", {})  # its own, as above: who gave it may fill it later
            return
        for name in _table(self.files, "the files of a Command"):
            if name in ("", ".", "..") or "/" in name or len(os.fsencode(_text(name, "a name"))) > MAX_NAME:
                raise SpecError(
                    f"{name[:60]!r} cannot be the name of a file in the job's directory: give a name without "
                    f"slashes, of {MAX_NAME} bytes at most"
                )
        force_setattr(
            self,
            "files",
            {k: v if isinstance(v, File) else File(os.fsdecode(v)) for k, v in self.files.items()},
        )


def outputs_in(command: Command) -> list[OutputPath]:
    """Return the files among what a program is given that other jobs leave."""
    texts: list[Any] = [*command.argv, *command.env.values(), command.cwd]
    if command.files or command.stdin:
        texts += [file and file.left_by for file in (command.stdin, *command.files.values())]
    return [text for text in texts if type(text) is OutputPath]


def with_outputs(command: Command, replaced: Callable[[OutputPath], str]) -> Command:
    """Return a command with something else for each of them."""

    def file(one: File) -> File:
        return File(text(one.path)) if one.left_by is not None else one

    def text(one: Any) -> Any:
        return replaced(one) if type(one) is OutputPath else one

    return msgspec.structs.replace(
        command,
        argv=list(map(text, command.argv)),
        env={name: text(value) for name, value in command.env.items()},
        cwd=text(command.cwd),
        stdin=command.stdin and file(command.stdin),
        files={name: file(one) for name, one in command.files.items()},
    )


def _variables(env: Mapping[Any, Any], of: str = "a Command") -> dict[str, str]:
    """Return environment variables as text that the operating system takes."""
    variables = {}
    for name, value in _table(env, f"the variables of {of}").items():
        key, text = _text(name, "the name of a variable", of), _text(value, f"the variable {name!r}", of)
        if not key or "=" in key:
            raise SpecError(f"{key!r} cannot be the name of an environment variable")
        _text(f"{key}={text}", f"the variable {key!r}", of)
        variables[key] = text
    return variables


def _many(given: Any, what: str, of: str) -> Any:
    """Return what is a list, or might be one, as it is."""
    if not hasattr(given, "__iter__"):
        raise SpecError(f"{what} of a {of} are a list, not {given!r}")
    return given


def _table(given: Any, what: str) -> Any:
    """Return what has values by name, as it is."""
    if not hasattr(given, "items"):
        raise SpecError(f"{what} are a mapping of names to values, not {given!r}")
    return given


def _text(value: Any, what: str, of: str = "a Command") -> str:
    """Text as the operating system takes it; bytes that are not UTF-8 as surrogates (PEP 383)."""
    if type(value) is str and len(value) <= MAX_ARGUMENT and value.isascii() and "\0" not in value:
        return value  # as most are
    try:
        text = os.fsdecode(value)
    except TypeError:
        raise SpecError(
            f"{what} of {of} is {value!r}, of type {type(value).__name__}: give text, bytes or a path"
        ) from None
    if "\0" in text:
        raise SpecError(f"{what} of {of} holds a NUL byte, which no program can be given: {text[:60]!r}")
    try:
        size = len(os.fsencode(text))
    except UnicodeEncodeError:
        raise SpecError(f"{what} of {of} is no text that can be written as bytes: {text[:60]!r}") from None
    if size > MAX_ARGUMENT:
        raise SpecError(
            f"{what} of {of} has {size:,} bytes; the operating system takes "
            f"{MAX_ARGUMENT:,} at most: put it into a file, or on stdin"
        )
    return text


class Call(Spec[T_co], frozen=True, tag="python"):
    """A Python call.

    Args:
        fn: what to call: anything callable, or ``"module:function"``.
        args: its positional arguments.
        kwargs: its keyword arguments.
        env: variables to set for it beside those of the process that submits.
        cwd: the directory to make it in; by default that of the process that submits. Both are for backends
            that make each call in a process of its own; others refuse them.

    Raises:
        SpecError: ``fn`` is neither, or ``env`` or ``cwd`` could not be set anywhere.
    """

    fn: Any
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    env: dict[str, str] = {}
    cwd: str | None = None

    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            fn: Callable[..., T_co],
            args: Iterable[Any] = (),
            kwargs: Mapping[str, Any] = ...,
            env: Mapping[str, str] = ...,
            cwd: str | os.PathLike[str] | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self: Call[Any],
            fn: str,
            args: Iterable[Any] = (),
            kwargs: Mapping[str, Any] = ...,
            env: Mapping[str, str] = ...,
            cwd: str | os.PathLike[str] | None = None,
        ) -> None: ...
        def __init__(
            self, fn: Any, args: Any = (), kwargs: Any = ..., env: Any = ..., cwd: Any = None
        ) -> None: ...

    def __post_init__(self) -> None:
        if not callable(self.fn) and not is_function(self.fn):
            raise SpecError(
                f"Call takes something callable, or 'module:function'; it was given {self.fn!r}"
                + (" (the result of a call? drop the brackets)" if self.fn is None else "")
            )
        if isinstance(self.args, (str, bytes)):
            raise SpecError(f"the args of a Call are a tuple: args=({self.args!r},)")
        if type(self.args) is not tuple:
            force_setattr(self, "args", tuple(_many(self.args, "the positional arguments", "Call")))
        if type(self.kwargs) is not dict or self.kwargs:
            names = _table(self.kwargs, "the keyword arguments of a Call")
            if odd := [name for name in names if not isinstance(name, str)]:
                raise SpecError(f"the keyword arguments of a Call are named by text, not by {odd[0]!r}")
        if self.env:
            force_setattr(self, "env", _variables(self.env, "a Call"))
        if self.cwd is not None:
            force_setattr(self, "cwd", _text(self.cwd, "cwd", "a Call"))


# Known, so that nobody's first job waits until annotations are evaluated.
_FILE_FIELDS.update({Command: ("stdin", "files"), Call: ()})


def _of_plugins() -> str:
    """The classes of specs that installed plugins bring, for errors."""
    from importlib import import_module, metadata

    found = []
    for each in metadata.entry_points(group="anyjob.job_types"):
        with suppress(Exception):  # of a plugin that is broken: others tell of that
            spec_type = each.load().spec_type
            package, _, rest = spec_type.__module__.partition(".")
            public = getattr(import_module(package), spec_type.__name__, None) is spec_type
            if package != "anyjob":
                found.append(f"{package}.{'' if public or not rest else rest + '.'}{spec_type.__name__}(…)")
    return f": {' or '.join(sorted(found))}" if found else ""


def _meant(work: object) -> str:
    """What was probably meant by plain data in the place of a spec, for errors."""
    if isinstance(work, str) and "." in work and work.replace(".", "").isidentifier():
        meant = repr(":".join(work.rsplit(".", 1)))
    elif isinstance(work, str) and work.strip():
        meant = f"Command(shlex.split({work!r}))"
    elif isinstance(work, (list, tuple)) and work and all(isinstance(each, str) for each in work):
        meant = f"Command({list(work)!r})"
    else:
        return ""
    return f"; did you mean {meant}?"


def anchored(spec: Spec, find_directory: Callable[[], str | None]) -> Spec:
    """Return a spec with those paths made absolute that would mean something else where it runs.

    Args:
        spec: the work.
        find_directory: says where relative paths begin, if there are any.
    """
    if isinstance(spec, Call):
        has_paths = spec.cwd is not None
    elif isinstance(spec, Command):
        has_paths = spec.stdout is not None or spec.stderr is not None
    else:
        return spec
    directory = find_directory() if has_paths else None
    if directory is None:
        return spec
    cwd = directory if spec.cwd is None else os.path.join(directory, spec.cwd)
    paths: dict[str, Any] = {"cwd": cwd} if isinstance(spec, Call) else {}
    for stream in ("stdout", "stderr"):
        path = getattr(spec, stream, None)
        if path is not None:
            paths[stream] = os.path.join(cwd, path)
    return msgspec.structs.replace(spec, **paths)


def is_function(work: Any) -> bool:
    """Tell whether something is what a `Call` calls: anything callable, or ``"module:function"``."""
    if isinstance(work, str):
        return all(work.partition(":"))
    return callable(work) and not (isinstance(work, type) and issubclass(work, Spec))


def without_prerequisites(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resources among the keywords of a ``run``."""
    return {key: value for key, value in given.items() if key not in (*PREREQUISITES, *ONCE, LIMIT)}


def as_spec(work: Any, args: tuple[Any, ...], given: Iterable[str] = ()) -> Spec:
    """Return what ``run(work, *args, **given)`` means: a spec as it is, or the call of a function.

    Raises:
        SpecError: it is neither, or a keyword is an argument of the function, as it seems.
    """
    if not is_function(work):
        if isinstance(work, type):
            raise SpecError(f"{work.__name__} is not a spec, but a class of them: {SPECS}")
        kind_of(work)
        if args:
            raise SpecError(
                f"run() takes a spec alone, and was given {len(args)} arguments beside it: {SPECS}"
            )
        for word in set(given).intersection(work.__struct_fields__).difference(Resources.__struct_fields__):
            name = type(work).__name__
            raise SpecError(
                f"{word!r} is a field of the work, and no resource: give it to {name}(…, {word}=…)"
            )
        return work  # type: ignore[no-any-return]
    for word in set(given).difference(Resources.__struct_fields__, PREREQUISITES, ONCE, (LIMIT,)):
        name = work if isinstance(work, str) else getattr(work, "__qualname__", type(work).__name__)
        near = nearest_resource(word)
        meant = f" (did you mean {near!r}?)" if near else ""
        raise SpecError(
            f"keywords of run() are resources, and {word!r} is none{meant}; for an argument of the function: "
            f"run(Call({name}, …, {{{word!r}: …}}))"
        )
    return Call(work, args)
