"""Text reaches the work as it was given, byte for byte, whatever characters it holds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from anyjob.errors import CommandFailedError, JobRejectedError, SpecError
from anyjob.job import JobStatus
from anyjob.resources import MAX_NAME
from anyjob.specs import MAX_ARGUMENT, Call, Command, File
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import live, requires
from anyjob.testing.harness.samples import can_run

PLAIN = (
    " ",
    " two  blanks ",
    "\ttab\t",
    "new\nline\n",
    "\r\n",
    "'",
    '"',
    'it\'s "so"',
    "$(echo executed)",
    "`echo executed`",
    "$HOME ${HOME} ~ $1 $$",
    "%s %d %% %n %PATH% %(name)s",
    "\\ \\n \\\\ \\x41 \\",
    "{0} {name} {{x}}",
    "-",
    "-n",
    "--help",
    "--",
    "=",
    "A=b",
    "*?[a-z]{b,c}",
    "a;b&c|d>e<f(g)#h!i",
    "#SBATCH --nodes=9",
    "\x01\x1b[31m\x7f",
    "naïve žluťoučký kůň 日本語 🙂",
    "e\u0301 \u00a0\u2028\u202e\ufeff",
)
"""Text that peers have mangled, split, expanded or executed."""
TEXTS = ("", *PLAIN, os.fsdecode(b"caf\xe9 \xff\xfe \x81\x88\xc3"))
"""The same, and what is no text in UTF-8."""
NAME = "it's 6\" of `kill -9 $$` $(kill -9 $$) 100% \\n\n;#SBATCH -N 9 *日本語🙂"
"""Ends each kind of quotes, and the shell that expands it."""
BYTES = bytes(range(256)) * 1024
"""More than a pipe holds."""


class Text:
    """Work that echoes a text gets that text. For every backend."""

    @live
    def test_text_comes_back_from_the_work_as_it_was_given(self, harness: BackendHarness) -> None:
        """Text that work echoes comes back as it was given, whatever characters it holds."""
        for sample in harness.samples_with("echo"):
            assert sample.echo is not None
            for text in ("\n".join(PLAIN), "--help"):
                received = sample.echoed(_result(harness.run(sample.echo(text)), harness))
                _compare(f"the text of {sample.kind}", text.split("\n"), received.split("\n"))


class TaskText:
    """What programs and calls are given reaches them. For task backends."""

    @live
    def test_arguments_reach_a_program_byte_for_byte(self, harness: BackendHarness) -> None:
        """The arguments of a program reach it byte for byte, whatever they hold."""
        harness.require_kind("command")
        _compare("the argument", _bytes(TEXTS), _printed(harness, Command(["printf", "%s\\0", *TEXTS])))

    @live
    def test_variables_reach_a_program_byte_for_byte(self, harness: BackendHarness) -> None:
        """The variables of a program reach it byte for byte, whatever they hold."""
        harness.require_kind("command")
        variables = {f"KIT_TEXT_{number}": text for number, text in enumerate(TEXTS)}
        shown = " ".join(f'"${name}"' for name in variables)
        command = Command(["sh", "-c", f"printf '%s\\0' {shown}"], env=variables)
        _compare("the variable", _bytes(TEXTS), _printed(harness, command))

    def test_the_longest_text_reaches_a_program_and_longer_is_refused(self, harness: BackendHarness) -> None:
        """An argument or variable of up to 128 KiB reaches a program whole, and a longer one is refused."""
        harness.require_kind("command")
        name = "KIT_LONG"
        longest = "x" * (MAX_ARGUMENT - 1) + "y"
        variable = longest[len(name) + 1 :]
        script = f'printf "%s\\0" "${name}" "$1"'
        arrived = _printed(harness, Command(["sh", "-c", script, "sh", longest], env={name: variable}))
        _compare("the longest text", _bytes([variable, longest]), arrived)
        try:
            harness.run(Command(["true", longest + "z"]))
        except SpecError:
            return
        raise AssertionError(f"an argument of {len(longest) + 1:,} bytes was not refused by a SpecError")

    @requires("shared_files")
    def test_a_program_runs_in_the_directory_that_it_was_given(self, harness: BackendHarness) -> None:
        """A program runs in the directory that it was given, whatever characters its path holds."""
        harness.require_kind("command")
        with _directory(harness) as home:
            for name in (NAME, "-n", os.fsdecode(b"caf\xe9 \xff")):
                directory = home / name
                directory.mkdir()
                outcome = harness.outcome(harness.run(Command(["touch", "arrived"], cwd=str(directory))))
                assert outcome.status is JobStatus.DONE, (
                    f"a program did not start in a directory of the name {name!r}: {outcome.message}"
                )
                harness.wait_until(
                    (directory / "arrived").exists,
                    f"a file of a program that was to run in a directory of the name {name!r}",
                )

    @requires("shared_files", "output_files")
    def test_a_program_writes_to_the_files_that_it_names(self, harness: BackendHarness) -> None:
        """A program writes to the files that it names as its stdout and stderr, one or two, and anew."""
        harness.require_kind("command")
        script = ["sh", "-c", "echo out; echo else >&2"]
        with _directory(harness) as home:
            for stdout, stderr in (("one", "two"), (NAME, NAME)):
                (home / stdout).write_text("what was there before, which is longer")
                job = harness.run(Command(script, cwd=str(home), stdout=stdout, stderr=stderr))
                outcome = harness.outcome(job)
                assert outcome.status is JobStatus.DONE, f"such a program fails: {outcome.message}"
                found = sorted(line for name in {stdout, stderr} for line in _lines(home / name))
                assert found == ["else", "out"], f"in {stdout!r} and {stderr!r} are the lines {found}"
                logs = list(job.logs())
                assert "out\n" in logs, f"it wrote 'out' to its file, and logs() gave {logs}"

    @requires("call_environment")
    def test_a_call_is_made_in_the_environment_that_it_asks_for(self, harness: BackendHarness) -> None:
        """A call has the variables and the working directory that it asks for, and the next has not."""
        harness.require_kind("python")
        shared = harness.backend.capabilities.shared_files
        with _directory(harness) if shared else nullcontext(Path(os.sep)) as home:
            look = Call("os:getcwd", env={"KIT_CHECK": NAME}, cwd=str(home))
            there = _result(harness.run(look), harness)
            assert os.path.samefile(there, home), f"a call that was to be made in {home} was in {there}"
            asked = Call("os:getenv", ("KIT_CHECK",), env={"KIT_CHECK": NAME})
            value = _result(harness.run(asked), harness)
            assert value == NAME, f"the variable that a call has of its own is {value!r}, not {NAME!r}"
            later = _result(harness.run(Call("os:getenv", ("KIT_CHECK",))), harness)
            assert later is None, f"the call after it has the variable, too: {later!r}"
            back = _result(harness.run(Call("os:getcwd")), harness)
            assert back != there or not shared, f"the call after it is made in its directory, too: {back}"

    def test_what_a_program_reads_is_what_it_was_given(self, harness: BackendHarness) -> None:
        """A program reads from stdin, byte for byte, what it was given."""
        harness.require_kind("command")
        given = b"\xffno new line at the end\0" + BYTES
        job = harness.run(Command(["cat"], stdin=File(NAME, given)))
        received = _result(job, harness).stdout.bytes()
        _compare("the line of stdin", given.split(b"\n"), received.split(b"\n"))

    @live
    def test_the_arguments_of_a_call_reach_it(self, harness: BackendHarness) -> None:
        """The arguments of a call reach it as they were given, by position and by name."""
        harness.require_kind("python")
        texts = (*TEXTS, "x" * MAX_ARGUMENT)
        given: list[Any] = [BYTES, *texts]
        named = dict(zip(texts, reversed(texts), strict=True))
        result = _result(harness.run(Call("builtins:dict", (list(enumerate(given)),), named)), harness)
        for expected in (dict(enumerate(given)), named):
            arrived = [result.get(key) for key in expected]
            _compare("the argument of a call", list(expected.values()), arrived)

    def test_what_failed_is_told_whatever_it_says(self, harness: BackendHarness) -> None:
        """What work says of its failure may hold any bytes: the job ends as ERROR, and its error is told."""
        failures: list[tuple[str, Any, type[BaseException]]] = [
            ("command", Command(["sh", "-c", r"printf '\377\303 \201' >&2; exit 3"]), CommandFailedError),
            ("python", Call("builtins:exec", (r"raise ValueError('\udcff \ud800')", {})), ValueError),
        ]
        for kind, work, expected in failures:
            if not can_run(harness.backend, kind):
                continue
            job = harness.run(work)
            try:
                job.wait_for_final_state(timeout=harness.timeout)
                found = job.exception()
            except Exception as error:
                raise AssertionError(f"{kind}: the failure of a job could not be told: {error!r}") from error
            assert isinstance(found, expected), (
                f"{kind}: a job has failed by {expected.__name__}, as {found!r}"
            )

    def test_names_and_tags_are_kept_and_stop_no_work(self, harness: BackendHarness) -> None:
        """Names and tags may hold any characters: they are kept as they are, and the work runs."""
        sample = harness.samples[0]
        names = (
            NAME,
            "--help",
            "-n $(kill -9 $$)",
            os.fsdecode(b"caf\xe9"),
            ("ž" * MAX_NAME)[: MAX_NAME // 2],
        )
        tags = {text: text for text in TEXTS if text}
        for name in names:
            try:
                job = harness.run(sample.succeeds, name=name, tags=tags)
            except JobRejectedError as error:
                raise AssertionError(f"a job of the name {name!r} was not taken: {error}") from error
            outcome = harness.outcome(job)
            assert outcome.status is JobStatus.DONE, (
                f"a job of the name {name!r} ended as {outcome.status.name}: {outcome.message}"
            )
            kept = job.metadata()
            _compare("the name", [name], [kept["name"]])
            _compare("the tag", [*tags.values()], [*kept["tags"].values()])
            found = harness.session.jobs(name=name, tags=tags)
            assert job in found, f"jobs(name={name!r}, tags=…) does not find the job of that name and tags"
        try:
            harness.run(sample.succeeds, name="x" * (MAX_NAME + 1))
        except SpecError:
            return
        raise AssertionError(f"a name of {MAX_NAME + 1} bytes was not refused by a SpecError")


def _result(job: Any, harness: BackendHarness) -> Any:
    """The result of work that does nothing but give back what it was given."""
    job.wait_for_final_state(timeout=harness.timeout)
    try:
        return job.result()
    except Exception as error:
        raise AssertionError(f"work did not run with what it was given: {error}") from error


def _printed(harness: BackendHarness, command: Command) -> list[bytes]:
    """What a program printed, which ends each text by a NUL."""
    written: bytes = _result(harness.run(command), harness).stdout.bytes()
    return written.split(b"\0")[:-1]


def _bytes(texts: Sequence[str]) -> list[bytes]:
    return [os.fsencode(text) for text in texts]


def _compare(what: str, given: Sequence[Any], arrived: Sequence[Any]) -> None:
    """Say which of several texts was mangled."""
    for number, (one, other) in enumerate(zip(given, arrived, strict=False)):
        assert one == other, f"{what} number {number} was {_short(one)}, and became {_short(other)}"
    assert len(given) == len(arrived), f"{what}: {len(given)} were given, and {len(arrived)} arrived"


def _short(text: Any) -> str:
    shown = repr(text)
    size = len(text) if isinstance(text, (str, bytes)) else 0
    return shown if len(shown) <= 80 else f"{shown[:40]}…{shown[-40:]} ({size:,} long)"


@contextmanager
def _directory(harness: BackendHarness) -> Iterator[Path]:
    """A directory beside the spool, which the work sees as well."""
    state = harness.session.services.ledger.state
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kit-", dir=state) as directory:
        yield Path(directory)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
