"""What a distribution requires, read from its metadata, and which versions that takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement as Packaged
from packaging.specifiers import SpecifierSet

from anyjob.testing.diagnosis.requirements import parse, requirements

VERSIONS = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
BOUNDS = st.one_of(
    st.tuples(st.sampled_from(["==", "!=", "<=", ">=", "<", ">"]), VERSIONS),
    st.tuples(st.sampled_from(["==", "!="]), VERSIONS.map(lambda version: f"{version}.*")),
    st.tuples(st.just("~="), VERSIONS.filter(lambda version: "." in version)),
)


@given(VERSIONS, st.lists(BOUNDS, max_size=3))
def test_versions_are_judged_as_packaging_judges_them(version: str, bounds: list[tuple[str, str]]) -> None:
    text = ",".join("".join(bound) for bound in bounds)
    required = parse(f"some-thing{text}")
    assert required is not None
    assert required.takes(version) is SpecifierSet(text).contains(version)


@pytest.mark.parametrize(
    ("version", "bound", "taken"),
    [
        ("1.0rc1", ">=1.0", False),
        ("1.0.post1", ">=1.0", True),
        ("1.0+local", "==1.0", True),
        ("1.0+local", "==1.0+other", False),
        ("1!1.0", ">=2", True),
        ("1.0", "===1.0.0", False),
    ],
)
def test_unusual_versions(version: str, bound: str, taken: bool) -> None:
    required = parse(f"x{bound}")
    assert required is not None
    assert required.takes(version) is taken


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "X.y_z",
        "x>=1,<2",
        "x (>=1)",
        "x[a,b]>=1",
        "x[a] ~= 1.2 ; extra == 'test'",
        "x @ file:///x ; os_name == 'y'",
    ],
)
def test_lines_are_read_as_packaging_reads_them(text: str) -> None:
    ours, theirs = parse(text), Packaged(text)
    assert ours is not None
    assert ours.name == theirs.name.lower().replace(".", "-").replace("_", "-")
    assert {"".join(bound) for bound in ours.bounds} == {str(each) for each in theirs.specifier}
    assert bool(ours.marker) is (theirs.marker is not None)
    assert ours.url == (theirs.url or "")
    assert ours.optional is ("extra" in str(theirs.marker))


@given(st.text())
def test_nonsense_is_left_out(text: str) -> None:
    parse(text)
    assert (
        len(
            requirements(
                f"Requires-Dist: x>=1\nRequires-Dist: {text.partition(chr(10))[0]}\n\nRequires-Dist: y"
            )
        )
        <= 2
    )


def test_bounds_that_make_no_sense_are_no_requirement() -> None:
    assert [parse(text) for text in ("x>=1 or so", "x>", "!x", "")] == [None] * 4


def test_the_description_requires_nothing() -> None:
    metadata = "Name: x\nRequires-Dist: a>=1,<2\nrequires-dist: b\n\nRequires-Dist: c\n"
    first, second = requirements(metadata)
    assert (first.name, first.above, first.below, str(first)) == ("a", True, True, "a>=1,<2")
    assert (second.name, second.above, second.below) == ("b", False, False)
