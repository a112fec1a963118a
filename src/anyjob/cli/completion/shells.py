"""What a bash is told of completions: words that hold ``=`` or ``:`` too, which bash takes for several."""

from __future__ import annotations

import os
import re
import shlex

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    ShellComplete,
    add_completion_class,
    split_arg_string,
)

_SCRIPT = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(env %(complete_var)s=bash_complete COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" \\
        COMP_WORDBREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_PLAIN = re.compile(r"[^\w@%+=:,./-]")


class Bash(BashComplete):
    """Reads the line itself, up to the cursor, and completes the part of a word that bash asks for."""

    source_template = _SCRIPT

    def source(self) -> str:
        """Return the script; that of click starts a bash, to see its version."""
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one at the cursor, and that, without its quotes."""
        line = os.fsencode(os.environ["COMP_LINE"])[: int(os.environ["COMP_POINT"])]
        text = os.fsdecode(line)
        words = split_arg_string(text)
        while words and "=" in words[0]:  # variables for this one command
            del words[0]
        try:
            shlex.split(text)
            self._in_quotes = False
        except ValueError:
            self._in_quotes = True
        typing = bool(words) and (self._in_quotes or not text[-1].isspace())
        word = words.pop() if typing else ""
        value = word.partition("=")[2] if word.startswith("--") and "=" in word else word
        breaks = os.environ.get("COMP_WORDBREAKS", "=:")
        self._kept = 0 if self._in_quotes else max((value.rfind(each) + 1 for each in breaks), default=0)
        return words[1:], word

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return a line for the script: of a word that bash has split, what follows the last split."""
        value = item.value
        if item.type == "plain":
            value = value[self._kept :]
            if not self._in_quotes:
                value = _PLAIN.sub(r"\\\g<0>", value)
        return f"{item.type},{value}"


def register() -> None:
    """Have click use what we say to a bash."""
    add_completion_class(Bash)
