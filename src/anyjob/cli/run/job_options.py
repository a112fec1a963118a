"""The options of `anyjob run` for any work: what it needs, how it is found, what it starts after, retries."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from anyjob.cli.completion.completers import job_ids, job_tags

ONCE = ("once", "cache")
"""What says that work is to be done once: a keyword of ``run`` is called as the option is."""


def job_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that every kind of work has."""
    for option in reversed((_resource_options, _retry_options, _after_options, _label_options)):
        function = option(function)
    return function


def _resource_options(function: Callable[..., None]) -> Callable[..., None]:
    resources = {
        "--cpus": ("N", "Cores."),
        "--memory": ("SIZE", "Memory: 8GiB."),
        "--gpus": ("N", "Accelerators; 0.5 for half of one."),
        "--gpu-memory": ("SIZE", "Memory of a shared accelerator."),
        "--nodes": ("N", "Machines."),
        "--tasks": ("N", "Processes that end together; each has its ANYJOB_RANK, and that many cpus."),
        "--walltime": ("TIME", "How long it may run: 90s, 2h, 1:30:00."),
        "--name": ("NAME", "What to call it."),
        "--limit": ("N", "How many jobs of its name may run at a time, if the backend can limit that."),
        "--priority": ("N", "The higher, the sooner it starts, if the backend knows priorities."),
    }
    for flag, (metavar, text) in reversed(resources.items()):
        function = click.option(flag, metavar=metavar, help=text)(function)
    return function


def _retry_options(function: Callable[..., None]) -> Callable[..., None]:
    flags = {
        "--retries": ("N", "How often to run it again if it fails."),
        "--retry-on": ("WHAT", "Only after these: memory,node-failure, exit codes, types of exceptions."),
        "--retry-wait": ("TIME", "How long to wait before running it again: 10s."),
        "--retry-backoff": ("X", "Factor by which that wait grows each time: 2."),
        "--retry-jitter": ("X", "Random part that is added to that wait, at most: 0.2."),
        "--retry-grow": ("NAME=X", "Factor by which a resource grows each time: memory=2. Repeatable."),
        "--retry-most": ("NAME=SIZE", "How far that grows: memory=64GiB. Repeatable."),
        "--signal-before": ("TIME", "Signal it this long before its walltime: 2m."),
        "--signal": ("TERM|USR1", "The signal; by default TERM."),
        "--on-walltime": ("requeue", "Start another attempt when it reaches its walltime."),
    }
    again = "It may run a second time if it was lost half way."
    function = click.option("--restartable", is_flag=True, help=again)(function)
    for flag, (metavar, text) in reversed(flags.items()):
        function = click.option(
            flag, metavar=metavar, help=text, multiple=flag in ("--retry-on", "--retry-grow", "--retry-most")
        )(function)
    return function


def _after_options(function: Callable[..., None]) -> Callable[..., None]:
    flags = {
        "--after": "Start once these have succeeded: an id, or a name for all of that name. Repeatable.",
        "--after-end": "Start once these have ended, in whatever way.",
        "--after-failure": "Start once these have failed.",
    }
    for flag, text in reversed(flags.items()):
        function = click.option(flag, metavar="JOB", multiple=True, help=text, shell_complete=job_ids)(
            function
        )
    return function


def _label_options(function: Callable[..., None]) -> Callable[..., None]:
    flags = {
        "--tag": ("tags", "KEY=VALUE", "A tag to find it by. Repeatable.", job_tags),
        "--need": (
            "needs",
            "NAME=N",
            "What it needs of a resource that the backend counts: license=1. Repeatable.",
            None,
        ),
        "--option": (
            "options",
            "TYPE.KEY=VALUE",
            "An option for one type of backend: slurm.partition=gpu; or an entry of a table: "
            "psij.attributes.slurm.comment=x. Repeatable.",
            None,
        ),
    }
    for flag, (name, metavar, text, complete) in reversed(flags.items()):
        function = click.option(
            flag, name, metavar=metavar, multiple=True, help=text, shell_complete=complete
        )(function)
    return function


def read_keywords(options: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of ``run`` that the options make."""
    from anyjob.cli.terminal.values import parse_pairs, parse_value

    names = (
        *("cpus", "memory", "gpus", "gpu_memory", "nodes", "tasks"),
        *("walltime", "on_walltime", "signal_before", "signal", "name", "priority", "limit", *ONCE),
    )
    resources = {name: options[name] for name in names if options[name] is not None}
    if options["restartable"]:
        resources["restartable"] = True
    if options["tags"]:
        resources["tags"] = parse_pairs(options["tags"], "--tag")
    if options["needs"]:
        resources["needs"] = parse_pairs(options["needs"], "--need")
    for key, value in parse_pairs(options["options"], "--option").items():
        engine, _, path = key.partition(".")
        option, dot, entry = path.partition(".")
        if not engine or not option or (dot and not entry):
            raise click.UsageError(f"--option takes TYPE.KEY=VALUE, not {key}={value}")
        of_engine = resources.setdefault("options", {}).setdefault(engine, {})
        if not dot:
            of_engine[option] = parse_value(value)
            continue
        table = of_engine.setdefault(option, {})
        if not isinstance(table, dict):
            raise click.UsageError(
                f"--option {engine}.{option} is given as a whole, and by its entry {entry}"
            )
        table[entry] = _entry(value)
    retries = _retries(options)
    if retries is not None:
        resources["retries"] = retries
    after = {key: options[key] for key in ("after", "after_end", "after_failure") if options[key]}
    return {**resources, **after}


def _entry(text: str) -> Any:
    """Return a value of a table: a number only where it is written as that number is, so not ``1.10``."""
    import json

    from anyjob.cli.terminal.values import parse_value

    value = parse_value(text)
    return value if isinstance(value, (dict, list)) or json.dumps(value) == text else text


def _retries(options: dict[str, Any]) -> Any:
    """Return the policy that the options make; None where there is none."""
    more = {
        "on": [each.strip() for text in options["retry_on"] for each in text.split(",") if each.strip()],
        **{name: options[f"retry_{name}"] for name in ("wait", "backoff", "jitter", "grow", "most")},
    }
    given = {name: value for name, value in more.items() if value}
    if options["retries"] is None:
        if given:
            raise click.UsageError(f"--retry-{min(given)} says how: give --retries N, too")
        return None
    from anyjob.cli.terminal.values import parse_pairs, parse_value
    from anyjob.errors import SpecError
    from anyjob.retry import as_retry

    for name in {"grow", "most"} & set(given):
        given[name] = {n: parse_value(x) for n, x in parse_pairs(given[name], f"--retry-{name}").items()}
    for name in {"backoff", "jitter"} & set(given):
        given[name] = parse_value(given[name])
    if not options["retries"].isdigit():
        raise click.UsageError(f"--retries takes a whole number, 0 or more, not {options['retries']!r}")
    made = {"times": int(options["retries"]), **given}
    try:
        as_retry(made)
    except SpecError as error:  # by the name of the option that it is about
        raise click.UsageError(
            re.sub(r"^(on|wait|backoff|jitter|grow|most)\b", r"--retry-\1", str(error))
        ) from None
    return made
