"""``anyjob show``: all that is known of one job."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from anyjob.cli.completion.completers import job_ids
from anyjob.cli.context import open_session
from anyjob.cli.jobs.columns import pairs
from anyjob.cli.jobs.job_ids import full_id
from anyjob.cli.jobs.operations import extend_import_path
from anyjob.cli.terminal.output import write_json, write_line
from anyjob.ledger.dependencies import CONDITIONS
from anyjob.ledger.rows import ATTACHED, GPUS, Row
from anyjob.outcome import USAGE
from anyjob.resources import make_resources
from anyjob.runtime.services import AMENDED
from anyjob.session.backends.plain_job import KIND as PLAIN
from anyjob.session.facade import Session
from anyjob.specs import Call, Command, File, Spec
from anyjob.spool import progress_report
from anyjob.status import JOB_FINAL_STATES, JobStatus
from anyjob.text.amounts import money, size, span
from anyjob.text.units import format_duration, format_memory
from anyjob.views.details.description import describe
from anyjob.views.details.refresh import refresh

SHORT = 0.5
"""Seconds that a job has run for below which its cpus are not told: starting it may have taken longer."""
LONGEST = 300
"""Characters of a value that are shown."""
MOST_SHOWN = 10
"""Jobs, at most, that are named of those that one starts after; ``--json`` has all."""
END_OF_TRACEBACK = 12
"""Lines of a traceback that are shown; ``--json`` has all."""


@click.command(
    epilog="""\b
Examples:
  anyjob show 3f2a91c
  anyjob show 3f2a91c --json"""
)
@click.argument("job_id", metavar="ID|NAME", shell_complete=job_ids)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def show(job_id: str, as_json: bool) -> None:
    """Show everything that is known of a job: its work, where it runs, and what came of it."""
    with open_session() as session:
        ledger = session.ledger
        row = ledger.rows([full_id(ledger, job_id)]).popitem()[1]
        (row,) = refresh(session, ledger, [row])
        found = described(session, row)
    if as_json:
        write_json(found)
        return
    lines = list(labelled_lines(found))
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        first, *rest = text.splitlines() or [""]
        write_line(f"{name:<{width}}  {first}")
        for line in rest:
            write_line(f"{'':<{width}}  {line}")


def described(session: Session, row: Row) -> dict[str, Any]:
    """Return all that is known of a job, with what it was handed."""
    return {**describe(session, row), "spec": summary(session, row)}


def summary(session: Session, row: Row) -> dict[str, Any]:
    """Return what a job was handed, shortened; of its variables the names only, since they may be secret."""
    if row.kind == PLAIN:
        return {"kind": row.kind, "unreadable": ""}
    if row.kind == ATTACHED:
        return {"kind": row.kind}
    extend_import_path(session, row)
    try:
        spec = session.get_job(row.job_id).spec()
    except Exception as error:  # what it needs may not be importable here
        return {"kind": row.kind, "unreadable": f"{type(error).__name__}: {error}"}
    if isinstance(spec, Command):
        return {
            "kind": row.kind,
            "argv": spec.argv,
            "env": sorted(spec.env),
            "cwd": spec.cwd,
            "stdin": spec.stdin and spec.stdin.path,
            "files": sorted(spec.files),
        }
    if isinstance(spec, Call):
        return {
            "kind": row.kind,
            "fn": spec.fn if isinstance(spec.fn, str) else _named(spec.fn),
            "args": [short_repr(value) for value in spec.args],
            "kwargs": {key: short_repr(value) for key, value in spec.kwargs.items()},
        }
    return {"kind": row.kind, **{name: short_repr(getattr(spec, name)) for name in _fields(spec)}}


def _named(fn: Any) -> str:
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", None)
    return f"{module}:{name}" if module and name else short_repr(fn)


def _fields(spec: Spec) -> tuple[str, ...]:
    return spec.__struct_fields__


def short_repr(value: Any) -> str:
    """Return a value's repr, cut."""
    try:
        text = value.path if isinstance(value, File) else repr(value)
    except Exception as error:  # it is a user's own
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


