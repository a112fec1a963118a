"""What a name stands for, as plain data: for programs that draw a form of it, or write a reference."""

from __future__ import annotations

from typing import Any

from anyjob.config.construction import options_type
from anyjob.config.schema import fields, json_schema
from anyjob.registry.entry_points import BACKENDS, JOB_TYPES, Reference


def describe(reference: Reference, found: Any) -> dict[str, Any]:
    """Return what a backend, a provider or a kind of work is: see `anyjob.Registry.describe`.

    Args:
        reference: who answers to its name.
        found: its class.
    """
    described: dict[str, Any] = {
        "group": reference.group,
        "name": reference.name,
        "distribution": reference.distribution,
        "version": reference.version,
        "summary": reference.source.summary,
        "links": reference.source.links,
        "renamed": reference.renamed,
        "deprecated": reference.deprecated,
        "class": f"{found.__module__}.{found.__qualname__}",
        "doc": (found.__doc__ or "").strip().partition("\n\n")[0],
    }
    if reference.group == JOB_TYPES:
        spec = getattr(found, "spec_type", None)
        described["lowers_to"] = list(getattr(found, "lowers_to", ()))
        return described | _of("spec", spec)
    described |= _of("options", options_type(found))
    if reference.group != BACKENDS:
        return described | _of("backend_options", found.BackendOptions)
    described["accepts"] = sorted(getattr(found, "accepts", ()))
    described["capabilities"] = found.capabilities.to_dict()
    return described | _of("job_options", getattr(found, "JobOptions", None))


def _of(what: str, struct: Any) -> dict[str, Any]:
    """The fields of a struct, and its schema; None where there is none, so that nothing is known of it."""
    if struct is None:
        return {what: None, f"{what}_schema": None}
    return {what: fields(struct), f"{what}_schema": json_schema(struct)}
