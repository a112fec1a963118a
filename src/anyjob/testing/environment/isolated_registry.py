"""A registry that sees nothing of what is installed but anyjob itself and what a test installs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from anyjob.registry.discovery import Scan
from anyjob.registry.entry_points import CORE
from anyjob.registry.lookup import Registry
from anyjob.registry.metadata import normalise


class IsolatedRegistry(Registry):
    """A registry of anyjob's own names and of those that a test gives it.

    A test registers classes by ``register_backend`` and its like, or installs small distributions.

    Args:
        directory: an empty directory.

    Attributes:
        site: where `install` puts things; it has to be on ``sys.path``, to be imported from.
        environ: what it takes for the environment: ``ANYJOB_DISABLE_PLUGINS`` and so on. It is empty;
            to change it, set what is to be set and call ``refresh()``.
    """

    def __init__(self, directory: Path) -> None:
        self.site = directory / "site"
        self.environ: dict[str, str] = {}
        core = directory / "core"
        self.site.mkdir()
        core.mkdir()
        super().__init__([str(self.site), str(core)], self.environ)
        for source in Scan(sys.path).sources:
            if source.distribution == CORE:
                info = core / f"{CORE}-{source.version}.dist-info"
                info.mkdir()
                (info / "METADATA").write_text(source.metadata() or "")
                (info / "entry_points.txt").write_bytes(source.data)

    def install(
        self,
        distribution: str,
        version: str = "1.0",
        *,
        entry_points: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str] | None = None,
        requires: Sequence[str] = (),
    ) -> None:
        """Install a distribution, and look again at what there is.

        Args:
            distribution: its name.
            version: its version.
            entry_points: what it registers, by group: ``{"anyjob.backends": {"acme": "acme:Backend"}}``.
            modules: texts of the files that it brings, by path: ``{"acme.py": "…"}``.
            requires: what it requires: ``["anyjob>=0.1,<1"]``.
        """
        info = self.site / f"{normalise(distribution).replace('-', '_')}-{version}.dist-info"
        required = "".join(f"Requires-Dist: {each}\n" for each in requires)
        files = {
            f"{info.name}/METADATA": (
                f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{required}\nFor a test.\n"
            ),
            f"{info.name}/entry_points.txt": _written(entry_points),
            **(modules or {}),
        }
        files[f"{info.name}/RECORD"] = "".join(f"{path},,\n" for path in files)
        for path, text in files.items():
            (self.site / path).parent.mkdir(parents=True, exist_ok=True)
            (self.site / path).write_text(text, encoding="utf-8")
        self.refresh()

    def forget(self) -> None:
        """Have Python forget the modules that were imported from here."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(f"{self.site}/"):
                del sys.modules[name]


def _written(entry_points: Mapping[str, Mapping[str, str]]) -> str:
    lines = []
    for group, names in entry_points.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in names.items()), ""]
    return "\n".join(lines)
