"""The command line of ``sbatch``, the script and the variables. Pure: testable without Slurm."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from math import ceil
from pathlib import Path

from anyjob import Resources
from anyjob_slurm.options import SlurmJobOptions

SLURM_PREFIXES = (
    "SLURM_",
    "SBATCH_",
    "SRUN_",
    "SALLOC_",
    "SQUEUE_",
    "SACCT_",
    "SCANCEL_",
    "SINFO_",
    "SCONTROL_",
)
"""Variables with these prefixes are of an enclosing job, or change what programs print."""
CLUSTER_VARIABLES = ("SLURM_CONF", "SLURM_JWT")
"""Those of them that say which cluster is meant."""
PASSED_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LD_LIBRARY_PATH",
    "KRB5CCNAME",
    *CLUSTER_VARIABLES,
)
"""Variables that sbatch itself needs, and so hands on to the job."""
NAME_LENGTH = 100
"""Characters of the name that people gave, which stand before our id in Slurm's name of a job."""
COMMENT_LENGTH = 1000
"""Characters of tags that go into Slurm's comment."""

# Fixed, but for the lines of `setup`: what is the user's is in files, which ANYJOB_SUBMISSION leads to.
# What Slurm or the site has set for this job (devices, say) stays.
_SCRIPT = """\
#!/bin/bash
anyjob_environment() {
  local anyjob_entry anyjob_name
  while IFS= read -r -d '' anyjob_entry; do
    anyjob_name=${anyjob_entry%%=*}
    if [[ $anyjob_name == BASH_FUNC_*%% ]]; then
      anyjob_name=${anyjob_name#BASH_FUNC_}
      anyjob_name=${anyjob_name%\\%\\%}
      eval "$anyjob_name ${anyjob_entry#*=}" && export -f "$anyjob_name"
    elif [[ $anyjob_name =~ ^[A-Za-z_][A-Za-z0-9_]*$ && ! -v $anyjob_name ]]; then
      export "$anyjob_entry"
    fi
  done < "$ANYJOB_SUBMISSION/environment"
} 2> /dev/null
for anyjob_try in {1..60}; do  # a network file system may show them late
  [[ -e $ANYJOB_SUBMISSION/environment && -e $ANYJOB_LAUNCHER ]] && break
  ls "$ANYJOB_SUBMISSION" "${ANYJOB_LAUNCHER%/*}" > /dev/null 2>&1
  sleep 0.5
done
anyjob_environment
unset -f anyjob_environment
unset anyjob_try
"""
_EXEC = 'exec "$ANYJOB_PYTHON" $ANYJOB_FLAGS "$ANYJOB_LAUNCHER"\n'


def script(setup: tuple[str, ...] = ()) -> str:
    """Return the script of a submission: it sets the caller's variables, and runs the launcher."""
    return "".join([_SCRIPT, *(f"{line}\n" for line in setup), _EXEC])


def arguments(
    options: SlurmJobOptions, resources: Resources, *, name: str, log: Path, tasks: int | None = None
) -> list[str]:
    """Return the arguments of ``sbatch``.

    Args:
        options: those that hold for these jobs.
        resources: what each of them needs.
        name: what Slurm is to call them.
        log: where what is said before the work starts, and by Slurm, is written; ``%a`` in its name is the
            number of the task, all else is itself.
        tasks: how many tasks an array has; None: the job is no array.
    """
    return ["--parsable", *_directives(options, resources, name, log, tasks), *options.extra]


def _directives(
    options: SlurmJobOptions, resources: Resources, name: str, log: Path, tasks: int | None
) -> Iterator[str]:
    yield f"--job-name={name}"
    if resources.tags:
        yield f"--comment={comment(resources.tags)}"
    yield f"--output={escaped_directory(log.parent)}/{log.name}"
    yield "--open-mode=append"
    yield "--requeue" if resources.restartable else "--no-requeue"
    if tasks is not None:
        yield f"--array=0-{tasks - 1}"
    for directive, value in (
        ("partition", options.partition),
        ("account", options.account),
        ("qos", options.qos),
        ("constraint", options.constraint),
        ("reservation", options.reservation),
        ("gres", options.gres),
        ("ntasks", options.tasks),
        ("mail-type", ",".join(options.mail_type) or None),
        ("mail-user", options.mail_user),
        ("nodes", resources.nodes or options.nodes),
        ("cpus-per-task", resources.cpus),
        ("gpus", resources.gpus or None),
    ):
        if value is not None:
            yield f"--{directive}={value}"
    if options.exclusive:
        yield "--exclusive"
    if resources.memory is not None:
        yield f"--mem={ceil(resources.memory / 2**20)}M"
    if resources.walltime is not None:
        yield f"--time={time_limit(resources.walltime)}"


def time_limit(seconds: float) -> str:
    """Write a duration as ``days-hours:minutes:seconds``, rounded up to Slurm's whole minutes."""
    minutes = max(1, ceil(seconds / 60))
    return f"{minutes // 1440}-{minutes // 60 % 24:02}:{minutes % 60:02}:00"


def job_name(called: str, job_id: str) -> str:
    """Return the name of a job in Slurm: what people call it, and at the end our id, to find it by."""
    plain = re.sub(r"[^\w.+=@:-]+", "_", called, flags=re.ASCII)[:NAME_LENGTH]
    return f"{plain}.anyjob-{job_id}" if plain else f"anyjob-{job_id}"


def comment(tags: Mapping[str, str]) -> str:
    """Write tags as ``study=a,seed=1``, in one line."""
    text = ",".join(f"{key}={value}" for key, value in tags.items())
    printable = "".join(character if character.isprintable() else "_" for character in text)
    return printable.encode("utf-8", "replace").decode()[:COMMENT_LENGTH]


def escaped_directory(path: Path) -> str:
    """Write a directory so that sbatch takes no part of it for a pattern such as ``%j``."""
    return str(path).replace("%", "%%")


def program_environment(environ: Mapping[str, str], conf: Path | None = None) -> dict[str, str]:
    """Return the variables that Slurm's programs get: none of an enclosing job's, none that change what
    they print.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name in CLUSTER_VARIABLES or not name.startswith(SLURM_PREFIXES)
    }
    if conf is not None:
        kept["SLURM_CONF"] = str(conf)
    return {**kept, "SLURM_BITSTR_LEN": "0", "SLURM_TIME_FORMAT": "standard"}


def sbatch_environment(environ: Mapping[str, str], conf: Path | None = None) -> dict[str, str]:
    """Return the variables that sbatch gets, and hands on: as few as may be."""
    kept = {name: environ[name] for name in PASSED_VARIABLES if name in environ}
    if conf is not None:
        kept["SLURM_CONF"] = str(conf)
    return kept


def job_environment(environ: Mapping[bytes, bytes], export: tuple[str, ...] | None) -> bytes:
    """Write the caller's variables for the job, each ended by a NUL.

    Those of an enclosing job of Slurm's are left out; ``export`` selects among the others.
    """
    chosen = []
    for name, value in environ.items():
        text = name.decode("utf-8", "surrogateescape")
        if text.startswith(SLURM_PREFIXES) and text not in CLUSTER_VARIABLES:
            continue
        if export is None or any(fnmatchcase(text, pattern) for pattern in export):
            chosen.append(name + b"=" + value + b"\0")
    return b"".join(chosen)
