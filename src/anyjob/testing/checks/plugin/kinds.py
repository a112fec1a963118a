"""A kind of work: its name, its specs, what it is rewritten as, and its results."""

from __future__ import annotations

import pickle
from typing import Any
from unittest import SkipTest

import click
import msgspec

from anyjob.config.options import describe
from anyjob.errors import AnyjobError, SpecError
from anyjob.job import JobStatus
from anyjob.registry.entry_points import CORE, JOB_TYPES
from anyjob.registry.listing import WELL_KNOWN
from anyjob.runtime.lowering import lower_along
from anyjob.specs import Spec, kind_of, with_files
from anyjob.testing.harness.job_type import JobTypeHarness
from anyjob.testing.harness.samples import ANY, Samples


class Naming:
    """A kind of work has one name, and its specs say what they hold."""

    def test_its_name_is_the_tag_of_its_specs(self, harness: JobTypeHarness) -> None:
        """A kind of work is registered under the tag of its specs."""
        tag = kind_of(harness.spec_type)
        assert tag == harness.name, (
            f"{harness.spec_type.__name__} has the tag {tag!r}, registered is {harness.name!r}"
        )

    def test_its_name_has_a_prefix(self, harness: JobTypeHarness) -> None:
        """The name of a third party's kind of work has a prefix, so that it means nothing else elsewhere."""
        origin = harness.session.registry.origin(JOB_TYPES, harness.name)
        distribution = origin.distribution if origin is not None else ""
        if distribution == CORE or (distribution and WELL_KNOWN[JOB_TYPES].get(harness.name) == distribution):
            return
        prefix, dot, rest = harness.name.partition(".")
        assert prefix and dot and rest, (
            f"{harness.name!r} has no prefix: call it 'acme.{harness.name}', for instance"
        )

    def test_each_field_is_documented(self, harness: JobTypeHarness) -> None:
        """Each field of its specs says what it is for, since the command line shows that."""
        bare = [each.name for each in describe(harness.spec_type) if not each.doc]
        assert not bare, (
            f"{harness.spec_type.__name__} says not what these are for: {', '.join(bare)}; write a section "
            "Args: in its docstring"
        )


class Specs:
    """The specs of a kind of work are plain data that travels."""

    def test_its_specs_are_frozen(self, harness: JobTypeHarness) -> None:
        """A spec cannot be changed once it is made, since it has been written down and handed on."""
        for spec in harness.specs():
            for name in type(spec).__struct_fields__[:1]:
                try:
                    setattr(spec, name, getattr(spec, name))
                except AttributeError:
                    continue
                raise AssertionError(f"{type(spec).__name__}.{name} can be set: do not say frozen=False")

    def test_its_specs_survive_pickling(self, harness: JobTypeHarness) -> None:
        """A spec that is pickled and read back is equal, and pickles to the same bytes."""
        for spec in harness.specs():
            try:
                pickled = pickle.dumps(spec)
                copy = pickle.loads(pickled)
            except Exception as error:
                raise AssertionError(f"{spec!r} does not survive pickling: {error!r}") from error
            assert copy == spec, f"{spec!r} was pickled, and came back as {copy!r}"
            assert pickle.dumps(copy) == pickled, f"a copy of {spec!r} pickles to other bytes"

    def test_its_specs_survive_as_plain_data(self, harness: JobTypeHarness) -> None:
        """A spec that is written as JSON or MessagePack and read back is equal."""
        for spec in harness.specs():
            for form in (msgspec.json, msgspec.msgpack):
                try:
                    data = form.encode(spec)
                except TypeError as error:
                    if any(field.type is Any for field in msgspec.structs.fields(type(spec))):
                        raise SkipTest(f"it takes any Python object: {error}") from None
                    raise AssertionError(f"{spec!r} is no plain data: {error}") from error
                try:
                    copy = form.decode(data, type=type(spec))
                except msgspec.ValidationError as error:
                    raise AssertionError(f"{spec!r} cannot be read back from {data!r}: {error}") from error
                assert copy == spec, f"{spec!r} was written, and came back as {copy!r}"

    def test_specs_that_make_no_sense_are_refused(self, harness: JobTypeHarness) -> None:
        """A spec that makes no sense is refused with SpecError when it is made."""
        if not harness.invalid:
            raise SkipTest("the fixture `invalid` gives none")
        for fields in harness.invalid:
            try:
                made = harness.spec_type(**fields)
            except SpecError:
                continue
            except Exception as error:
                raise AssertionError(f"{fields!r} raised {type(error).__name__}, not SpecError") from error
            raise AssertionError(f"{fields!r} was taken: {made!r}")

    def test_it_can_be_written_in_a_job_file(self, harness: JobTypeHarness) -> None:
        """What its specs hold can be written in a job file, as far as it is plain data."""
        from anyjob.jobfile.spec_builder import make_spec
        from anyjob.testing.checks.plugin.user_input import files_written, job_file_fields

        for each in harness.specs():
            with files_written(each) as spec:
                fields = job_file_fields(spec)
                try:
                    made = make_spec(harness.spec_type, fields, "a job file")
                except SpecError as error:
                    raise AssertionError(f"{spec!r} cannot be made of {fields!r}: {error}") from error
                assert with_files(made) == with_files(spec), f"{fields!r} gave {made!r}, not {spec!r}"

    def test_it_can_be_given_on_the_command_line(self, harness: JobTypeHarness) -> None:
        """What its specs hold can be given to `anyjob run --type`, as far as it is plain data."""
        from anyjob.jobfile.spec_builder import make_spec
        from anyjob.testing.checks.plugin.user_input import command_line_fields, files_written

        for each in harness.specs():
            with files_written(each) as spec:
                try:
                    fields = command_line_fields(spec)
                    made = make_spec(harness.spec_type, fields, "the command line")
                except (SpecError, click.ClickException) as error:
                    message = error.format_message() if isinstance(error, click.ClickException) else error
                    raise AssertionError(
                        f"{spec!r} cannot be given on the command line: {message}"
                    ) from error
                assert with_files(made) == with_files(spec), f"{fields!r} gave {made!r}, not {spec!r}"


