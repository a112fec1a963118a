from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import importlib_metadata
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import distributions as build

from anyjob.registry import metadata
from anyjob.registry.discovery import Scan, version_key
from anyjob.registry.entry_points import BACKENDS, GROUPS, PLUGINS, split_value
from anyjob.registry.metadata import normalise, parse

Answer = list[tuple[str, ...]]


def answer(scan: Scan) -> Answer:
    """All that a scan says, in one shape: what counts, and what does not."""
    found = [each for group in GROUPS for each in scan.find(group)]
    found += [each for passed in scan.ignored for group in GROUPS for each in passed.references(group)]
    states = {passed.source.location: passed.state for passed in scan.ignored}
    return sorted(
        (
            each.group,
            each.name,
            each.value,
            each.distribution,
            each.version,
            each.location,
            *each.api,
            states.get(each.location, "ok"),
        )
        for each in found
    )


def both_ways(path: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Answer, Answer]:
    """What the fast path says, and what importlib_metadata says where it is asked for everything."""
    fast = answer(Scan(path))
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "_in_directory", lambda root: None)
        slow = answer(Scan(path))
    return fast, slow


def wheels(tmp_path: Path) -> list[str]:
    build.install_backend(tmp_path / "site", "one")
    build.install_backend(tmp_path / "site", "two", "2.0rc1", distribution="Acme.Two_plugins")
    build.install(tmp_path / "site", "unrelated", groups={"console_scripts": {"x": "y:z"}})
    build.install(tmp_path / "site", "without-any")
    return [str(tmp_path / "site")]


def by_pip(tmp_path: Path) -> list[str]:
    built = build.wheel(
        tmp_path, "anyjob-pip", groups={BACKENDS: {"pip": "pip_one:B"}}, modules={"pip_one.py": "B = 1"}
    )
    build.pip_install(tmp_path / "site", str(built))
    return [str(tmp_path / "site")]


def editable_by_pip(tmp_path: Path) -> list[str]:
    project = tmp_path / "project"
    (project / "src" / "anyjob_edited").mkdir(parents=True)
    (project / "src" / "anyjob_edited" / "__init__.py").write_text(build.backend_module())
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "anyjob-edited"\nversion = "0.3"\n'
        '[project.entry-points."anyjob.backends"]\nedited = "anyjob_edited:Backend"\n'
    )
    site = build.pip_install_editable(tmp_path / "prefix", project)
    return [str(site), str(project / "src")]


def editable_twice(tmp_path: Path) -> list[str]:
    build.install_backend(tmp_path / "site", "twice")
    groups = {BACKENDS: {"twice": "anyjob_twice:Backend"}}
    build.egg_info(tmp_path / "src", "anyjob-twice", "1.1.dev0", groups)
    return [str(tmp_path / "site"), str(tmp_path / "src")]


def egg_info(tmp_path: Path) -> list[str]:
    build.egg_info(tmp_path / "src", "anyjob-egg.info", "3.1", {BACKENDS: {"egg": "egg:B"}})
    (tmp_path / "src" / "old-1.0-py3.11.egg-info").write_text(build.metadata_text("old", "1.0"))
    return [str(tmp_path / "src")]


def egg_directory(tmp_path: Path) -> list[str]:
    info = tmp_path / "anyjob_egg-1.5-py3.11.egg" / "EGG-INFO"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text(build.metadata_text("anyjob-egg", "1.5"))
    (info / "entry_points.txt").write_text(build.entry_points_text({BACKENDS: {"egg": "egg:B"}}))
    return [str(info.parent)]


def zipped(tmp_path: Path) -> list[str]:
    built = build.wheel(tmp_path, "anyjob-zip", "4.0", groups={BACKENDS: {"zip": "in_zip:B"}})
    return [str(built), str(built / "sub")]


def shadowed(tmp_path: Path) -> list[str]:
    build.install_backend(tmp_path / "first", "same", "1.0")
    build.install_backend(tmp_path / "second", "same", "2.0")
    build.install_backend(tmp_path / "second", "other")
    return [str(tmp_path / "first"), str(tmp_path / "second"), str(tmp_path / "first")]


