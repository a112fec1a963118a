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
from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.execution import spawning
from anyjob.execution.spawning import lay_file
from anyjob.ledger.encoding import Context, encode_resources
from anyjob.ledger.rows import BackendRow, NewJob
from anyjob.ledger.store import Ledger
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
    store.put(sent := hashlib.sha256(b"b").hexdigest(), 0, b"b", last=True, channel=1)
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


def test_while_large_files_are_copied_other_jobs_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor copied them itself: nothing of the machine started, or was told, until that was done."""
    paths, may_go_on, copied = RuntimePaths(tmp_path), threading.Event(), []

    def copy(command: Command, directory: Path) -> None:
        assert may_go_on.wait(60)
        copied.append(directory.name)
        spawning.write_files(command, directory)

    monkeypatch.setattr(file_copies, "write_files", copy)
    (tmp_path / "data").write_bytes(b"a" * LARGE)
    store, ledger = ContentStore(tmp_path), Ledger(tmp_path)
    taken = store.take(File(str(tmp_path / "data")))
    options = {"slots": 3, "shared": {}}
    number = ledger.backend(BackendRow("f", "l", "local", "anyjob", options, paths.host))
    ids = [f"{each:020x}" for each in range(4)]
    work = [Command(["true"], files={"data": taken})] * 2 + [Command(["true"])] * 2
    for job_id in ids[:2]:
        store.hold(taken.sha256, paths.spool / job_id[:2] / job_id)
    ledger.add(
        number,
        [NewJob(job_id, pickle.dumps(each)) for job_id, each in zip(ids, work, strict=True)],
        kind="command",
        native="command",
        context=Context(("command",), encode_resources(Resources())),
        state=JobStatus.QUEUED,
    )
    scheduler = Scheduler(ledger, paths, Bulks(ledger), lambda: None)
    scheduler.rescan(number)
    assert [job.job_id for job, _ in scheduler.take()] == ids[2:]
    assert scheduler.has_waiting
    may_go_on.set()
    started: list[str] = []

    def all_start() -> bool:
        started.extend(job.job_id for job, order in scheduler.take() if not isinstance(order, Exception))
        return len(started) == 2

    until(all_start, "those with large files start when these are there")
    assert started == ids[:2] == copied
    for job_id in ids[:2]:
        assert (paths.spool / job_id[:2] / job_id / "files" / "data").read_bytes() == b"a" * LARGE
    ledger.close()
