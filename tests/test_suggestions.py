"""The hint at the end of an error about an unknown name."""

from __future__ import annotations

from anyjob.text.suggestions import did_you_mean, nearest


def test_the_nearest_name() -> None:
    known = {"partition": 1, "account": 2}
    assert nearest("partiton", known) == "partition"
    assert nearest("zzz", known) is None
    assert nearest("partit", known) == "partition"
    assert nearest("partit", known, 0.9) is None


def test_a_hint_names_the_nearest_or_all_that_there_are() -> None:
    assert did_you_mean("slot", ["slots", "type"]) == "; did you mean 'slots'?"
    assert did_you_mean("zzz", ["type", "slots"]) == "; there are: slots, type"
    assert did_you_mean("zzz", []) == "; there are none"
    assert did_you_mean("zzz", ["a", "", "b\nc"]) == "; there are: '', a, 'b\\nc'", (
        "one line, each to be told"
    )
