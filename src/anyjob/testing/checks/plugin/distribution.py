"""What is installed is as it should be: the findings of `anyjob plugins check`, and the metadata."""

from __future__ import annotations

from anyjob.testing.diagnosis.findings import ERROR, WARNING
from anyjob.testing.harness.distribution import DistributionHarness


class Distribution:
    """A distribution that others can install and rely on."""

    def test_each_of_its_names_answers(self, harness: DistributionHarness) -> None:
        """Each name that it registers can be asked for."""
        bad = [f"{each.group} {each.name} is {each.state}: {each.why}" for each in harness.entries]
        bad = [text for text, each in zip(bad, harness.entries, strict=True) if each.state != "ok"]
        assert not bad, "\n".join(bad)

    def test_it_has_no_errors(self, harness: DistributionHarness) -> None:
        """`anyjob plugins check` finds nothing that is wrong with it."""
        found = harness.findings(ERROR)
        assert not found, "\n".join(found)

    def test_it_has_no_warnings(self, harness: DistributionHarness) -> None:
        """`anyjob plugins check` finds nothing that is doubtful about it."""
        found = harness.findings(WARNING)
        assert not found, "\n".join(found)

    def test_it_is_typed(self, harness: DistributionHarness) -> None:
        """Type checkers see its types, since it has a `py.typed`."""
        found = harness.findings("untyped")
        assert not found, "\n".join(found)

    def test_it_says_what_it_is(self, harness: DistributionHarness) -> None:
        """Its metadata has a description, which package indexes show."""
        from email.parser import Parser

        message = Parser().parsestr(harness.source.metadata() or "")
        described = message.get("Description") or message.get_payload()
        assert isinstance(described, str) and described.strip(), (
            f'{harness.distribution} has no description: say readme = "README.md" in its pyproject.toml'
        )
