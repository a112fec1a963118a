"""A backend or a provider: what brings it, which options there are, what is set, where that came from."""

from __future__ import annotations

from typing import Any

from anyjob.cli.terminal.output import table
from anyjob.registry.entry_points import Reference
from anyjob.session.facade import Session


def origin_and_class(reference: Reference | None, found: type) -> dict[str, Any]:
    """Return which distribution brings the class of a backend or provider, its name, and its summary."""
    return {
        "distribution": str(reference.source) if reference and reference.distribution else None,
        "class": f"{found.__module__}.{found.__qualname__}",
        "doc": " ".join((found.__doc__ or "").strip().partition("\n\n")[0].split()),
    }


def option_lines(
    session: Session, entry: Any, declared: Any, group: str = "backends"
) -> list[dict[str, Any]]:
    """Return the options of a table, and those that it might have; secrets are masked.

    Args:
        session: where it is configured.
        entry: the backend or provider; None where it is not configured.
        declared: what tells which options it may have; None where nothing does.
        group: where the table is: ``backends`` or ``providers``.
    """
    from anyjob.config.options import OptionInfo, describe, secret_fields

    infos = describe(declared) if declared is not None else []
    values: dict[str, Any] = {}
    if entry is not None:
        secrets = secret_fields(declared) if declared is not None else ()
        masked = session.config.to_dict(secret_keys=lambda each: secrets if each is entry else ())
        values = {key: value for key, value in masked[group][entry.name].items() if key != "type"}
    unknown = [key for key in values if key not in {info.name for info in infos}]
    infos += [
        OptionInfo(key, "anything" if declared is None else "unknown option", False, None, "")
        for key in unknown
    ]
    return [
        {
            "name": info.name,
            "type": info.type,
            "required": info.required,
            "default": plain(info.default),
            "doc": info.doc,
            "set": info.name in values,
            "value": values.get(info.name),
            "origin": str(entry.origins[info.name]) if entry and info.name in entry.origins else None,
        }
        for info in infos
    ]


def as_provider(option: dict[str, Any], shared: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an option of one backend of a provider, which is as the provider has it if it is not set."""
    for each in shared if not option["set"] else ():
        if each["name"] == option["name"]:
            same = ("set", "value", "default", "origin", "required")
            return option | {key: each[key] for key in same}
    return option


def print_options(lines: list[dict[str, Any]]) -> None:
    """Write what `option_lines` gives as a table."""
    table(
        ["option", "value", "from", "takes", "for"],
        (
            [
                each["name"],
                each["value"] if each["set"] else each["default"],
                each["origin"] or ("missing" if each["required"] else "default"),
                each["type"],
                each["doc"],
            ]
            for each in lines
        ),
    )


def plain(value: Any) -> Any:
    """Return a value as JSON and tables take it."""
    return value if isinstance(value, (str, int, float, bool, list, dict, type(None))) else str(value)
