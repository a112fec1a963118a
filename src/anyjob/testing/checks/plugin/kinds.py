"""A kind of work: its name, its specs, what it is rewritten as, and its results."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar
from unittest import SkipTest

import click
import msgspec

from anyjob.config.options import describe
from anyjob.errors import AnyjobError, SpecError
from anyjob.job import JobStatus
from anyjob.lowering import lower_along
from anyjob.registry.entry_points import CORE, JOB_TYPES
from anyjob.registry.listing import WELL_KNOWN
from anyjob.specs import Spec, kind_of, with_files
from anyjob.testing.harness.job_type import JobTypeHarness
from anyjob.testing.harness.samples import ANY, Samples
from anyjob.testing.observe.imports import check_listing


class Naming:
    """A kind of work has one name, and its specs say what they hold."""

    sdk: ClassVar[tuple[str, ...]] = ()
    """Modules of engines, beside those of the distributions that the plugin requires."""

    def test_its_name_is_the_tag_of_its_specs(self, kind: JobTypeHarness) -> None:
        """A kind of work is registered under the tag of its specs."""
        tag = kind_of(kind.spec_type)
        assert tag == kind.name, f"{kind.spec_type.__name__} has the tag {tag!r}, registered is {kind.name!r}"

    def test_its_name_has_a_prefix(self, kind: JobTypeHarness) -> None:
        """The name of a third party's kind of work has a prefix, so that it means nothing else elsewhere."""
        origin = kind.session.registry.origin(JOB_TYPES, kind.name)
        distribution = origin.distribution if origin is not None else ""
        if distribution == CORE or (distribution and WELL_KNOWN[JOB_TYPES].get(kind.name) == distribution):
            return
        prefix, dot, rest = kind.name.partition(".")
        assert prefix and dot and rest, (
            f"{kind.name!r} has no prefix: call it 'acme.{kind.name}', for instance"
        )

    def test_each_field_is_documented(self, kind: JobTypeHarness) -> None:
        """Each field of its specs says what it is for, since the command line shows that."""
        bare = [each.name for each in describe(kind.spec_type) if not each.doc]
        assert not bare, (
            f"{kind.spec_type.__name__} says not what these are for: {', '.join(bare)}; write a section "
            "Args: in its docstring"
        )

    def test_to_list_it_does_not_import_its_engine(self, kind: JobTypeHarness) -> None:
        """To list what is installed does not import the libraries of an engine."""
        if not kind.is_installed:
            raise SkipTest("the class is given directly, and so is not listed")
        check_listing(JOB_TYPES, kind.name, self.sdk)


class Specs:
    """The specs of a kind of work are plain data that travels."""

    def test_its_specs_are_frozen(self, kind: JobTypeHarness) -> None:
        """A spec cannot be changed once it is made, since it has been written down and handed on."""
        for spec in kind.specs():
            for name in type(spec).__struct_fields__[:1]:
                try:
                    setattr(spec, name, getattr(spec, name))
                except AttributeError:
                    continue
                raise AssertionError(f"{type(spec).__name__}.{name} can be set: do not say frozen=False")

    def test_its_specs_survive_pickling(self, kind: JobTypeHarness) -> None:
        """A spec that is pickled and read back is equal, and pickles to the same bytes."""
        for spec in kind.specs():
            try:
                pickled = pickle.dumps(spec)
                copy = pickle.loads(pickled)
            except Exception as error:
                raise AssertionError(f"{spec!r} does not survive pickling: {error!r}") from error
            assert copy == spec, f"{spec!r} was pickled, and came back as {copy!r}"
            assert pickle.dumps(copy) == pickled, f"a copy of {spec!r} pickles to other bytes"

    def test_its_specs_survive_as_plain_data(self, kind: JobTypeHarness) -> None:
        """A spec that is written as JSON or MessagePack and read back is equal."""
        for spec in kind.specs():
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

    def test_specs_that_make_no_sense_are_refused(self, kind: JobTypeHarness) -> None:
        """A spec that makes no sense is refused with SpecError when it is made."""
        if not kind.invalid:
            raise SkipTest("the fixture `invalid` gives none")
        for fields in kind.invalid:
            try:
                made = kind.spec_type(**fields)
            except SpecError:
                continue
            except Exception as error:
                raise AssertionError(f"{fields!r} raised {type(error).__name__}, not SpecError") from error
            raise AssertionError(f"{fields!r} was taken: {made!r}")

    def test_it_can_be_written_in_a_job_file(self, kind: JobTypeHarness) -> None:
        """What its specs hold can be written in a job file, as far as it is plain data."""
        from anyjob.jobfile.spec_builder import make_spec
        from anyjob.testing.observe.forms import in_a_file, laid_out

        for each in kind.specs():
            with laid_out(each) as spec:
                fields = in_a_file(spec)
                try:
                    made = make_spec(kind.spec_type, fields, "a job file")
                except SpecError as error:
                    raise AssertionError(f"{spec!r} cannot be made of {fields!r}: {error}") from error
                assert with_files(made) == with_files(spec), f"{fields!r} gave {made!r}, not {spec!r}"

    def test_it_can_be_given_on_the_command_line(self, kind: JobTypeHarness) -> None:
        """What its specs hold can be given to `anyjob run --type`, as far as it is plain data."""
        from anyjob.jobfile.spec_builder import make_spec
        from anyjob.testing.observe.forms import laid_out, on_a_line

        for each in kind.specs():
            with laid_out(each) as spec:
                try:
                    fields = on_a_line(spec)
                    made = make_spec(kind.spec_type, fields, "the command line")
                except (SpecError, click.ClickException) as error:
                    told = error.format_message() if isinstance(error, click.ClickException) else error
                    raise AssertionError(f"{spec!r} cannot be given on the command line: {told}") from error
                assert with_files(made) == with_files(spec), f"{fields!r} gave {made!r}, not {spec!r}"


