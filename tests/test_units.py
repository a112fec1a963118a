"""Quantities as people write them."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anyjob.errors import SpecError
from anyjob.text.units import format_duration, format_memory, parse_count, parse_duration, parse_memory


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GiB", 8 * 2**30),
        ("8gib", 8 * 2**30),
        ("512MB", 512 * 10**6),
        ("512 MB ", 512 * 10**6),
        ("4G", 4 * 2**30),  # as Slurm does
        ("4k", 4096),
        ("1.5GiB", 3 * 2**29),
        ("0.3B", 1),  # parts of a byte are rounded up
        ("17B", 17),
        (1024, 1024),
        (1e9, 10**9),
    ],
)
def test_memory_is_read_in_bytes(text: str | float, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "value",
    ["", "GiB", "8 gigs", "-1GB", "0GB", "4000", "1e9B", "8GiB 3", "٣GB", "8\u212a", True, 0, -5, 1.5,
     float("nan"), float("inf"), 2**63, "9" * 5000 + "B", None, [1]],
)  # fmt: skip
def test_other_memory_is_refused(value: Any) -> None:
    with pytest.raises(SpecError, match="memory: "):
        parse_memory(value)


def test_memory_without_a_unit_says_what_to_write() -> None:
    with pytest.raises(SpecError, match="'4000' has no unit: write 4000MB"):
        parse_memory("4000")


@given(st.integers(1, 2**63 - 1))
def test_memory_survives_formatting(size: int) -> None:
    assert parse_memory(format_memory(size)) == size


@pytest.mark.parametrize(
    ("size", "text"), [(8 * 2**30, "8GiB"), (1_500_000_000, "1500MB"), (1000, "1kB"), (17, "17B"), (0, "0B")]
)
def test_memory_is_formatted_in_the_largest_exact_unit(size: int, text: str) -> None:
    assert format_memory(size) == text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2h", 7200),
        ("1:30:00", 5400),
        ("100:00:00", 360000),
        ("90s", 90),
        ("90 s", 90),
        ("1.5h", 5400),
        ("1d12h", 129600),
        ("1 day 12 hours", 129600),
        ("1-12:00:00", 129600),
        ("1-12:30", 131400),
        ("1-12", 129600),
        (90, 90),
        (0.5, 0.5),
        (timedelta(minutes=2), 120),
    ],
)
def test_durations_are_read_in_seconds(value: Any, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "", "h", "2 fortnights", "12h1d", "1h1h", "-1h", "1:60:00", "1:00:60", "1-24:00:00", "1:2:3", "1::0",
        "0s",
        "unlimited", True, 0, -1, float("nan"), float("inf"), pytest.param(10**5000, id="huge"),
        "9" * 18 + "w", None, b"2h", timedelta(-1),
    ],
)  # fmt: skip
def test_other_durations_are_refused(value: Any) -> None:
    with pytest.raises(SpecError, match="walltime: "):
        parse_duration(value)


@pytest.mark.parametrize(
    ("text", "hint"), [("1:30", "write 1h30m or 1m30s"), ("90", "write 90s, 90m or 90h")]
)
def test_ambiguous_durations_are_refused_with_both_readings(text: str, hint: str) -> None:
    with pytest.raises(SpecError, match=hint):
        parse_duration(text)


def test_no_time_at_all_where_that_makes_sense() -> None:
    assert parse_duration(0, allow_zero=True) == parse_duration("0s", allow_zero=True) == 0
    with pytest.raises(SpecError, match=r"grace: -1 .* zero or more"):
        parse_duration(-1, what="grace", allow_zero=True)


@given(st.floats(1e-6, 3e10) | st.integers(0, 10**10))
@example(3661.1)
@example(0)
def test_durations_survive_formatting(seconds: float) -> None:
    assert parse_duration(format_duration(seconds), allow_zero=True) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5400, "1h30m"), (129600, "1d12h"), (90, "1m30s"), (1.5, "1.5s"), (0, "0s"), (600.0, "10m")],
)
def test_durations_are_formatted_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_memory, parse_duration, lambda value: parse_count(value, what="cpus")):
        with contextlib.suppress(SpecError):
            assert parse(text) > 0


@pytest.mark.parametrize("value", [4, "4", " 4 ", 4.0])
def test_counts_are_whole_numbers(value: Any) -> None:
    assert parse_count(value, what="cpus") == 4


@pytest.mark.parametrize(
    "value", [True, 0, -1, 2.5, "2.5", "four", "", "٤", None, 10**18, "9" * 5000, float("inf")]
)
def test_other_counts_are_refused(value: Any) -> None:
    with pytest.raises(SpecError, match=r"cpus: .* whole number, 1 or more"):
        parse_count(value, what="cpus")


def test_none_of_something_may_make_sense() -> None:
    assert parse_count(0, what="gpus", minimum=0) == 0