def shadowed_by_one_without_names(tmp_path: Path) -> list[str]:
    build.install(tmp_path / "first", "anyjob-same", "2.0")
    build.install_backend(tmp_path / "second", "same", "1.0")
    return [str(tmp_path / "first"), str(tmp_path / "second")]


def stale_versions(tmp_path: Path) -> list[str]:
    for version in ("1.9", "1.10", "1.10rc1"):
        build.install_backend(tmp_path / "site", "same", version)
    return [str(tmp_path / "site")]


def without_metadata(tmp_path: Path) -> list[str]:
    build.install_backend(tmp_path / "first", "same", "3.0")
    (tmp_path / "first" / "anyjob_same-3.0.dist-info" / "METADATA").unlink()
    build.install_backend(tmp_path / "second", "same", "1.0")
    build.install_backend(tmp_path / "second", "alone", "1.0")
    (tmp_path / "second" / "anyjob_alone-1.0.dist-info" / "METADATA").unlink()
    return [str(tmp_path / "first"), str(tmp_path / "second")]


def left_behind_by_pip(tmp_path: Path) -> list[str]:
    build.install_backend(tmp_path / "site", "kept")
    os.rename(
        tmp_path / "site" / "anyjob_kept-1.0.dist-info", tmp_path / "site" / "~nyjob_kept-1.0.dist-info"
    )
    return [str(tmp_path / "site")]


def two_api_versions(tmp_path: Path) -> list[str]:
    groups = {
        "anyjob.api": {"v1": "m", "v2": "m"},
        BACKENDS: {"x": "m:X", "y": "m:Y"},
        PLUGINS: {"h": "m.hooks"},
    }
    build.install(tmp_path / "site", "anyjob-both", groups=groups)
    return [str(tmp_path / "site")]


def odd_entries(tmp_path: Path) -> list[str]:
    (tmp_path / "plain.txt").write_text("no directory, and no zip file")
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    (tmp_path / "empty").mkdir()
    names = ("plain.txt", "empty.zip", "empty", "nowhere")
    build.install_backend(tmp_path / "site", "one")
    return [str(tmp_path / name) for name in names] + [str(tmp_path / "site")]