class Lowering:
    """A kind of work is rewritten as what it declares, and its results come back the same from everywhere."""

    def test_it_lowers_to_what_it_declares(self, kind: JobTypeHarness) -> None:
        """Each spec can be rewritten as each of the kinds that its job type declares."""
        job_type = kind.job_type
        targets = job_type.lowers_to
        assert not isinstance(targets, str), f"lowers_to is the text {targets!r}: write ({targets!r},)"
        others = set(job_type.needs_shared_files) - set(targets)
        assert not others, f"needs_shared_files names {', '.join(sorted(others))}, which lowers_to does not"
        for target in targets:
            for spec in kind.specs():
                try:
                    lower_along(spec, (kind.name, target), kind.session.get_job_type)
                except AnyjobError as error:
                    raise AssertionError(f"{spec!r} is not rewritten as {target!r}: {error}") from error

    def test_its_results_are_equal_on_every_backend(self, kind: JobTypeHarness) -> None:
        """Work gives the same result wherever it runs, each time that it is asked for."""
        for sample in kind.samples:
            for backend in kind.on_each():
                job = _run(backend, sample.succeeds, kind)
                for value in (job.result(kind.patience), job.result(kind.patience)):
                    assert sample.value is ANY or value == sample.value, (
                        f"on {backend} the result of {sample.succeeds!r} is {value!r}, not {sample.value!r}"
                    )

    def test_a_failure_says_its_reason(self, kind: JobTypeHarness) -> None:
        """Work that fails ends as ERROR, with its reason and a message for a person."""
        for sample in _that_fail(kind):
            for backend in kind.on_each():
                job = backend.run(sample.fails)
                outcome = job.outcome(kind.patience)
                what = f"on {backend} {sample.fails!r}"
                assert outcome.status is JobStatus.ERROR, f"{what} was to fail, and ended as {outcome.status}"
                assert outcome.reason == sample.reason, (
                    f"{what} failed by {outcome.reason!r}, not {sample.reason!r}"
                )
                error = job.exception()
                assert error is not None and str(error), f"{what} failed without a message"

    def test_files_are_taken_when_the_work_is_handed_over(self, kind: JobTypeHarness) -> None:
        """What its files hold goes with the work, so that they may be gone when it runs."""
        from anyjob.testing.observe.forms import moved

        tried = False
        for sample in kind.samples:
            spec = moved(sample.succeeds, "/no/such/directory")
            if spec == with_files(sample.succeeds):
                continue
            tried = True
            for backend in kind.on_each():
                value = _run(backend, spec, kind).result(kind.patience)
                assert sample.value is ANY or value == sample.value, (
                    f"on {backend}, with its files gone, the result is {value!r}, not {sample.value!r}"
                )
        if not tried:
            raise SkipTest("none of the samples has a file")

    def test_its_spec_is_in_the_ledger(self, kind: JobTypeHarness) -> None:
        """Another session finds a job again with the spec that it was handed, and with its result."""
        for sample in kind.samples:
            for backend in kind.on_each(durable=True):
                job = _run(backend, sample.succeeds, kind)
                with kind.new_session() as other:
                    found = other.get_job(job.job_id())
                    assert type(found) is type(job), f"it was found again as {type(found).__name__}"
                    expected, spec = with_files(sample.succeeds), found.spec()
                    assert spec == expected, f"it was found again with {spec!r}, not {expected!r}"
                    value = found.result(kind.patience)
                    assert sample.value is ANY or value == sample.value, (
                        f"it was found again with the result {value!r}, not {sample.value!r}"
                    )


def _run(backend: Any, spec: Spec, kind: JobTypeHarness) -> Any:
    """Run work that is to succeed; return its job."""
    try:
        job = backend.run(spec)
        error = job.exception(kind.patience)
    except AnyjobError as raised:
        raise AssertionError(f"on {backend} {spec!r} cannot be run: {raised}") from raised
    if error is not None:
        raise AssertionError(f"on {backend} {spec!r} failed: {error!r} {error.__cause__ or ''}") from error
    return job


def _that_fail(kind: JobTypeHarness) -> list[Samples]:
    found = [sample for sample in kind.samples if sample.fails is not None]
    if not found:
        raise SkipTest("none of the samples fails")
    return found
