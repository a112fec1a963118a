"""What it means that ``ssh`` has ended: by its own words, and by those of the login shell there."""

from __future__ import annotations

import re
from typing import NamedTuple

from anyjob import BackendAuthError, BackendError, BackendUnavailableError
from anyjob.sdk import Ending, printable
from anyjob_ssh.options import SshOptions

SHOWN = 600
"""Characters of what was printed that an error holds."""


class Meaning(NamedTuple):
    """What some words mean.

    Args:
        words: what is looked for, a regular expression.
        error: what it is for anyjob: refused (jobs stay as they are, waits raise), away (it is tried again),
            or something that has to be mended.
        hint: the way out.
    """

    words: str
    error: type[BackendError]
    hint: str


NOT_INSTALLED = (
    "anyjob was not found there: `anyjob remote install {name}` installs it; or name the interpreter that "
    "has it (python = …)"
)
MEANINGS = (
    Meaning(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        BackendAuthError,
        "the key of that machine is not the one that is known: ask its administrators whether it was "
        "changed, then `ssh-keygen -R {host}`",
    ),
    Meaning(
        r"Host key verification failed",
        BackendAuthError,
        "the key of that machine is not known: `{ssh} {host}` once, compare the fingerprint, and accept it",
    ),
    Meaning(
        r"Permission denied|Too many authentication failures|Authentication failed",
        BackendAuthError,
        "it lets nobody in with what there is: unlock the key (`ssh-add`); where it asks for a password or a "
        "second factor, log in by hand once: `anyjob remote login {name}`",
    ),
    Meaning(
        r"account is (currently )?not available|This account",
        BackendAuthError,
        "the account has no login shell there: ask its administrators",
    ),
    Meaning(
        r"ControlPath too long|too long for Unix domain socket|unix_listener: cannot bind",
        BackendError,
        "the ControlPath of ~/.ssh/config cannot be used: a shorter one in a directory that is there, such "
        "as `ControlPath ~/.ssh/%C`",
    ),
    Meaning(
        r"Bad configuration option|bad configuration opt|Can't open user config|Bad owner or permissions",
        BackendError,
        "ssh cannot read its configuration: `{ssh} -G {host}` says where",
    ),
    Meaning(r"Could not resolve hostname", BackendUnavailableError, "is the name right, and the network up?"),
    Meaning(
        r"Connection refused|No route to host|Network is unreachable|timed out|Timeout, server|Broken pipe"
        r"|Connection (closed|reset)|kex_exchange_identification|stdio forwarding failed|lost connection"
        r"|Session open refused|Connection to .* closed",
        BackendUnavailableError,
        "it cannot be reached now",
    ),
    Meaning(
        r"No such command|no command is called", BackendError, "anyjob there is too old: install it anew"
    ),
    Meaning(r"No module named .?anyjob", BackendError, NOT_INSTALLED),
    Meaning(r"restricted", BackendError, "the login shell there runs no programs (a restricted shell)"),
    Meaning(r"not found|Unknown command|No such file", BackendError, NOT_INSTALLED),
    Meaning(
        r"SyntaxError|ImportError|requires a different Python", BackendError, "the Python there is too old"
    ),
)
"""The first of these whose words are there counts."""
SILENT = (
    "nothing came within {seconds:.0f} s: a login shell that asks something (`read` in .bashrc) or starts "
    "another one (`exec fish`) eats what is said to it; keep that to terminals: [ -t 0 ] && …"
)
OTHER_PROGRAM = (
    "something else than anyjob ran there (a ForceCommand in its sshd, or a command= in authorized_keys?)"
)


def explain(options: SshOptions, ending: Ending, name: str = "") -> BackendError:
    """Return what it means that ssh has ended before the far end spoke.

    Args:
        options: those of the backend; the way out has the same file of settings as ssh had.
        ending: what came of ssh.
        name: the backend's, which `anyjob remote` finds these options by; the host's without one.
    """
    host = options.host
    ssh = f"{options.ssh} -F {options.config}" if options.config else options.ssh
    said = "\n".join(filter(None, (ending.stderr.strip(), ending.noise.strip())))
    meaning = next((each for each in MEANINGS if re.search(each.words, said)), None)
    shown = f": {_brief(said)}" if said else ""
    if meaning is not None:
        return meaning.error(
            f"ssh {host}{shown}\n{meaning.hint.format(host=host, ssh=ssh, name=name or host)}"
        )
    if ending.code is None:
        return BackendUnavailableError(f"ssh {host}: {SILENT.format(seconds=ending.after)}{shown}")
    if ending.code == 0:
        return BackendError(f"ssh {host}: {OTHER_PROGRAM}{shown}")
    if ending.code in (255, -9, -15):
        return BackendUnavailableError(f"ssh {host} ended with {ending.code}{shown}")
    return BackendError(f"ssh {host}: what was run there ended with {ending.code}{shown}")


def _brief(said: str) -> str:
    """Return the end of what was printed, without what would do something to a terminal."""
    clean = printable(said.replace("\r\n", "\n"), keep="\n")
    return clean if len(clean) <= SHOWN else f"…{clean[-SHOWN:]}"
