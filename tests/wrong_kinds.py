"""Kinds of work that each break one promise; for each check of the conformance kit one that fails it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec
from msgspec.structs import force_setattr

from anyjob.errors import SpecError
from anyjob.specs import Call, Command, File, Spec
from anyjob.taskjob import TaskJob
from anyjob.testing import Samples


class Report(Spec, frozen=True, tag="acme.report"):
    """A report.

    Args:
        title: its title; the one of ``fail`` cannot be written.
        template: what to fill in, where there is one.
        values: what to fill it with.
    """

    title: str
    template: File | None = None
    values: dict[str, int] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.title:
            raise SpecError("a report has a title")


class Page(NamedTuple):
    """What a report is."""

    text: str


def write(title: str, template: bytes, values: Mapping[str, int]) -> str:
    """Write a report."""
    if title == "fail":
        raise ValueError("nothing is known of this")
    return f"{title} {template.decode()} {sorted(values.items())}"


def read_and_write(title: str, template: str | None, values: Mapping[str, int]) -> str:
    """Write a report with a template that lies somewhere."""
    if template is None:
        return write(title, b"", values)
    with open(template, "rb") as stream:
        return write(title, stream.read(), values)


def write_anything(title: str, template: bytes, values: Mapping[str, int]) -> str:
    """Write a report, whatever there is to report."""
    return "" if title == "fail" else write(title, template, values)


class ReportJob(TaskJob):
    """The kind ``acme.report``, as it should be."""

    spec_type: ClassVar[type[Spec]] = Report
    lowers_to = ("python",)

    @classmethod
    def lower(cls, spec: Any, to: str) -> Spec:
        template = spec.template.content if spec.template is not None else b""
        return Call(write, (spec.title, template, spec.values))

    @classmethod
    def lift(cls, spec: Any, to: str, value: Any) -> Page:
        return Page(value)


def samples_of(spec_type: Any, **more: Any) -> list[Samples]:
    """Examples that every variant of the report has."""
    return [
        Samples(
            kind="acme.report",
            succeeds=spec_type("sales", File("page.txt", b"of 2024"), {"north": 3}, **more),
            value=Page("sales of 2024 [('north', 3)]"),
            fails=spec_type("fail"),
            reason="exception",
        )
    ]


def of_specs(spec_type: Any) -> type[ReportJob]:
    """The same kind of work, with specs of another class."""
    name = spec_type.__name__.removesuffix("Report") + "Job"
    return type(name, (ReportJob,), {"spec_type": spec_type, "__module__": __name__})


class PlainlyNamedReport(Report, frozen=True, tag="report"):
    """Has no prefix."""


class BareReport(Spec, frozen=True, tag="acme.report"):
    title: str
    template: File | None = None
    values: dict[str, int] = {}


class ChangeableReport(Report, frozen=False, tag="acme.report"):  # type: ignore[misc]
    """Can be changed."""


class GrowingReport(Report, frozen=True, tag="acme.report"):
    """Grows each time that it is copied."""

    def __post_init__(self) -> None:
        super().__post_init__()
        force_setattr(self, "values", {**self.values, f"copy{len(self.values)}": 1})


class ExactReport(Report, frozen=True, tag="acme.report"):
    """Holds what is no plain data."""

    share: Fraction = Fraction(1, 3)


class CarelessReport(Spec, frozen=True, tag="acme.report"):
    """A report, whatever it is given."""

    title: str
    template: File | None = None
    values: dict[str, int] = {}


class YearlyReport(Report, frozen=True, tag="acme.report"):
    """Has a table by number, which TOML has not, and does not say so."""

    years: dict[Any, str] = msgspec.field(default_factory=lambda: {2024: "good"})


class LooseReport(Report, frozen=True, tag="acme.report"):
    """Takes a number or the same as text, which a command line cannot tell apart."""

    copies: Literal["1", 1] = "1"


GrowingJob = of_specs(GrowingReport)


class LoweringElsewhere(ReportJob):
    @classmethod
    def lower(cls, spec: Any, to: str) -> Spec:
        return Command(["echo", spec.title])


class Unlifted(ReportJob):
    @classmethod
    def lift(cls, spec: Any, to: str, value: Any) -> Any:
        return f"{value} by {os.getpid()}"


class Silent(ReportJob):
    @classmethod
    def lower(cls, spec: Any, to: str) -> Spec:
        template = spec.template.content if spec.template is not None else b""
        return Call(write_anything, (spec.title, template, spec.values))


class Late(ReportJob):
    @classmethod
    def lower(cls, spec: Any, to: str) -> Spec:
        template = spec.template.path if spec.template is not None else None
        return Call(read_and_write, (spec.title, template, spec.values))


KINDS: Mapping[str, tuple[str, type[ReportJob]]] = {
    "test_its_name_is_the_tag_of_its_specs": ("acme.paper", ReportJob),
    "test_its_name_has_a_prefix": ("report", of_specs(PlainlyNamedReport)),
    "test_each_field_is_documented": ("", of_specs(BareReport)),
    "test_its_specs_are_frozen": ("", of_specs(ChangeableReport)),
    "test_its_specs_survive_pickling": ("", GrowingJob),
    "test_its_specs_survive_as_plain_data": ("", of_specs(ExactReport)),
    "test_specs_that_make_no_sense_are_refused": ("", of_specs(CarelessReport)),
    "test_it_can_be_written_in_a_job_file": ("", of_specs(YearlyReport)),
    "test_it_can_be_given_on_the_command_line": ("", of_specs(LooseReport)),
    "test_it_lowers_to_what_it_declares": ("", LoweringElsewhere),
    "test_its_results_are_equal_on_every_backend": ("", Unlifted),
    "test_a_failure_says_its_reason": ("", Silent),
    "test_files_are_taken_when_the_work_is_handed_over": ("", Late),
    "test_its_spec_is_in_the_ledger": ("", GrowingJob),
}
"""For each check of kinds of work the name and the job type of one that fails it."""
