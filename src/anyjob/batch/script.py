"""The script that is submitted, the variables of its jobs, and their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from os.path import commonprefix

from msgspec.structs import replace

from anyjob.batch.dialect import Dialect
from anyjob.batch.programs import CALLERS, is_foreign
from anyjob.resources import Resources

NAME_LENGTH = 100
"""Characters of the name that people gave, which stand before our id in the name of a job."""

_NAME = re.compile(r"anyjob-([0-9a-f]{20})$")
_BEFORE_NUMBER = re.compile(r"[\W\d_]*$")
_PLAIN = re.compile(rb"[A-Za-z0-9_./+@%=-]+")

# A scheduler may have the machine's sh run it: where that is no bash, jobs would run without their variables.
# What is the user's is in files, which ANYJOB_SUBMISSION leads to. What is written into it is of ours: where
# they are, and the words of the dialect.
_SCRIPT = """\
#!/bin/bash
if [ -z "$BASH_VERSION" ]; then
  [ -r "$0" ] && exec bash "$0"
  echo "anyjob: this is to be run by bash, and not by $0" >&2
  exit 126
fi
export ANYJOB_SUBMISSION={submission} ANYJOB_LAUNCHER={launcher} ANYJOB_PYTHON={python}
export ANYJOB_JOB="{job}" ANYJOB_TASK="{task}" ANYJOB_RESTARTS="{restarts}"
anyjob_number=$ANYJOB_TASK
[[ $anyjob_number == *[^0-9]* || -z $anyjob_number || $anyjob_number -lt {first} ]] && anyjob_number={first}
exec < /dev/null >> "$ANYJOB_SUBMISSION/log-$((anyjob_number - {first}))" 2>&1
{trap}anyjob_environment() {{
  local anyjob_entry anyjob_name anyjob_had
  anyjob_had=$'\\n'$(compgen -e)$'\\n'
  while IFS= read -r -d '' anyjob_entry; do
    anyjob_name=${{anyjob_entry%%=*}}
    if [[ $anyjob_name == BASH_FUNC_*%% ]]; then
      anyjob_name=${{anyjob_name#BASH_FUNC_}}
      anyjob_name=${{anyjob_name%\\%\\%}}
      eval "$anyjob_name ${{anyjob_entry#*=}}" && export -f "$anyjob_name"
      continue
    fi
    [[ $anyjob_name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
    case $anyjob_name in
      {callers}) ;;
      {owned}) [[ $anyjob_had == *$'\\n'"$anyjob_name"$'\\n'* ]] && continue ;;
    esac
    export "$anyjob_entry"
  done < "$ANYJOB_SUBMISSION/environment"
}} 2> /dev/null
for anyjob_try in {{1..60}}; do  # a network file system may show them late
  [[ -e $ANYJOB_SUBMISSION/environment && -e $ANYJOB_LAUNCHER ]] && break
  ls "$ANYJOB_SUBMISSION" "${{ANYJOB_LAUNCHER%/*}}" > /dev/null 2>&1
  sleep 0.5
done
anyjob_environment
unset -f anyjob_environment
unset anyjob_try anyjob_number
"""
_TRAP = "trap 'case $? in {codes}) exit 1;; esac' EXIT\n"


def script(
    dialect: Dialect, submission: bytes, launcher: bytes, python: str, flags: str, setup: Sequence[str] = ()
) -> str:
    """Return the script of a submission: it sets the caller's variables, and runs the launcher.

    Args:
        dialect: which variables tell it which job it is.
        submission: the directory of the submission.
        launcher: the program that it runs in the end.
        python: by which Python.
        flags: for that.
        setup: lines of the user's to be run before.
    """
    codes = "|".join(str(code) for code in dialect.reserved_exit_codes)
    head = _SCRIPT.format(
        submission=quoted(submission),
        launcher=quoted(launcher),
        python=quoted(python.encode("utf-8", "surrogateescape")),
        job=_first_set(dialect.job_variables),
        task=_first_set((dialect.task_variable,) if dialect.task_variable else ()),
        restarts=_first_set((dialect.restarts_variable,) if dialect.restarts_variable else ()),
        first=dialect.first_task,
        trap=_TRAP.format(codes=codes) if codes else "",
        callers="''" if dialect.passes_environment else "|".join(CALLERS),
        owned="|".join(dialect.job_owns) or "''",
    )
    last = f'exec "$ANYJOB_PYTHON" {flags} "$ANYJOB_LAUNCHER"\n'
    return "".join([head, *(f"{line}\n" for line in setup), last])


def quoted(data: bytes) -> str:
    """Write bytes as a word of bash, in ASCII of one line, whatever they are."""
    if _PLAIN.fullmatch(data):
        return data.decode("ascii")
    return (
        "$'"
        + "".join(chr(each) if _PLAIN.fullmatch(bytes([each])) else f"\\{each:03o}" for each in data)
        + "'"
    )


def _first_set(names: Sequence[str]) -> str:
    text = ""
    for name in reversed(names):
        text = f"${{{name}:-{text}}}"
    return text


def job_name(called: str, job_id: str) -> str:
    """Return what a scheduler is to call a job: what people call it, and at the end our id, to find it by.

    It is of letters, digits, dots, dashes and underscores, and begins with a letter, as all of them take it.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", called)[:NAME_LENGTH]
    if plain and not plain[0].isalpha():
        plain = f"j{plain}"
    return f"{plain}.anyjob-{job_id}" if plain else f"anyjob-{job_id}"


def in_common(resources: Sequence[Resources]) -> Resources:
    """Return what an array is told of jobs that differ in their names and tags alone.

    It is called by what all their names begin with, without the number that comes next: ``fit`` of ``fit-1``
    and ``fit-12``; and has the tags that all of them have.
    """
    first = resources[0]
    if all(each is first for each in resources):
        return first
    names = {each.name for each in resources}
    name = first.name
    if len(names) > 1:  # they are no paths
        name = _BEFORE_NUMBER.sub("", commonprefix(list(names)))  # noqa: RUF071
    shared = set.intersection(*(set(each.tags.items()) for each in resources))
    tags = {key: value for key, value in first.tags.items() if (key, value) in shared}
    return replace(first, name=name, tags=tags)


def job_id_in_name(name: str) -> str | None:
    """Return the id of ours at the end of a job's name; None where there is none."""
    match = _NAME.search(name)
    return match[1] if match else None


def job_environment(
    dialect: Dialect, environ: Mapping[bytes, bytes], export: tuple[str, ...] | None
) -> bytes:
    """Write the caller's variables for the job, each ended by a NUL.

    Those of an enclosing job are left out; ``export`` selects among the others.
    """
    chosen = []
    for name, value in environ.items():
        text = name.decode("utf-8", "surrogateescape")
        if is_foreign(dialect, text):
            continue
        if export is None or text in CALLERS or any(fnmatchcase(text, pattern) for pattern in export):
            chosen.append(name + b"=" + value + b"\0")
    return b"".join(chosen)
