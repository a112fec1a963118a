"""A plugin that is merely listed costs next to nothing."""

from __future__ import annotations

from typing import ClassVar
from unittest import SkipTest

from anyjob.registry.entry_points import BACKENDS
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.observe.imports import check_listing


class Listing:
    """To list what is installed does not import the engine."""

    sdk: ClassVar[tuple[str, ...]] = ()
    """Modules of the engine, beside those of the distributions that the plugin requires."""

    def test_to_list_it_does_not_import_its_engine(self, harness: BackendHarness) -> None:
        """To list what is installed does not import the libraries of the engine."""
        origin = harness.origin
        if origin is None or origin.plugin_class is not None:
            raise SkipTest("the class is given directly, and so is not listed")
        check_listing(BACKENDS, origin.type_name, self.sdk)