class Lowering:
    """A kind of work is rewritten as what it declares, and its results come back the same from everywhere."""

    def test_it_lowers_to_what_it_declares(self, harness: JobTypeHarness) -> None:
        """Each spec can be rewritten as each of the kinds that its job type declares."""
        job_type = harness.job_type
        targets = job_type.lowers_to
        assert not isinstance(targets, str), f"lowers_to is the text {targets!r}: write ({targets!r},)"
        others = set(job_type.needs_shared_files) - set(targets)
        assert not others, f"needs_shared_files names {', '.join(sorted(others))}, which lowers_to does not"
        for target in targets:
            for spec in harness.specs():
                try:
                    lower_along(spec, (harness.name, target), harness.session.get_job_type)
                except AnyjobError as error:
                    raise AssertionError(f"{spec!r} is not rewritten as {target!r}: {error}") from error

    def test_its_results_are_equal_on_every_backend(self, harness: JobTypeHarness) -> None:
        """Work gives the same result wherever it runs, each time that it is asked for."""
        for sample in harness.samples:
            for backend in harness.backends():
                job = _run(backend, sample.succeeds, harness)
                for value in (job.result(harness.timeout), job.result(harness.timeout)):
                    assert sample.value is ANY or value == sample.value, (
                        f"on {backend} the result of {sample.succeeds!r} is {value!r}, not {sample.value!r}"
                    )

    def test_a_failure_says_its_reason(self, harness: JobTypeHarness) -> None:
        """Work that fails ends as ERROR, with its reason and a message for a person."""
        for sample in _failing_samples(harness):
            for backend in harness.backends():
                job = backend.run(sample.fails)
                outcome = job.outcome(harness.timeout)
                what = f"on {backend} {sample.fails!r}"
                assert outcome.status is JobStatus.ERROR, f"{what} was to fail, and ended as {outcome.status}"
                assert outcome.reason == sample.reason, (
                    f"{what} failed by {outcome.reason!r}, not {sample.reason!r}"
                )
                error = job.exception()
                assert error is not None and str(error), f"{what} failed without a message"

    def test_files_are_taken_when_the_work_is_handed_over(self, harness: JobTypeHarness) -> None:
        """What its files hold goes with the work, so that they may be gone when it runs."""
        from anyjob.testing.checks.plugin.user_input import with_files_below

        tried = False
        for sample in harness.samples:
            spec = with_files_below(sample.succeeds, "/no/such/directory")
            if spec == with_files(sample.succeeds):
                continue
            tried = True
            for backend in harness.backends():
                value = _run(backend, spec, harness).result(harness.timeout)
                assert sample.value is ANY or value == sample.value, (
                    f"on {backend}, with its files gone, the result is {value!r}, not {sample.value!r}"
                )
        if not tried:
            raise SkipTest("none of the samples has a file")

    def test_its_spec_is_in_the_ledger(self, harness: JobTypeHarness) -> None:
        """Another session finds a job again with the spec that it was handed, and with its result."""
        for sample in harness.samples:
            for backend in harness.backends(durable=True):
                job = _run(backend, sample.succeeds, harness)
                with harness.new_session() as other:
                    found = other.get_job(job.job_id())
                    assert type(found) is type(job), f"it was found again as {type(found).__name__}"
                    expected, spec = with_files(sample.succeeds), found.spec()
                    assert spec == expected, f"it was found again with {spec!r}, not {expected!r}"
                    value = found.result(harness.timeout)
                    assert sample.value is ANY or value == sample.value, (
                        f"it was found again with the result {value!r}, not {sample.value!r}"
                    )


def _run(backend: Any, spec: Spec, harness: JobTypeHarness) -> Any:
    """Run work that is to succeed; return its job."""
    try:
        job = backend.run(spec)
        error = job.exception(harness.timeout)
    except AnyjobError as raised:
        raise AssertionError(f"on {backend} {spec!r} cannot be run: {raised}") from raised
    if error is not None:
        raise AssertionError(f"on {backend} {spec!r} failed: {error!r} {error.__cause__ or ''}") from error
    return job


def _failing_samples(harness: JobTypeHarness) -> list[Samples]:
    found = [sample for sample in harness.samples if sample.fails is not None]
    if not found:
        raise SkipTest("none of the samples fails")
    return found
