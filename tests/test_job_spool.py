"""The spool: private, links not followed, nothing unpickled that is not the user's own."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob import StateError
from anyjob.spool import job_spool, private_files
from anyjob.status import JobStatus

ID = "ab" * 10
HOSTILE = ["", ".", "..", "../../etc", "ab" * 9, "AB" * 10, "ab" * 9 + "/a", f"{ID}\n", f"{ID}/..", "gg" * 10]


def directory(tmp_path: Path) -> Path:
    made = job_spool.path_of(tmp_path, ID)
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize("name", HOSTILE)
def test_only_ids_become_paths(tmp_path: Path, name: str) -> None:
    (tmp_path / "precious").touch()
    calls: list[Callable[[], Any]] = [
        lambda: job_spool.path_of(tmp_path, name),
        lambda: job_spool.write_payload(tmp_path, name, b""),
        lambda: job_spool.read_payload(tmp_path, name),
        lambda: job_spool.remove(tmp_path, name),
    ]
    for call in calls:
        with pytest.raises(StateError, match="is no job id"):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@given(st.text())
def test_no_text_leads_out_of_the_spool(text: str) -> None:
    try:
        path = job_spool.path_of(Path("/spool"), text)
    except StateError:
        return
    assert path == Path("/spool", text[:2], text)
    assert path.resolve() == path


def test_what_is_large_is_kept_privately(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        job_spool.write_payload(tmp_path / "spool", ID, b"work")
    finally:
        os.umask(before)
    assert job_spool.read_payload(tmp_path / "spool", ID) == b"work"
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"spool": 0o700, "ab": 0o700, ID: 0o700, "payload.pkl": 0o600}
    assert list(job_spool.job_ids(tmp_path / "spool")) == [ID]


@pytest.mark.parametrize("link", ["ab", f"ab/{ID}", f"ab/{ID}/payload.pkl"])
def test_planted_links_are_not_followed(tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    (outside / ID).mkdir(parents=True)
    (outside / "payload.pkl").write_bytes(b"precious")
    (outside / ID / "payload.pkl").write_bytes(b"precious")
    here = tmp_path / "spool"
    (here / link).parent.mkdir(parents=True)
    (here / link).symlink_to(outside / "payload.pkl" if link.endswith("pkl") else outside)
    with pytest.raises(OSError):  # noqa: PT011
        job_spool.write_payload(here, ID, b"hostile")
    if link != "ab":  # the directory of a job and what is in it: the job itself may write there
        with pytest.raises(StateError):
            job_spool.read_payload(here, ID)
        with pytest.raises(OSError):  # noqa: PT011
            private_files.read_range(here / "ab" / ID / "payload.pkl", 0)
    assert job_spool.read_outcome(job_spool.path_of(here, ID)) is None
    job_spool.remove(here, ID)
    assert sorted(path.read_bytes() for path in outside.rglob("*.pkl")) == [b"precious", b"precious"]


def test_links_within_a_removed_directory_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (directory(tmp_path / "spool") / "link").symlink_to(outside)
    job_spool.remove(tmp_path / "spool", ID)
    assert not job_spool.path_of(tmp_path / "spool", ID).exists()
    assert (outside / "precious").exists()
    job_spool.remove(tmp_path / "spool", ID)  # it is gone already


def test_what_is_no_file_or_not_ours_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = directory(tmp_path)
    os.mkfifo(place / "stdout")
    with pytest.raises(StateError, match="not a plain file of yours"):
        private_files.read_range(place / "stdout", 0)
    (place / "outcome.pkl").write_bytes(pickle.dumps({"status": "DONE"}))
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(StateError, match="not a plain file of yours"):
        job_spool.read_outcome(place)


def test_output_is_read_from_an_offset(tmp_path: Path) -> None:
    place = directory(tmp_path)
    assert private_files.read_range(place / "stdout", 0) == b""
    (place / "stdout").write_bytes(b"0123456789")
    assert private_files.read_range(place / "stdout", 4, 3) == b"456"
    assert private_files.read_range(place / "stdout", 10) == b""


class Hostile:
    """Would leave a file in the working directory, if it were unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch never",)


def test_an_outcome_is_read_and_a_large_value_left_where_it_is(tmp_path: Path) -> None:
    place = directory(tmp_path)
    assert job_spool.read_outcome(place) is None
    value = pickle.dumps(bytes(job_spool.KEPT_IN_LEDGER))
    (place / "outcome.pkl").write_bytes(pickle.dumps({"status": "DONE", "value": value, "started": 1.0}))
    outcome = job_spool.read_outcome(place)
    assert outcome is not None
    assert (outcome.status, outcome.started) == (JobStatus.DONE, 1.0)
    assert isinstance(outcome.value, job_spool.InSpool)
    assert job_spool.load_large(outcome.value) == value
    job_spool.remove(tmp_path, ID)
    with pytest.raises(StateError, match="cannot be read: No such file"):
        job_spool.load_large(outcome.value)


@pytest.mark.parametrize(
    "said",
    [
        {"status": "NEVER"},
        {"status": "DONE", "colour": "blue"},
        {},
        [],
        Hostile(),
        {"status": "DONE", "value": Hostile()},
    ],
    ids=["status", "field", "nothing", "list", "hostile", "hidden"],
)
def test_what_is_no_outcome_is_none(tmp_path: Path, said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = directory(tmp_path)
    (place / "outcome.pkl").write_bytes(pickle.dumps(said))
    monkeypatch.chdir(tmp_path)
    assert job_spool.read_outcome(place) is None
    assert not (tmp_path / "never").exists()


WHOLE = pickle.dumps({"status": "DONE", "value": b"x" * 200, "host": "h", "started": 1.5}, 5)


@given(st.integers(0, len(WHOLE) - 1))
def test_half_an_outcome_is_none(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    place = tmp_path_factory.mktemp("half")
    (place / "outcome.pkl").write_bytes(WHOLE[:size])
    assert job_spool.read_outcome(place) is None


@given(st.binary(max_size=200))
def test_garbage_is_none(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    place = tmp_path_factory.mktemp("garbage")
    (place / "outcome.pkl").write_bytes(garbage)
    assert job_spool.read_outcome(place) is None


def test_what_another_job_writes_where_a_file_was_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker takes the directory of a call, in which nothing is, along to the next one."""
    path = directory(tmp_path) / "stdout"
    path.touch()
    real = os.pread

    def taken_along(descriptor: int, size: int, offset: int) -> bytes:
        path.parent.rename(tmp_path / "next")
        (tmp_path / "next" / "stdout").write_text("of another")
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", taken_along)
    assert private_files.read_range(path, 0) == b""


def test_a_directory_is_removed_where_there_is_no_room_for_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = directory(tmp_path)
    (path / "stdout").touch()

    def is_full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "rename", is_full)
    job_spool.remove(tmp_path, ID)
    assert not path.exists()


def test_a_directory_is_no_jobs_any_more_once_its_removal_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a worker cannot have taken it along to a call whose files are then removed."""
    path = directory(tmp_path)
    (path / "stdout").touch()

    def is_killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", is_killed)
        with pytest.raises(KeyboardInterrupt):
            job_spool.remove(tmp_path, ID)
    assert not path.exists()
    assert list(job_spool.job_ids(tmp_path)) == [ID]  # what is left is found, and removed with others
    job_spool.remove(tmp_path, ID)
    assert list(job_spool.job_ids(tmp_path)) == []
    assert list(path.parent.iterdir()) == []
