"""A plugin with all that one can have, and changes to it, each of which makes it wrong in one way.

The text of a change is put in the place of another in the good plugin; `WRONG` names what a check of the
changed one must find.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from support.distributions import install

NAME = "acme-of-tests"
PACKAGE = "acme_of_tests"

ENTRY_POINTS = {
    "anyjob.api": {"v1": PACKAGE},
    "anyjob.backends": {"acme": f"{PACKAGE}.backend:AcmeBackend", "acme-plain": f"{PACKAGE}.backend:Plain"},
    "anyjob.job_types": {"acme.report": f"{PACKAGE}.kinds:ReportJob"},
    "anyjob.providers": {"acme": f"{PACKAGE}.backend:AcmeProvider"},
    "anyjob.plugins": {"acme": f"{PACKAGE}.hooks"},
    "anyjob.commands": {"acme": f"{PACKAGE}.commands:acme"},
}
REQUIRES = (
    "anyjob>=0.1,<2",
    "click (>=8.0,!=8.0.1)",
    "pytest>=1; extra == 'test'",
    "nobody-has-this; os_name == 'x'",
)

BACKEND = '''
from pathlib import Path
from anyjob import BaseBackend, BaseProvider, Capabilities, Options, Secret, TaskBackend

class Tuning(Options, frozen=True):
    """Tuning.

    Args:
        turns: how often.
    """
    turns: int = 1

class AcmeOptions(Options, frozen=True):
    """Options.

    Args:
        token: lets you in.
        region: where it is.
        max_tokens: how many.
        token_url: where to get one.
        directory: for files.
        tuning: of the engine.
    """
    token: Secret
    region: str | None = None
    max_tokens: int = 1
    token_url: str = ""
    directory: Path = Path("x")
    tuning: Tuning = Tuning()

class AcmeBackend(TaskBackend):
    """Runs reports."""
    Options = AcmeOptions
    accepts = frozenset({"acme.report", "command"})
    capabilities = Capabilities(logs=True)
    def launch(self, orders): ...
    def observe(self, tickets): ...
    def terminate(self, tickets): ...

class Plain(BaseBackend):
    """Runs what it is given."""
    def run(self, work): ...

class AcmeProvider(BaseProvider):
    """An account."""
    def __init__(self): ...
    def backends(self, name=None, filters=None, **kwargs): ...
'''
KINDS = '''
from anyjob import Command, File, Spec, TaskJob

class Report(Spec, frozen=True, tag="acme.report"):
    """A report.

    Args:
        title: what is above it.
        source: what it is about.
    """
    title: str
    source: File

class ReportJob(TaskJob):
    """Reports."""
    spec_type = Report
    lowers_to = ("command",)

    @classmethod
    def lower(cls, spec, to):
        return Command(["echo", spec.title])
'''
HOOKS = """
from anyjob import hookimpl

@hookimpl
def anyjob_finished(job, outcome): ...

@hookimpl
def anyjob_register(registry):
    from acme_of_tests.backend import Plain
    registry.register_backend("acme.device", Plain)