# --- for a person ---------------------------------------------------------------------------------


def labelled_lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines, by name; what is not known has none."""
    lines = [
        ("job", found["job_id"]),
        ("name", found["name"]),
        ("tags", " ".join(f"{key}={value}" for key, value in found["tags"].items())),
        ("state", found["state"] + (f" ({found['reason']})" if found["reason"] else "")),
        ("message", found["message"]),
        ("progress", _progress(found["progress"])),
        ("kind", " -> ".join(found["route"])),
        ("parameters", pairs(found["parameters"])),
        ("work", _work(found["spec"]) or found["work"]),
        ("resources", _resources(found["resources"])),
        ("gpus", found["notes"].get(GPUS, "")),
        ("amended", found["notes"].get(AMENDED, "")),
        ("backend", _backend(found)),
        ("native id", found["native_id"] or ""),
        ("submitted by", found["parent"] or ""),
        *prerequisite_lines(found["prerequisites"]),
        ("attempt", str(found["attempt"])),
        *attempt_lines(found["attempts"]),
        ("position", str(found["queue_position"] or "")),
        ("runs anew", found["rerun_of"] or ""),
        ("run anew as", found["superseded_by"] or ""),
        ("submitted", point_in_time(found["submitted"])),
        ("started", point_in_time(found["started"], _between(found, "after", "submitted", "started"))),
        ("finished", point_in_time(found["finished"], _between(found, "ran", "started", "finished"))),
        ("exit code", "" if found["exit_code"] is None else str(found["exit_code"])),
        ("signal", "" if found["signal"] is None else str(found["signal"])),
        *usage_lines(found),
        ("cost", "" if found["cost"] is None else money(found["cost"], found["currency"])),
        ("host", found["host"] or ""),
        ("cwd", found["spec"].get("cwd") or found["cwd"]),
        ("python", found["python"]),
        ("spool", found["spool"] or ""),
        ("traceback", _end_of(found["traceback"])),
    ]
    return [(name, text) for name, text in lines if text]


def attempt_lines(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the attempts of a job that has had several, a line each."""
    lines = []
    for each in found:
        told = [
            f"{each['number']}: {each['status']}" + (f" ({each['reason']})" if each.get("reason") else "")
        ]
        if each.get("exit_code") is not None:
            told.append(f"exit code {each['exit_code']}")
        if each.get("started") is not None:
            told.append(f"started {point_in_time(each['started'], ' ').removesuffix(' ( )')}")
            if each.get("ended") is not None:
                told.append(f"ran {span(max(0.0, each['ended'] - each['started']))}")
        usage = each.get("usage", {})
        told += [f"peak memory {size(usage['peak_memory'])}"] if "peak_memory" in usage else []
        told += [f"on {each['host']}"] if each.get("host") else []
        told += [{"retry": "run again", "requeue": "gone on", "lost": "run again, as it was lost",
                  "dependency": "begun anew, as the engine had not what it starts after"}[why]
                 for why in (each.get("followed_by"),) if why]  # fmt: skip
        lines.append(", ".join(told))
    return [("attempts", "\n".join(lines))] if lines else []


