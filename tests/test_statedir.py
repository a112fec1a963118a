"""The state directory is found, private, and known for a network file system where it is on one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob import StateError
from anyjob.ledger.file import statedir
from anyjob.ledger.file.statedir import default_state, exclusive, file_system, is_network, private_directory

MOUNTS = r"""
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:26 / /net rw,relatime shared:5 - autofs systemd-1 rw
31 30 0:40 / /net rw,relatime shared:6 master:1 - nfs4 server:/net rw,vers=4.2
32 22 0:41 / /network rw - xfs /dev/sdb rw
33 22 0:42 / /mnt/with\040blank\134s rw - lustre 10.0.0.1@tcp:/x rw
34 22 0:43 / /data/größe rw - fuse.sshfs me@there:/ rw
35 31 0:44 / /net/disk rw shared:9 - btrfs /dev/sdc rw
torn line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib", "ext4"),
        ("/net", "nfs4"),
        ("/net/me/.local/state", "nfs4"),
        ("/network/me", "xfs"),
        ("/mnt/with blank\\s/me", "lustre"),
        ("/data/größe/x", "fuse.sshfs"),
        ("/net/disk/me", "btrfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


@given(st.text())
def test_any_mount_table_can_be_read(mounts: str) -> None:
    assert isinstance(file_system(Path("/net/me"), mounts), str)


def test_a_link_is_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/net/me")
    assert file_system(tmp_path / "link", MOUNTS) == "nfs4"


@pytest.mark.parametrize(
    ("kind", "network"),
    [("nfs4", True), ("lustre", True), ("fuse.sshfs", True), ("ext4", False), ("", False)],
)
def test_network_file_systems(kind: str, network: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statedir, "file_system", lambda path: kind)
    assert is_network(Path("/x")) is network


def test_where_state_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_state({}) == tmp_path / "anyjob"
    assert default_state({"ANYJOB_STATE": "~/x"}) == Path.home() / "x"
    monkeypatch.chdir(tmp_path)
    assert default_state({"ANYJOB_STATE": "x"}) == tmp_path / "x"


def test_a_new_directory_is_private(tmp_path: Path) -> None:
    made = private_directory(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    assert private_directory(made) == made


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702, 0o1777])
def test_one_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(StateError, match=r"others may write to .*open.*chmod 700 .*ANYJOB_STATE"):
        private_directory(path)


def test_one_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(StateError, match=r"belongs to uid \d+, not to you \(uid 4711\).*ANYJOB_STATE"):
        private_directory(tmp_path)


def test_one_that_is_no_directory_or_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"file is not a directory.*ANYJOB_STATE"):
        private_directory(tmp_path / "file")
    with pytest.raises(StateError, match=r"cannot make the directory .*Not a directory.*ANYJOB_STATE"):
        private_directory(tmp_path / "file" / "below")


def test_a_link_that_leads_nowhere_is_told_as_one_and_one_to_a_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(StateError, match=r"link is a link to .*there, where no directory is.*ANYJOB_STATE"):
        private_directory(tmp_path / "link")
    (tmp_path / "there").mkdir(mode=0o700)
    assert private_directory(tmp_path / "link") == tmp_path / "link"


def test_one_that_its_own_user_cannot_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o300)
    with pytest.raises(StateError, match=r"closed cannot be read \(mode 0300\): chmod 700 .*ANYJOB_STATE"):
        private_directory(tmp_path / "closed")


def test_a_lock_is_held_by_one_thread_at_a_time(tmp_path: Path) -> None:
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with exclusive(tmp_path / "lock"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_is_let_go_of_though_a_child_has_it(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with exclusive(tmp_path / "lock"):
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent is done
            os._exit(0)
    with exclusive(tmp_path / "lock"):
        pass
    os.close(writer)
    os.waitpid(pid, 0)
    os.close(reader)


def test_a_lock_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("link", "missing/lock"):
        with pytest.raises(StateError, match=r"cannot write .*ANYJOB_STATE"), exclusive(tmp_path / name):
            pass