"""
COMMANDS = '''
import click

@click.command()
def acme():
    """Do it."""
'''
FILES = {"backend": BACKEND, "kinds": KINDS, "hooks": HOOKS, "commands": COMMANDS, "__init__": ""}


class Change(NamedTuple):
    """What makes the good plugin a wrong one.

    Args:
        file: where; ``entry_points`` and ``requires`` are those of the metadata.
        old: what to replace; empty: what is new goes to the end.
        new: what by.
    """

    file: str
    old: str
    new: str


def install_changed(site: Path, *changes: Change) -> None:
    """Install the plugin into a directory, with these changes."""
    files = dict(FILES, entry_points=str(ENTRY_POINTS), requires=str(REQUIRES))
    for file, old, new in changes:
        assert old in files[file], old
        files[file] = files[file].replace(old, new, 1) if old else f"{files[file]}\n{new}\n"
    groups, requires = eval(files.pop("entry_points")), eval(files.pop("requires"))
    modules = {f"{PACKAGE}/{name}.py": text for name, text in files.items()}
    typed = {} if any("py.typed" in new for _, _, new in changes) else {f"{PACKAGE}/py.typed": ""}
    install(site, NAME, groups=groups, modules={**modules, **typed}, requires=requires)


class Wrong(NamedTuple):
    """A wrong plugin, and what a check must find.

    Args:
        check: the check that finds it.
        location: the place that it names, in part.
        message: words that it says of it.
        changes: what is wrong.
    """

    check: str
    location: str
    message: str
    changes: Sequence[Change]


def _one(check: str, location: str, message: str, file: str, old: str, new: str) -> Wrong:
    return Wrong(check, location, message, [Change(file, old, new)])


WRONG = {
    # what the metadata tells
    "a-slash-in-a-name": _one(
        "name", "entry_points.txt", "'ac/me'", "entry_points", "'acme-plain'", "'ac/me'"
    ),
    "a-blank-in-a-name": _one(
        "name", "entry_points.txt", "'ac me'", "entry_points", "'acme-plain'", "'ac me'"
    ),
    "our-command": _one(
        "hidden",
        "entry_points.txt",
        "`anyjob run`",
        "entry_points",
        "commands': {'acme'",
        "commands': {'run'",
    ),
    "no-prefix": Wrong(
        "kind",
        "entry_points.txt",
        "'report' has no prefix",
        [
            Change("entry_points", "'acme.report'", "'report'"),
            Change("kinds", "acme.report", "report"),
            Change("backend", "acme.report", "report"),
        ],
    ),
    "no-api": _one(
        "api",
        "entry_points.txt",
        "v1 is assumed",
        "entry_points",
        "'anyjob.api': {'v1': 'acme_of_tests'}, ",
        "",
    ),
    "no-anyjob": _one("bounds", "METADATA", "does not require anyjob", "requires", "anyjob>=0.1,<2", "click"),
    "no-upper-bound": _one(
        "bounds", "METADATA", "anyjob>=0.1, without an upper bound", "requires", ">=0.1,<2", ">=0.1"
    ),
    "no-lower-bound": _one(
        "bounds", "METADATA", "anyjob<2, without a lower bound", "requires", ">=0.1,<2", "<2"
    ),
    "no-bounds": _one(
        "bounds", "METADATA", "anyjob, without a lower and an upper bound", "requires", ">=0.1,<2", ""
    ),
    "other-anyjob": _one(
        "dependency", "METADATA", "anyjob>=7,<8, and anyjob 0.", "requires", ">=0.1,<2", ">=7,<8"
    ),
    "missing-dependency": _one(
        "dependency",
        "METADATA",
        "nobody-has-this, which is not installed",
        "requires",
        "; os_name == 'x'",
        "",
    ),
    "old-dependency": _one(
        "dependency", "METADATA", "click<1, and click 8", "requires", "(>=8.0,!=8.0.1)", "<1"
    ),
    "internal": _one(
        "internal",
        "backend.py:2",
        "it imports anyjob.taskbackend, which is anyjob's own",
        "backend",
        "\nfrom pathlib import Path\n",
        "\nfrom anyjob.taskbackend import Observation; from pathlib import Path\n",
    ),
    "untyped": _one("untyped", "__init__.py", "acme_of_tests", "__init__", "", "# no py.typed"),
    # what the import does
    "raises": _one(
        "import",
        "acme_of_tests.backend:3",
        "RuntimeError: not today",
        "backend",
        "\nfrom pathlib import Path\n",
        "\n\nraise RuntimeError('not today')\n",
    ),
    "no-syntax": _one("import", "backend.py:", "SyntaxError", "backend", "", "def f(:"),
    "leaves": _one("import", "acme_of_tests.backend:", "sys.exit(3)", "backend", "", "raise SystemExit(3)"),
    "dies": _one("import", "acme_of_tests.backend", "exit code 7", "backend", "", "import os; os._exit(7)"),
    "crashes": _one(
        "import",
        "acme_of_tests.backend",
        "SIGSEGV ended the process",
        "backend",
        "",
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    ),
    "lacks": _one(
        "import",
        "acme_of_tests.backend:",
        "'nobody_has_this', which is not installed",
        "backend",
        "",
        "import nobody_has_this",
    ),
    "no-such-attribute": _one(
        "import", "acme_of_tests.backend", "AttributeError", "entry_points", ":Plain", ":Plane"
    ),
    "no-module": _one(
        "import",
        "acme_of_tests.back",
        "reinstall or uninstall acme-of-tests",
        "entry_points",
        ".backend:Plain",
        ".back:Plain",
    ),
    "no-value": _one(
        "import",
        "entry_points.txt",
        "is no 'module:attribute'",
        "entry_points",
        ".backend:Plain",
        ".backend:",
    ),
    "no-backend": _one(
        "import",
        "acme_of_tests.kinds",
        "not a subclass of anyjob.backend.BaseBackend",
        "entry_points",
        ".backend:Plain",
        ".kinds:ReportJob",
    ),
    "hangs": _one(
        "hangs",
        "acme_of_tests.backend",
        "within 1 s",
        "backend",
        "",
        "import threading; threading.Event().wait()",
    ),
    "prints": _one(
        "prints", "acme_of_tests.backend", "its import writes: hello", "backend", "", "print('hello')"
    ),
    "thread": _one(
        "threads",
        "acme_of_tests.backend",
        "started 2 threads",
        "backend",
        "",
        "import threading\nfor _ in range(2): threading.Thread(target=threading.Event().wait).start()",
    ),
    "slow": _one(
        "slow",
        "acme_of_tests.backend",
        "s of processor time",
        "backend",
        "",
        "import time\nwhile time.process_time() < 1.5: pass",
    ),
    "brings": _one(
        "brings", "acme_of_tests.backend", "it imports iniconfig", "backend", "", "import iniconfig"
    ),
    "heavy-hooks": _one(
        "heavy", "acme_of_tests.hooks", "imports iniconfig for its hooks", "hooks", "", "import iniconfig"
    ),
    "heavy-listing": _one(
        "heavy",
        "acme_of_tests.hooks",
        "imports iniconfig for its hooks",
        "hooks",
        "    from",
        "    import iniconfig\n    from",
    ),
    # hooks
    "unknown-hook": _one(
        "hook",
        "acme_of_tests.hooks:4",
        "did you mean 'anyjob_finished'",
        "hooks",
        "anyjob_finished",
        "anyjob_finnished",
    ),
    "unknown-argument": _one(
        "hook", "acme_of_tests.hooks:4", "asks for 'outcom'", "hooks", "outcome", "outcom"
    ),
    "coroutine": _one(
        "hook",
        "acme_of_tests.hooks:4",
        "must be a plain function",
        "hooks",
        "def anyjob_f",
        "async def anyjob_f",
    ),
    "no-hooks": _one("hook", "acme_of_tests", "implements no hook", "entry_points", ".hooks", ".kinds"),
    "class-of-hooks": _one(
        "hook", "acme_of_tests.kinds", "is a class", "entry_points", ".hooks", ".kinds:ReportJob"
    ),
    "unmarked": _one(
        "unmarked",
        "acme_of_tests.hooks:4",
        "anyjob_finished",
        "hooks",
        "@hookimpl\ndef anyjob_finished",
        "def anyjob_finished",
    ),
    "register-raises": _one(
        "register",
        "acme_of_tests.hooks:9",
        "ZeroDivisionError",
        "hooks",
        "from acme_of_tests.backend import Plain",
        "1 / 0",
    ),
    "registers-a-function": _one(
        "register", "acme_of_tests.hooks:10", "not a subclass", "hooks", "Plain)", "print)"
    ),
    "registers-what-cannot-be-made": _one(
        "abstract",
        "acme_of_tests.backend:",
        "'acme.device', registered by a hook: Plain cannot be made",
        "backend",
        "def run(",
        "def walk(",
    ),
    # classes
    "abstract": _one(
        "abstract", "acme_of_tests.backend:31", "it lacks observe()", "backend", "def observe", "def observes"
    ),
    "abstract-provider": _one(
        "abstract",
        "acme_of_tests.backend:",
        "it lacks backends()",
        "backend",
        "def backends",
        "def back_ends",
    ),
    "abstract-job": Wrong(
        "abstract",
        "acme_of_tests.kinds:",
        "it lacks cancel(), result(), status(), submit()",
        [
            Change("kinds", "", "from anyjob import BaseJob\nclass Job(BaseJob): pass"),
            Change("entry_points", "ReportJob", "Job"),
        ],
    ),
    "constructor": _one(
        "constructor",
        "acme_of_tests.backend:",
        "missing a required argument: 'url'",
        "backend",
        "def run(",
        "def __init__(self, configuration, provider, url): ...\n    def run(",
    ),
    "constructor-without-options": _one(
        "constructor",
        "acme_of_tests.backend:",
        "got an unexpected keyword argument 'options'",
        "backend",
        "def launch(",
        "def __init__(self, configuration, provider=None): ...\n    def launch(",
    ),
    "constructor-of-a-provider": _one(
        "constructor",
        "acme_of_tests.backend:",
        "missing a required argument: 'url'",
        "backend",
        "def __init__(self): ...",
        "def __init__(self, configuration, provider, url): ...",
    ),
    "constructor-of-nearly-a-configuration": _one(
        "constructor",
        "acme_of_tests.backend:",
        "takes 'config' first: only one whose first parameter is 'configuration'",
        "backend",
        "def __init__(self): ...",
        "def __init__(self, config, provider=None): ...",
    ),
    "private": _one(
        "private",
        "acme_of_tests.backend:",
        "AcmeBackend._order replaces what TaskBackend itself uses",
        "backend",
        "def launch(",
        "def _order(self): ...\n    def launch(",
    ),
    "from-options": _one(
        "constructor",
        "acme_of_tests.backend:",
        "multiple values for argument 'provider'",
        "backend",
        "def run(",
        "@classmethod\n    def from_options(cls, name, provider=None): ...\n    def run(",
    ),
    "from-options-of-an-instance": _one(
        "constructor",
        "acme_of_tests.backend:",
        "no classmethod",
        "backend",
        "def run(",
        "def from_options(self, name, options, provider=None): ...\n    def run(",
    ),
    "accepts-text": _one(
        "declaration",
        "acme_of_tests.backend:31",
        "AcmeBackend.accepts is 'command'",
        "backend",
        'frozenset({"acme.report", "command"})',
        '"command"',
    ),
    "accepts-nothing": _one(
        "declaration",
        "acme_of_tests.backend:31",
        "AcmeBackend.accepts is frozenset()",
        "backend",
        'frozenset({"acme.report", "command"})',
        "frozenset()",
    ),
    "accepts-what-nobody-brings": _one(
        "kind",
        "acme_of_tests.backend:31",
        "names 'acme.nothing'",
        "backend",
        '"acme.report"',
        '"acme.nothing"',
    ),
    "capabilities": _one(
        "declaration",
        "acme_of_tests.backend:31",
        "AcmeBackend.capabilities is {'logs'}",
        "backend",
        "Capabilities(logs=True)",
        '{"logs"}',
    ),
    "backend-options": _one(
        "declaration",
        "acme_of_tests.backend:",
        "AcmeProvider.BackendOptions is {'turns': 1}, which is no msgspec.Struct",
        "backend",
        "    def __init__(self): ...\n    def backends(",
        "    BackendOptions = {'turns': 1}\n    def __init__(self): ...\n    def backends(",
    ),
    "fields-that-raise": _one(
        "declaration",
        "acme_of_tests.backend:",
        "cannot be looked at: ZeroDivisionError",
        "backend",
        "class Plain(BaseBackend):",
        "class Odd(type(BaseBackend)):\n    Options = property(lambda cls: 1 / 0)\n"
        "class Plain(BaseBackend, metaclass=Odd):",
    ),
    "no-spec-type": _one(
        "declaration",
        "acme_of_tests.kinds:",
        "ReportJob.spec_type is",
        "kinds",
        "spec_type = Report",
        "spec_type = int",
    ),
    "tag": _one(
        "tag", "acme_of_tests.kinds:", "is of the kind 'acme.letter'", "kinds", "acme.report", "acme.letter"
    ),
    "no-tag": _one("tag", "acme_of_tests.kinds:", "Report has no kind", "kinds", ', tag="acme.report"', ""),
    "lowers-to-text": _one(
        "declaration",
        "acme_of_tests.kinds:",
        "ReportJob.lowers_to is 'command'",
        "kinds",
        '("command",)',
        '"command"',
    ),
    "lowers-to-what-nobody-brings": _one(
        "kind", "acme_of_tests.kinds:", "names 'acme.nothing'", "kinds", '("command",)', '("acme.nothing",)'
    ),
    "no-lower": _one(
        "abstract", "acme_of_tests.kinds:", "has no lower()", "kinds", "def lower(", "def flower("
    ),
    "flag": _one(
        "flag",
        "acme_of_tests.kinds:",
        "'name' of Report is given as --spec-name",
        "kinds",
        "    title: str\n",
        "    title: str\n    name: str\n",
    ),
    # options and fields
    "no-options": _one(
        "declaration",
        "acme_of_tests.backend:31",
        "Options is <class 'dict'>",
        "backend",
        "Options = AcmeOptions",
        "Options = dict",
    ),
    "undocumented-option": _one(
        "undocumented",
        "acme_of_tests.backend:13",
        "'region' of AcmeOptions",
        "backend",
        "        region: where it is.\n",
        "",
    ),
    "undocumented-option-within": _one(
        "undocumented",
        "acme_of_tests.backend:5",
        "'turns' of Tuning",
        "backend",
        "        turns: how often.\n",
        "",
    ),
    "undocumented-field": _one(
        "undocumented",
        "acme_of_tests.kinds:",
        "'title' of Report",
        "kinds",
        "        title: what is above it.\n",
        "",
    ),
    "undocumented-command": _one(
        "undocumented", "acme_of_tests.commands:4", "`anyjob acme --help`", "commands", '"""Do it."""', "..."
    ),
    "option-of-a-class": _one(
        "option",
        "acme_of_tests.backend:13",
        "Event is made from no plain data",
        "backend",
        "max_tokens: int = 1",
        "max_tokens: __import__('threading').Event | None = None",
    ),
    "option-of-a-list-of-a-class": _one(
        "option",
        "acme_of_tests.backend:13",
        "Event is made from no plain data",
        "backend",
        "max_tokens: int = 1",
        "max_tokens: list[__import__('threading').Event] = []",
    ),
    "option-of-two-classes": _one(
        "option",
        "acme_of_tests.backend:13",
        "TypeError",
        "backend",
        "directory: Path",
        "directory: Secret | Path",
    ),
    "option-of-a-type-that-is-not-there": _one(
        "option",
        "acme_of_tests.backend:13",
        "NameError",
        "backend",
        "max_tokens: int",
        "max_tokens: 'Nowhere'",
    ),
    "option-called-type": _one(
        "option",
        "acme_of_tests.backend:13",
        "'type' can never be given",
        "backend",
        "    region: str",
        "    type: str = ''\n    region: str",
    ),
    "secret": _one(
        "secret",
        "acme_of_tests.backend:13",
        "'token' looks like a secret",
        "backend",
        "token: Secret",
        "token: str",
    ),
    "secret-key": _one(
        "secret",
        "acme_of_tests.backend:13",
        "'api_key' looks like a secret",
        "backend",
        "    region: str",
        "    api_key: str | None = None\n    region: str",
    ),
}