def prerequisite_lines(found: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Return what a job starts after, or has: of each condition, those that have not ended first."""
    lines = []
    for condition in CONDITIONS:
        some = [one for one in found if one["condition"] == condition]
        some.sort(key=lambda one: JobStatus[one["status"]] in JOB_FINAL_STATES)
        names = [f" ({one['name']})" if one["name"] else "" for one in some]
        texts = [f"{one['job_id']}{name}, {one['status']}" for one, name in zip(some, names, strict=True)]
        more = [f"… and {len(texts) - MOST_SHOWN} more"] if len(texts) > MOST_SHOWN else []
        label = "result of" if condition == "result" else condition.replace("_", " ")
        lines.append((label, "\n".join(texts[:MOST_SHOWN] + more)))
    return lines


def usage_lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a job has used, beside what its last attempt was given."""
    asked = _given(found)
    texts = {name: "" if found[name] is None else size(found[name]) for name in USAGE}
    if found["cpu_time"] is not None:
        texts["cpu_time"] = span(found["cpu_time"])
        ran = (found["finished"] or 0.0) - (found["started"] or 0.0)
        if found["started"] and ran >= SHORT:
            texts["cpu_time"] += f" ({found['cpu_time'] / ran:.2f} of {asked.get('cpus') or 1} cpus)"
    if texts["peak_memory"] and "memory" in asked:
        texts["peak_memory"] += f" of {format_memory(asked['memory'])}"
    if texts["peak_gpu_memory"] and "gpu_memory" in asked:
        texts["peak_gpu_memory"] += f" of {format_memory(asked['gpu_memory'])}"
    return [
        ("cpu time", texts["cpu_time"]),
        ("peak memory", texts["peak_memory"]),
        ("read", texts["read_bytes"]),
        ("written", texts["written_bytes"]),
        ("peak GPU memory", texts["peak_gpu_memory"]),
    ]


def _given(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the last attempt of a job was given: a retry may have had more than what was asked for."""
    asked: dict[str, Any] = found["resources"]
    retried = sum(each.get("followed_by") == "retry" for each in found["attempts"])
    if not retried:
        return asked
    from anyjob.execution.next_attempt import grown

    larger = grown(make_resources(asked), retried)
    return {name: getattr(larger, name) for name in asked}


def _progress(told: dict[str, Any] | None) -> str:
    return progress_report.ProgressReport(**told).in_words() if told else ""


def _work(spec: dict[str, Any]) -> str:
    if spec.get("unreadable") == "":
        return ""  # only its backend knows
    if "unreadable" in spec:
        return f"cannot be read here: {spec['unreadable']}"
    if "argv" in spec:
        env = " ".join(f"{name}=…" for name in spec["env"])
        return f"{env} {shlex.join(spec['argv'])}".strip()
    if "fn" in spec:
        arguments = [*spec["args"], *(f"{key}={text}" for key, text in spec["kwargs"].items())]
        return f"{spec['fn']}({', '.join(arguments)})"
    return " ".join(f"{key}={text}" for key, text in spec.items() if key != "kind")


def _resources(requested: dict[str, Any]) -> str:
    formats: dict[str, Callable[[Any], str]] = {
        "memory": format_memory,
        "gpu_memory": format_memory,
        "walltime": format_duration,
        "needs": lambda counts: " ".join(f"{name}={count}" for name, count in counts.items()),
        "retries": _policy,
    }
    return ", ".join(f"{key} {formats.get(key, str)(value)}" for key, value in requested.items())


def _policy(policy: dict[str, Any]) -> str:
    told = [str(policy["times"])]
    told += [f"on {' '.join(map(str, policy['on']))}"] if policy["on"] else []
    told += [f"after {format_duration(policy['wait'])}"] if policy["wait"] else []
    told += [f"with {factor:g} times the {name}" for name, factor in policy["grow"].items()]
    return " ".join(told)


def _backend(found: dict[str, Any]) -> str:
    where = f", on {found['backend_host']}" if found["backend_host"] else ""
    where += f", of provider {found['backend_provider']}" if found["backend_provider"] else ""
    return f"{found['backend']} (type {found['backend_type']}{where})"


def point_in_time(when: float | None, more: str = "") -> str:
    """Return a time for a person, with how long ago it was or what else is to be said of it."""
    if when is None:
        return ""
    text = datetime.fromtimestamp(when).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    return f"{text} ({more or span(max(0.0, time.time() - when)) + ' ago'})"


def _between(found: dict[str, Any], what: str, start: str, end: str) -> str:
    if found[start] is None or found[end] is None:
        return ""
    return f"{what} {span(max(0.0, found[end] - found[start]))}"


def _end_of(traceback: str) -> str:
    lines = traceback.rstrip().splitlines()
    return "\n".join((["…"] if len(lines) > END_OF_TRACEBACK else []) + lines[-END_OF_TRACEBACK:])
