"""What is installed is as it should be: the findings of `anyjob plugins check`, and the metadata."""

from __future__ import annotations

from anyjob.testing.diagnosis.findings import ERROR, WARNING
from anyjob.testing.harness.distribution import DistributionHarness


class Distribution:
    """A distribution that others can install and rely on."""

    def test_each_of_its_names_answers(self, plugin: DistributionHarness) -> None:
        """Each name that it registers can be asked for."""
        bad = [f"{each.group} {each.name} is {each.state}: {each.why}" for each in plugin.entries]
        bad = [text for text, each in zip(bad, plugin.entries, strict=True) if each.state != "ok"]
        assert not bad, "\n".join(bad)

    def test_it_has_no_errors(self, plugin: DistributionHarness) -> None:
        """`anyjob plugins check` finds nothing that is wrong with it."""
        found = plugin.findings(ERROR)
        assert not found, "\n".join(found)

    def test_it_has_no_warnings(self, plugin: DistributionHarness) -> None:
        """`anyjob plugins check` finds nothing that is doubtful about it."""
        found = plugin.findings(WARNING)
        assert not found, "\n".join(found)

    def test_it_is_typed(self, plugin: DistributionHarness) -> None:
        """Type checkers see its types, since it has a `py.typed`."""
        found = plugin.findings("untyped")
        assert not found, "\n".join(found)

    def test_it_says_what_it_is(self, plugin: DistributionHarness) -> None:
        """Its metadata has a description, which package indexes show."""
        from email.parser import Parser

        message = Parser().parsestr(plugin.source.metadata() or "")
        described = message.get("Description") or message.get_payload()
        assert isinstance(described, str) and described.strip(), (
            f'{plugin.distribution} has no description: say readme = "README.md" in its pyproject.toml'
        )