LAYOUTS = [
    wheels,
    by_pip,
    editable_by_pip,
    editable_twice,
    egg_info,
    egg_directory,
    zipped,
    shadowed,
    shadowed_by_one_without_names,
    stale_versions,
    without_metadata,
    left_behind_by_pip,
    two_api_versions,
    odd_entries,
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_the_fast_path_says_what_importlib_metadata_says(
    layout: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """importlib_metadata#324: one pass over the metadata, with the same answer."""
    fast, slow = both_ways(layout(tmp_path), monkeypatch)
    assert fast
    assert fast == slow


def test_what_counts_agrees_with_importlib_metadata_where_that_is_decided(tmp_path: Path) -> None:
    path = [each for layout in (wheels, shadowed) for each in layout(tmp_path / layout.__name__)]
    found = importlib_metadata.Distribution.discover(path=path)
    seen: set[str] = set()
    theirs = []
    for distribution in found:
        if distribution.name not in seen:
            seen.add(distribution.name)
            theirs += [(ep.name, ep.value, distribution.version) for ep in distribution.entry_points]
    ours = [(each.name, each.value, each.version) for group in GROUPS for each in Scan(path).find(group)]
    assert sorted(ours) == sorted(each for each in theirs if each[0] != "x")


def test_an_editable_install_counts_once(tmp_path: Path) -> None:
    """importlib_metadata#410, jupyter_client#692, keyring#486: the entry points were doubled."""
    scan = Scan(editable_twice(tmp_path))
    assert [each.version for each in scan.find(BACKENDS, "twice")] == ["1.0"]
    (passed,) = scan.ignored
    assert (passed.state, passed.source.version) == ("duplicate", "1.1.dev0")


def test_what_imports_find_first_counts(tmp_path: Path) -> None:
    """importlib_metadata#481, qiskit#12165: only the distribution that imports would find."""
    path = shadowed(tmp_path)
    assert [each.version for each in Scan(path).find(BACKENDS, "same")] == ["1.0"]
    assert [each.version for each in Scan(path[1:]).find(BACKENDS, "same")] == ["2.0"]


def test_a_copy_that_has_no_names_shadows_too(tmp_path: Path) -> None:
    scan = Scan(shadowed_by_one_without_names(tmp_path))
    assert scan.find(BACKENDS) == []
    assert [each.state for each in scan.ignored] == ["duplicate"]


def test_the_highest_version_in_a_directory_counts_and_the_others_are_stale(tmp_path: Path) -> None:
    scan = Scan(stale_versions(tmp_path))
    assert [each.version for each in scan.find(BACKENDS, "same")] == ["1.10"]
    assert sorted((each.state, each.source.version) for each in scan.ignored) == [
        ("stale", "1.10rc1"),
        ("stale", "1.9"),
    ]


def test_what_has_no_metadata_loses_but_counts_where_it_is_alone(tmp_path: Path) -> None:
    scan = Scan(without_metadata(tmp_path))
    assert [each.version for each in scan.find(BACKENDS, "same")] == ["1.0"]
    assert [each.version for each in scan.find(BACKENDS, "alone")] == ["1.0"]
    (passed,) = scan.ignored
    assert passed.state == "stale"
    assert "no METADATA" in passed.why


def test_what_pip_left_behind_does_not_count(tmp_path: Path) -> None:
    scan = Scan(left_behind_by_pip(tmp_path))
    assert scan.find(BACKENDS) == []
    assert [each.state for each in scan.ignored] == ["stale"]


@pytest.mark.parametrize("text", ["[anyjob.backends]\nno equals sign\n", b"[anyjob.backends]\nx = \xff\n"])
def test_what_cannot_be_read_is_told_and_harms_nobody(
    text: str | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wheels(tmp_path)
    info = tmp_path / "site" / "anyjob_one-1.0.dist-info" / "entry_points.txt"
    info.write_bytes(text.encode() if isinstance(text, str) else text)
    fast = Scan(path)
    monkeypatch.setattr(metadata, "_in_directory", lambda root: None)
    for scan in (fast, Scan(path)):
        assert [source.distribution for source, _ in scan.unreadable()] == ["anyjob-one"]
        assert [each.name for each in scan.find(BACKENDS)] == ["two"]


def test_a_large_file_is_read_to_its_end(tmp_path: Path) -> None:
    names = {f"name{number}": f"module:Class{number}" for number in range(10_000)}
    build.install(tmp_path / "site", "anyjob-large", groups={BACKENDS: names})
    assert len(Scan([str(tmp_path / "site")]).find(BACKENDS)) == len(names)


class _Foreign(importlib_metadata.Distribution):
    """A distribution that lives nowhere, as a frozen application's do."""

    def read_text(self, filename: str) -> str | None:
        texts = {
            "METADATA": build.metadata_text("Anyjob_Frozen", "7.0"),
            "entry_points.txt": "[anyjob.backends]\nfrozen = frozen:B\n",
        }
        return texts.get(filename)

    def locate_file(self, path: Any) -> Any:
        raise NotImplementedError


class _Finder:
    def find_spec(self, *args: Any) -> None:
        return None

    def find_distributions(self, context: Any = None) -> Iterator[importlib_metadata.Distribution]:
        yield _Foreign()


class _FailingFinder(_Finder):
    def find_distributions(self, context: Any = None) -> Iterator[importlib_metadata.Distribution]:
        raise RuntimeError("out of order")


def test_the_distributions_of_a_foreign_finder_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", [_Finder(), *sys.meta_path])
    (found,) = Scan(wheels(tmp_path)).find(BACKENDS, "frozen")
    assert (found.distribution, found.version) == ("anyjob-frozen", "7.0")


def test_a_foreign_finder_that_fails_is_told_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", [_FailingFinder(), *sys.meta_path])
    scan = Scan(wheels(tmp_path))
    assert len(scan.find(BACKENDS)) == 2
    ((_, why),) = scan.unreadable()
    assert "out of order" in why


def test_plain_directories_are_read_without_importlib_metadata(tmp_path: Path) -> None:
    wheels(tmp_path)
    program = (
        "import sys; from anyjob.registry.discovery import Scan\n"
        "assert Scan([sys.argv[1]] if sys.argv[1:] else sys.path).find('anyjob.backends', 'one')\n"
        "print([n for n in ('importlib_metadata', 'importlib.metadata', 're', 'typing') if n in sys.modules])"
    )
    assert build.python(program, tmp_path / "site") == "[]\n"


def test_the_current_directory_is_searched_where_the_path_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site,) = wheels(tmp_path)
    monkeypatch.chdir(site)
    (found,) = Scan([""]).find(BACKENDS, "one")
    assert found.location == f"{site}/anyjob_one-1.0.dist-info"


spaces = st.text(" \t\f\v", max_size=2)
words = st.text("ab.-_: é#=[]", max_size=6)
entry_lines = st.builds("{}{}{}={}{}{}".format, spaces, words, spaces, spaces, words, spaces)
section_lines = st.builds(
    "{}[{}]{}".format, spaces, st.sampled_from([*GROUPS, "console_scripts", ""]), spaces
)
other_lines = st.one_of(spaces, st.builds("{}#{}".format, spaces, words), words)
texts = st.lists(st.one_of(entry_lines, section_lines, other_lines), max_size=12).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n", "\r", "\x0b", "\u2028"]).map(lambda end: end.join(lines))
)


@given(texts)
@example("[anyjob.backends]\nx = module:attr [extra1, extra2]\n# y = z\n\n  y=a:b.c  \n")
@example("x = before:any\n[anyjob.backends]\nno equals\n")
@example("\ufeff[anyjob.backends]\nx = y:z\n")
def test_entry_points_are_parsed_as_importlib_metadata_does(text: str) -> None:
    try:
        theirs = [(ep.group, ep.name, ep.value) for ep in importlib_metadata.EntryPoints._from_text(text)]  # type: ignore[no-untyped-call]
    except TypeError:  # a line without "="
        with pytest.raises(ValueError, match="has no '='"):
            list(parse(text))
    else:
        assert list(parse(text)) == theirs


values = st.one_of(
    st.sampled_from(["m", "m.n", "m:a", "m.n:a.b", "m:a [x]", "m : a", "m:a[x, y]", "m [x]", "-", "", "a b"]),
    st.text("mn.: [],x", max_size=8).map(str.strip),
)


@given(values)
def test_what_a_value_refers_to_is_what_importlib_metadata_loads(value: str) -> None:
    theirs = importlib_metadata.EntryPoint(name="", value=value, group="")
    try:
        module, attributes = split_value(value)
    except ValueError:
        return  # stricter in what no import could find: see the test below
    assert (module, ".".join(attributes)) == (theirs.module, theirs.attr or "")


@pytest.mark.parametrize("value", ["m", "m.n:a.b", "m : a", "m:a [x, y]", "m [x]", "m:a[x]"])
def test_usual_values_are_taken(value: str) -> None:
    assert split_value(value)[0] in ("m", "m.n")


@given(st.text("aB1-_. ", max_size=10))
def test_names_of_distributions_are_normalised_as_pip_does(name: str) -> None:
    utils = pytest.importorskip("packaging.utils")
    assert normalise(name) == utils.canonicalize_name(name)


numbers = st.integers(0, 12).map(str)
versions = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["", "", "1!"]),
    st.lists(numbers, min_size=1, max_size=3).map(".".join),
    st.sampled_from(["", "", "a1", "b2", "rc1", "rc10"]),
    st.sampled_from(["", "", ".post1", ".post2"]),
    st.sampled_from(["", "", ".dev0", ".dev3"]),
    st.sampled_from(["", "", "+local"]),
)


@given(versions, versions)
def test_versions_are_ordered_as_packaging_does(one: str, other: str) -> None:
    version = pytest.importorskip("packaging.version").Version
    assert (version_key(one) < version_key(other)) == (version(one) < version(other))


@given(st.text(max_size=12))
def test_no_version_fails(text: str) -> None:
    assert version_key(text) == version_key(text)
