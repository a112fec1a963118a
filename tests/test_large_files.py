"""Large files that go with work: taken when the job is made, kept once, and gone with the last job."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import resource
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_local import Local, running, until
from support.small_disk import mounted

import anyjob
from anyjob import Call, Command, File, JobStatus, Resources, Spec, TaskJob
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs import file_copies
from anyjob.builtin.local.supervisor.jobs.bulks import Bulks
from anyjob.builtin.local.supervisor.scheduling import queue
from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.execution import spawning
from anyjob.execution.spawning import lay_file
from anyjob.ledger.encoding import Context, encode_resources
from anyjob.ledger.rows import BackendRow, NewJob
from anyjob.ledger.store import Ledger
from anyjob.remote.far.arriving_bodies import ArrivingBodies
from anyjob.runtime.recording import content_store
from anyjob.runtime.recording.content_store import LARGE, ContentStore
from anyjob.spool.job_spool import INPUTS, held_input
from anyjob.views.details.facts_of import collect
from anyjob.views.explanation.explain import explain

READS = 'cat > "$1"; cmp "$1" "$ANYJOB_SPOOL/files/data" && echo more >> "$ANYJOB_SPOOL/files/data"'


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with running(tmp_path / "local", slots=1) as made:
        yield made


def kept(state: Path) -> list[os.DirEntry[str]]:
    return sorted(os.scandir(state / INPUTS), key=lambda entry: entry.name)


def test_a_large_file_is_what_it_was_when_the_jobs_were_made_and_is_kept_once(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, then = tmp_path / "data", os.urandom(LARGE + 1)
    data.write_bytes(then)
    given = File(str(data))
    gate = local.backend.run(Command(["sh", "-c", f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"]))
    copies = [tmp_path / "copy-0", tmp_path / "copy-1"]
    jobs = local.backend.run_many(
        [Command(["sh", "-c", READS, "sh", str(copy)], stdin=given, files={"data": given}) for copy in copies]
    )
    (entry,) = kept(local.state)
    assert entry.stat().st_nlink == 3
    data.write_bytes(b"another one")
    again = local.backend.run(Command(["wc", "-c"], stdin=given))
    local.backend.run(Command(["true"], stdin=File("same", then)))
    (entry,) = kept(local.state)
    assert entry.stat().st_nlink == 4, "it is kept once for jobs that are submitted one by one, too"
    (tmp_path / "go").touch()
    assert [job.outcome(60).status.name for job in (gate, *jobs, again)] == ["DONE"] * 4
    assert [copy.read_bytes() == then for copy in copies] == [True, True]
    (rerun,) = local.session.rerun([jobs[0]])
    assert rerun.outcome(60).status.name == "DONE"
    assert again.result().stdout.text().split() == ["11"]
    monkeypatch.setattr(content_store, "UNUSED", 0.0)
    local.session.prune(0)
    assert kept(local.state) == []


def test_what_was_kept_goes_with_a_rerun_on_a_backend_that_takes_files_with_their_content(
    local: Local, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.write_bytes(os.urandom(LARGE))
    done = local.backend.run(Command(["cmp", "-", str(data)], stdin=File(str(data))))
    assert done.outcome(60).status.name == "DONE"
    other = anyjob.run(done.spec(), backend=local.session.get_backend("threads"))
    assert other.outcome(60).status.name == "DONE"


def test_a_kind_of_a_plugin_is_lowered_with_the_content_of_its_large_files(
    local: Local, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"a" * LARGE)
    local.session.registry.register_job_type("acme.size", SizeJob)
    assert local.backend.run(Size(File(str(data)))).result(60) == LARGE


class Size(Spec[int], frozen=True, tag="acme.size"):
    """How long a file is."""

    path: File


class SizeJob(TaskJob[int]):
    """It looks into the file to be lowered."""

    spec_type = Size
    lowers_to = ("python",)

    @classmethod
    def lower(cls, spec: Size, to: str) -> Call:
        return Call(int, (len(spec.path.content or b""),))


def test_a_file_that_changed_is_taken_anew_and_one_that_is_the_same_is_not(tmp_path: Path) -> None:
    store, data = ContentStore(tmp_path), tmp_path / "data"
    data.write_bytes(b"a" * LARGE)
    first = store.take(File(str(data)))
    assert store.take(File(str(data))) == first == store.take(File(str(data), b"a" * LARGE))
    data.write_bytes(b"b" * LARGE)
    second = store.take(File(str(data)))
    assert {entry.name for entry in kept(tmp_path)} == {first.sha256, second.sha256}
    assert store.in_memory(second).content == b"b" * LARGE


def test_a_job_cannot_change_what_all_read_by_its_stdin(tmp_path: Path) -> None:
    store, content = ContentStore(tmp_path), b"a" * LARGE
    taken = store.take(File("data", content))
    ArrivingBodies(store).put(1, 0, b"b", sent := hashlib.sha256(b"b").hexdigest())
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in kept(tmp_path)}
    assert modes == {taken.sha256: 0o400, sent: 0o400}


def test_more_jobs_hold_a_file_than_the_file_system_counts_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, real = ContentStore(tmp_path), os.link

    def link(source: Path, target: Path) -> None:
        if os.stat(source).st_nlink == 3:
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    taken = store.take(File("data", b"a" * LARGE))
    for number in range(5):
        store.hold(taken.sha256, tmp_path / str(number))
    held = [held_input(tmp_path / str(number), taken.sha256) for number in range(5)]
    assert {path.read_bytes() for path in held} == {b"a" * LARGE}
    assert len({path.stat().st_ino for path in held}) == 3, "not a copy for each"


def test_nothing_is_left_of_a_copy_that_the_disk_has_no_room_for(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "state")
    taken = store.take(File("data", b"a" * LARGE))
    store.hold(taken.sha256, tmp_path / "job")
    with room_for(LARGE // 2), pytest.raises(OSError, match="too large"):
        lay_file(taken, tmp_path / "job", "data")
    assert list((tmp_path / "job" / "files").iterdir()) == []


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let this process write no file of more bytes, as if the disk were full there."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"a" * LARGE)
    (tmp_path / "state").write_text("no directory")
    with pytest.raises(anyjob.StateError, match="state"):
        ContentStore(tmp_path / "state").take(File(str(data)))
    with pytest.raises(anyjob.SpecError, match="cannot read the file"):
        ContentStore(tmp_path).take(File(str(tmp_path / "none")))


def test_who_waits_for_room_for_a_large_file_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with mounted(tmp_path, "size=24m") as disk, running(disk, slots=1) as local:
        local.backend.run(Call(abs, (-1,))).result(60)
        data = tmp_path / "data"
        data.write_bytes(os.urandom(8 << 20))
        (disk / "fill").write_bytes(bytes((os.statvfs(disk).f_bavail << 12) - (14 << 20)))
        count = Command(["sh", "-c", 'wc -c < "$ANYJOB_SPOOL/files/data"'], files={"data": File(str(data))})
        large = local.backend.run(count)
        after = local.backend.run_many([Command(["true"])] * 5)
        assert [job.outcome(60).status.name for job in after] == ["DONE"] * 5
        until(lambda: "waits for room for the large files" in caplog.text, "who waits is told")
        assert large.status().name == "QUEUED"
        (row,) = local.session.ledger.rows([large.job_id()]).values()
        told = explain(collect(local.session, row))
        assert "waits for room on the disk" in told.headline
        assert "take 8.0 MiB, and " in told.why[0]
        (disk / "fill").unlink()
        assert large.result(60).stdout.text() == f"{8 << 20}\n"


class Copying:
    """A scheduler of jobs, the first of which have large files; these are copied when that is let."""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch, large: int, small: int) -> None:
        self.may_go_on = threading.Event()
        self.copied: list[str] = []
        monkeypatch.setattr(file_copies, "write_files", self.copy)
        (state / "data").write_bytes(b"a" * LARGE)
        paths, store, self.ledger = RuntimePaths(state), ContentStore(state), Ledger(state)
        taken = store.take(File(str(state / "data")))
        number = self.ledger.backend(BackendRow("f", "l", "local", "anyjob", {"slots": 8}, paths.host))
        self.ids = [f"{each:020x}" for each in range(large + small)]
        self.spools = [paths.spool / job_id[:2] / job_id for job_id in self.ids[:large]]
        for spool in self.spools:
            store.hold(taken.sha256, spool)
        work = [Command(["true"], files={"data": taken})] * large + [Command(["true"])] * small
        self.ledger.add(
            number,
            [NewJob(job_id, pickle.dumps(each)) for job_id, each in zip(self.ids, work, strict=True)],
            kind="command",
            native="command",
            context=Context(("command",), encode_resources(Resources())),
            state=JobStatus.QUEUED,
        )
        self.scheduler = Scheduler(self.ledger, paths, Bulks(self.ledger), lambda: None)
        self.scheduler.rescan(number)

    def copy(self, command: Command, directory: Path) -> None:
        assert self.may_go_on.wait(60)
        self.copied.append(directory.name)
        spawning.write_files(command, directory)

    def take(self) -> list[str]:
        """Return the jobs that start now."""
        taken = list(self.scheduler.take())
        assert not any(isinstance(order, Exception) for _, order in taken)
        return [job.job_id for job, _ in taken]

    def take_the_others(self) -> list[str]:
        """Have the files copied; return who starts by and by."""
        self.may_go_on.set()
        started: list[str] = []

        def all_have_started() -> bool:
            started.extend(self.take())
            return not self.scheduler.has_waiting

        until(all_have_started, "all start once their files are there")
        self.ledger.close()
        return started


def test_while_large_files_are_copied_other_jobs_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor copied them itself: nothing of the machine started, or was told, until that was done."""
    jobs = Copying(tmp_path, monkeypatch, large=2, small=3)
    assert jobs.take() == jobs.ids[2:]
    assert jobs.take_the_others() == jobs.ids[:2] == jobs.copied
    assert [(spool / "files" / "data").stat().st_size for spool in jobs.spools] == [LARGE] * 2


def test_only_so_many_with_large_files_are_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those are held in memory."""
    monkeypatch.setattr(queue, "SET_ASIDE", 3)
    jobs = Copying(tmp_path, monkeypatch, large=5, small=1)
    assert jobs.take() == []
    assert sorted(jobs.take_the_others()) == jobs.ids
    assert jobs.copied == jobs.ids[:5]
