"""Both ends of a channel, with nothing but pipes between them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.piped_machines import SERVE, PipeBackend
from support.waiting import wait_until

import anyjob
from anyjob import BackendError, BackendUnavailableError, Command, JobStatus, UnsupportedSpecError
from anyjob.errors import JobError
from anyjob.remote import messages
from anyjob.remote.messages import JobIds, Modules, Names, Read, RemoteOrder, Submit
from anyjob.remote.near import bulks, connection, far_files, handover
from anyjob.remote.near.channel import Channel, answered
from anyjob.views.details.facts_of import collect
from anyjob.views.explanation.explain import explain

UNKNOWN = "f" * 20

Make = Callable[..., PipeBackend]


@pytest.fixture
def make(anyjob_session: anyjob.Session, anyjob_environment: Path) -> Make:
    """Gives backends whose far end has a state directory of its own."""
    anyjob_session.registry.register_backend("pipe", PipeBackend)

    def make_backend(**options: Any) -> Any:
        given = {"state": str(anyjob_environment / "far"), **options}
        return anyjob_session.get_backend("pipe", **given)

    return make_backend


def packed(backend: PipeBackend, job_id: str, *argv: str) -> RemoteOrder:
    work = messages.CommandWork([os.fsencode(argument) for argument in argv])
    return RemoteOrder(job_id, work, b"{}")


def test_what_is_handed_over_takes_one_message_for_each_bulk_and_waits_for_no_answer_between(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a slow network costs it one way there and back, however many jobs there are."""
    backend = make()
    backend.run(Command(["true"])).result(60)
    sent: list[str] = []
    sent_before_answer: list[int] = []
    send = Channel.send

    def note_sent(channel: Channel, word: str, body: Any) -> Any:
        if word not in ("ping", "observe"):  # those come whenever something has happened
            sent.append(word)
        return send(channel, word, body)

    def note_answer(answer: Any) -> Any:
        sent_before_answer.append(len(sent))
        return answered(answer)

    monkeypatch.setattr(Channel, "send", note_sent)
    monkeypatch.setattr(connection, "answered", note_answer)
    jobs = backend.run_many([Command(["true"])] * (6 * messages.BULK - 1))
    bulks, on_their_way = len(sent), sent_before_answer
    backend.cancel_many(jobs)
    assert sent[:bulks] == ["submit"] * 6
    assert on_their_way[: connection.WINDOW] == [4, 5, 6, 6]


def test_what_a_channel_is_read_from_is_closed_by_who_reads(make: Make, tmp_path: Path) -> None:
    """Else the next channel may have its number, and a reader of this one reads the beginning of that."""
    pid = tmp_path / "pid"
    script = (
        f'sleep 600 & echo $! > {pid}; exec "$@"'  # it has the pipe, too: reading does not come to its end
    )
    channel = make(argv=("sh", "-c", script, "serve", *SERVE)).channel()
    held = channel._child.stdout
    assert held is not None
    try:
        channel.close()
        assert not held.closed
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    wait_until(lambda: held.closed)


def test_how_many_run_at_a_time_is_limited_there(make: Make, anyjob_session: anyjob.Session) -> None:
    backend = make()
    assert backend.limits_now() == {}
    assert backend.limit("fit", 2, tags={"study": "a"}) == {"fit": 2, "tag:study=a": 2}
    assert make(backend="").limits_now() == {"fit": 2, "tag:study=a": 2}
    assert backend.limit("fit") == {"tag:study=a": 2}
    job = backend.run(Command(["true"]), name="short", limit=3)
    assert job.outcome(60).status is JobStatus.DONE
    assert backend.limits_now()["short"] == 3


def test_what_cannot_be_limited_there_is_told_in_its_words(make: Make, tmp_path: Path) -> None:
    there = tmp_path / "there.toml"
    there.write_text("""
[backends.queue]
type = "batch"
submit = ["true"]
id = "(x)"
listing = ["true"]
row = "(?P<job>x)(?P<state>y)(?P<name>z)"
states = { y = "RUNNING" }
cancel = ["true", "{ids}"]
job_variable = "JOB"
""")
    argv = ["env", f"ANYJOB_CONFIG={there}", *SERVE]
    with pytest.raises(UnsupportedSpecError, match="'queue' cannot limit how many jobs of a name"):
        make(argv=tuple(argv), backend="queue").limit("fit", 2)


def test_an_order_that_is_handed_over_twice_runs_once(make: Make, tmp_path: Path) -> None:
    """Over two channels at the same time, too."""
    ran = tmp_path / "ran"
    first, second = make(), make()
    orders = [packed(first, f"{n:020x}", "sh", "-c", f"echo . >> {ran}.$ANYJOB_JOB_ID") for n in range(20)]
    sent = [
        backend.channel().send("submit", Submit("local", orders)) for backend in (first, second) for _ in "12"
    ]
    for answer in sent:
        assert answered(answer).jobs == {order.job_id: "" for order in orders}
    jobs = [first.channel().ask("observe", JobIds("local", [o.job_id for o in orders])) for _ in range(1)]
    assert len(jobs[0].jobs) == 20
    far = anyjob.Session(state=first.options.state)
    anyjob.wait([far.get_job(order.job_id) for order in orders], 60)
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == [".\n"] * 20
    far.close()


def test_what_was_given_up_is_not_taken_later(make: Make) -> None:
    channel = make().channel()
    assert channel.ask("renounce", JobIds("local", [UNKNOWN])).names == [UNKNOWN]
    answer = channel.ask("submit", Submit("local", [packed(make(), UNKNOWN, "true")]))
    assert "given up" in answer.jobs[UNKNOWN]
    assert channel.ask("find", JobIds("local", [UNKNOWN])).names == [UNKNOWN]


@pytest.mark.parametrize(
    ("word", "body"),
    [
        ("submit", Submit("local", [RemoteOrder("../../x", messages.CommandWork([b"true"]), b"{}")])),
        ("submit", Submit("nobody", [])),
        ("read", Read("local", UNKNOWN, "stdout", 0, 10)),
        ("find", None),
        ("missing-bodies", Names(["../x"])),
    ],
)
def test_nonsense_is_answered_with_an_error_and_the_channel_lives_on(
    make: Make, word: str, body: Any
) -> None:
    channel = make().channel()
    with pytest.raises(anyjob.AnyjobError):
        channel.ask(word, body)
    assert channel.ask("missing-modules", Modules("local", ["os", "no_such_module"])).names == [
        "no_such_module"
    ]


def test_what_is_printed_before_the_far_end_speaks_is_skipped(make: Make) -> None:
    """Login shells have banners: scp and rsync break on them."""
    script = 'printf "*** Welcome ***\\n\\033[31mnews"; exec "$@"'
    backend = make(argv=["sh", "-c", script, "sh", *SERVE])
    assert backend.run(Command(["echo", "on"])).result(60).stdout.text() == "on\n"
    assert "Welcome" in backend.channel().noise


def test_nothing_is_said_before_the_far_end_has_spoken(make: Make, tmp_path: Path) -> None:
    """A `read` in a .bashrc eats what is said to it."""
    heard = tmp_path / "heard"
    script = f'timeout 1 cat > {heard}; exec "$@"'
    assert make(argv=["sh", "-c", script, "sh", *SERVE]).hello().protocol == messages.PROTOCOL
    assert heard.read_bytes() == b""


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo no such program >&2; exit 127", "127: no such program"),
        ("echo something else; exit 0", "0: something else"),
        ("exec yes", "None: y"),
    ],
)
def test_a_far_end_that_is_none_is_told_by_its_own_words(make: Make, script: str, told: str) -> None:
    with pytest.raises(BackendUnavailableError, match=told):
        make(argv=["sh", "-c", script]).hello()


def test_silence_has_an_end(make: Make) -> None:
    with pytest.raises(BackendUnavailableError, match="None"):
        make(argv=["sleep", "1000"], timeout=0.3).hello()


def test_another_protocol_is_told_with_both_versions(make: Make) -> None:
    hello = messages.Hello(messages.PROTOCOL + 1, anyjob="9.9")
    encoded = msgspec.msgpack.encode((0, "hello", hello))
    frame = messages.MAGIC + len(encoded).to_bytes(4, "big") + encoded
    script = f"import os, time; os.write(1, {frame!r}); time.sleep(60)"
    with pytest.raises(BackendError, match=r"9\.9, of protocol 2, .*, of protocol 1: install"):
        make(argv=[sys.executable, "-c", script]).hello()
    with pytest.raises(BackendError, match=r"of protocol 2, and here it is .*, of protocol 1"):
        make(argv=["sh", "-c", "printf 'Welcome\\nanyjob-remote-2\\n'; exec sleep 60"]).hello()


def test_what_was_sent_is_not_forgotten_where_another_anyjob_answers_by_then(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may run there, and was removed here, or told as refused, since that is no lost connection."""
    backend = make()
    backend.run(Command(["true"])).result(60)
    channel = backend.channel()

    def lose(answer: Any) -> Any:
        answered(answer)
        channel.close()
        raise BackendUnavailableError("lost")

    def refuse() -> Channel:
        raise BackendError("another protocol")

    with monkeypatch.context() as patched:
        patched.setattr(connection, "answered", lose)
        patched.setattr(backend._connection, "_open_channel", refuse)
        jobs = backend.run_many([Command(["true"])] * (messages.BULK + 1))
    assert {job.outcome(60).status for job in jobs} == {JobStatus.DONE}


def test_of_several_bulks_one_that_the_far_side_fails_at_takes_no_other_with_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulks, "BULK", 2)
    backend = make()
    asked: list[Any] = []

    def fail_at_the_second(answer: Any) -> Any:
        asked.append(answered(answer))
        if len(asked) == 2:
            raise BackendError("a fault there")
        return asked[-1]

    with monkeypatch.context() as patched:
        patched.setattr(connection, "answered", fail_at_the_second)
        jobs = backend.run_many([Command(["true"])] * 6)
    assert [job.outcome(60).reason for job in jobs] == [None, None, "rejected", "rejected", None, None]


def test_jobs_are_written_down_while_those_before_them_are_on_their_way(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulks, "BULK", 2)
    monkeypatch.setattr(PipeBackend, "part", 4)
    backend = make()
    done: list[str] = []
    enter, send = backend.recorder.enter, Channel.send

    def note_entered(records: Any) -> Any:
        done.append(f"enter {len(records)}")
        return enter(records)

    def note_sent(channel: Channel, word: str, body: Any) -> Any:
        done.extend([word] if word == "submit" else [])
        return send(channel, word, body)

    monkeypatch.setattr(backend.recorder, "enter", note_entered)
    monkeypatch.setattr(Channel, "send", note_sent)
    jobs = backend.run_many([Command(["true"])] * 9)
    part = ["enter 4", "submit", "submit"]
    assert done[:8] == [*part, *part, "enter 1", "submit"]
    assert {job.outcome(60).status for job in jobs} == {JobStatus.DONE}


def test_what_cannot_be_written_down_takes_back_what_was_handed_over_before_it(
    make: Make, monkeypatch: pytest.MonkeyPatch, anyjob_session: anyjob.Session
) -> None:
    monkeypatch.setattr(PipeBackend, "part", 2)
    backend = make()
    enter, entered = backend.recorder.enter, []

    def fill_the_disk(records: Any) -> Any:
        entered.append(len(records))
        if len(entered) == 2:
            raise anyjob.StateError("the disk is full")
        return enter(records)

    monkeypatch.setattr(backend.recorder, "enter", fill_the_disk)
    with pytest.raises(anyjob.StateError, match="the disk is full") as raised:
        backend.run_many([Command(["sleep", "600"])] * 5, name="part")
    jobs = anyjob_session.jobs(name="part")
    assert [job.outcome(60).status for job in jobs] == [JobStatus.CANCELLED] * 2
    assert all(job.job_id() in raised.value.__notes__[0] for job in jobs)


def test_a_job_goes_on_when_its_agent_is_killed(make: Make) -> None:
    backend = make()
    job = backend.run(Command(["sh", "-c", "sleep 1; echo on"]))
    os.kill(backend.hello().pid, signal.SIGKILL)
    assert job.result(60).stdout.text() == "on\n"


def test_an_agent_ends_with_its_client(make: Make, anyjob_environment: Path) -> None:
    """EOF is all that it hears: no signal comes over a connection."""
    environment = {**os.environ, "ANYJOB_STATE": str(anyjob_environment / "far")}
    child = subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    with child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.read(len(messages.MAGIC)) == messages.MAGIC
        child.stdin.close()
        child.stdout.read()
        assert child.wait(30) == 0


def test_what_the_far_side_prints_does_not_get_into_the_channel(make: Make) -> None:
    """fd 1 is moved aside before anything else is imported that may print."""
    script = "import os, sys; sys.stdout.write('noise'); from anyjob.cli import main; main()"
    backend = make(argv=[sys.executable, "-c", script, "serve", "--stdio"])
    assert backend.run(Command(["true"])).outcome(60).status is JobStatus.DONE


def test_an_id_that_nobody_asked_about_is_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = make()
    job = backend.run(Command(["true"]))
    told = messages.Observed({UNKNOWN: messages.RemoteObservation("DONE")})
    monkeypatch.setattr(Channel, "ask", lambda self, word, body: told)
    with pytest.raises(BackendError, match="tells of a job that it was not asked about"):
        backend.observe([job._record.ticket()])


def test_answers_that_do_not_come_leave_jobs_unsure(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = make()
    backend.hello()
    lost = BackendUnavailableError("the connection is lost")
    monkeypatch.setattr(backend._connection, "_answer_or_again", lambda *_: lost)
    job = backend.run(Command(["true"]))
    assert job.native_id() is None
    monkeypatch.undo()
    assert job.outcome(60).status is JobStatus.DONE


def test_files_of_another_machine_are_fetched_and_not_given(make: Make, tmp_path: Path) -> None:
    backend = make()
    leaves = 'echo model > model.txt; echo own > "$ANYJOB_SPOOL/own.txt"'
    big = 'head -c 3000000 /dev/zero > "$ANYJOB_SPOOL/big"'
    job = backend.run(Command(["sh", "-c", f"{leaves}; {big}"], cwd=str(tmp_path)))
    job.result(60)
    into = tmp_path / "got"
    assert job.fetch("model.txt", into=into) == [into / "model.txt"]
    assert set(job.fetch(into=into)) == {into / "own.txt", into / "big"}
    assert (into / "big").read_bytes() == bytes(3_000_000)
    with pytest.raises(JobError, match=rf"{job.job_id()} has left no file"):
        job.fetch("no.txt", into=into)
    assert not (into / "no.txt").exists()
    with pytest.raises(JobError, match=r"job.fetch\('model.txt'\) brings the file"):
        job.output("model.txt")


def test_a_far_machine_cannot_have_files_written_elsewhere(
    make: Make, tmp_path: Path, monkeypatch: Any
) -> None:
    job = make().run(Command(["true"], cwd=str(tmp_path)))
    job.result(60)
    told = b"../../escape\0/etc/escape\0a/../b\0fine\0"
    monkeypatch.setattr(far_files, "parts", lambda *asked: iter([told]))
    assert job.backend()._left(job).names() == ["fine"]


def test_a_backend_that_sees_no_files_of_ours_refuses_them(
    make: Make, anyjob_session: Any, tmp_path: Path
) -> None:
    fit = anyjob_session.get_backend("threads").run(Command(["true"], cwd=str(tmp_path)))
    with pytest.raises(UnsupportedSpecError, match=r"shares no files with this program, .* cannot read '/"):
        make().run(Command(["cat", fit.output("model.txt")]))


def test_behind_a_name_of_several_hosts_a_job_is_seen_from_each_and_ended_on_its_own(make: Make) -> None:
    """They share their state directory. A scheduler's jobs are nobody's own."""
    first, second, lost, wrong = (
        make(argv=("env", f"ANYJOB_HOST={host}", *SERVE), ways=ways)
        for host, ways in (
            ("login1", {}),
            ("login2", {"login1": ("login1",)}),
            ("login2", {}),
            ("login2", {"login1": ("login3",)}),
        )
    )
    job = first.run(Command(["sh", "-c", "echo begun; exec sleep 1000"]))
    next(job.logs(follow=True))
    ticket = job._record.ticket()
    wait_until(lambda: second.observe([ticket])[job.job_id()].status is JobStatus.RUNNING)
    assert second.logs(ticket, "stdout", 0) == b"begun\n"
    with pytest.raises(
        BackendError, match=r"of host login1, which alone can do that, .* nothing leads to it"
    ):
        lost.terminate([ticket])
    with pytest.raises(BackendError, match=r"of host login1, .* leads to "):
        wrong.terminate([ticket])
    assert second.control("pause", [ticket]) == {job.job_id(): True}
    assert second.terminate([ticket]) == {job.job_id(): True}
    assert job.outcome(60).status is JobStatus.CANCELLED


def test_what_a_machine_calls_a_host_is_a_name_and_no_option(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = make()
    job = backend.run(Command(["true"]))
    ticket = job._record.ticket()
    for host in ("-oProxyCommand=x", "a b", "", "x\ny"):
        told = messages.Accepted({}, {job.job_id(): host, UNKNOWN: "login1"})
        monkeypatch.setattr(Channel, "ask", lambda *_, told=told: told)
        with pytest.raises(BackendError, match="is no name of a host"):
            backend.terminate([ticket])


def test_what_the_backends_there_can_do_is_told(make: Make) -> None:
    offers = make(backend="threads").offers()
    assert list(offers) == ["threads", "local"]
    assert (offers["local"].type, offers["local"].accepts) == ("local", ["command", "python"])
    assert "durable" in offers["local"].can
    assert "durable" not in offers["threads"].can
    (broken,) = (each for name, each in make(backend="nowhere").offers().items() if name == "nowhere")
    assert "nowhere" in broken.problem


CLUSTER = """
[backends.cluster]
type = "batch"
submit = ["submit"]
id = '^(\\d+)$'
listing = ["list"]
row = '^(?P<job>\\d+) (?P<state>\\w+) (?P<name>\\S+)$'
cancel = ["cancel", "{ids}"]
job_variable = "JOB"
states = { r = "RUNNING" }
"""


def test_what_a_backend_there_cannot_do_is_refused_before_it_is_handed_over(
    make: Make, anyjob_environment: Path
) -> None:
    """Until it was asked it is told to be able to do all that one may; from then on, what that one can."""
    (anyjob_environment / "far.toml").write_text(CLUSTER)
    backend = make(backend="cluster", argv=("env", f"ANYJOB_CONFIG={anyjob_environment}/far.toml", *SERVE))
    assert backend.capabilities.tasks
    for asked, told in (
        ({"tasks": 2}, "starts one process for a job"),
        ({"gpus": 0.5}, "gives no shares of a GPU"),
        ({"needs": {"license": 1}}, "counts nothing by name"),
        ({"priority": 1}, "knows no priorities"),
        ({"on_walltime": "requeue", "walltime": "1h"}, "runs no job again"),
    ):
        with pytest.raises(UnsupportedSpecError, match=rf"^backend '.*' \(cluster of .*\) {told}"):
            backend.run(Command(["true"]), **asked)
    assert not backend.capabilities.tasks
    assert backend.capabilities.durable
    assert not backend.capabilities.shared_files  # there they are shared, with others
    with pytest.raises(UnsupportedSpecError, match=r"\(cluster of .*\) cannot hold jobs"):
        backend.control("hold", [])
    assert not anyjob.jobs()


@pytest.mark.parametrize("ahead", [0, messages.AHEAD])
def test_a_large_file_goes_in_parts_once_and_the_job_has_it_as_it_was(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """Neither side has more of it in memory than its parts; also where it goes while it is taken."""
    monkeypatch.setattr(handover, "AHEAD", ahead)
    data, backend = tmp_path / "data", make()
    content = os.urandom((3 << 20) + 17)
    data.write_bytes(content)
    sent: list[int] = []
    send = Channel.send

    def noted(self: Channel, word: str, body: Any) -> Any:
        sent.append(len(body.data) if word == "put" else 0)
        return send(self, word, body)

    copies = [tmp_path / f"copy-{n}" for n in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Channel, "send", noted)
        jobs = [
            backend.run(Command(["sh", "-c", f"cat > {copy}"], stdin=anyjob.File(str(data))))
            for copy in copies
        ]
    assert sum(sent) == len(content)
    assert max(sent) <= messages.CHUNK
    data.write_bytes(b"another one")
    assert [job.outcome(60).status.name for job in jobs] == ["DONE"] * 3
    assert all(copy.read_bytes() == content for copy in copies)


class Words:
    """Notes what is asked over channels; a body breaks off where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.breaks_at: int | None = None
        self._send = Channel.send
        monkeypatch.setattr(handover, "AHEAD", 0)
        monkeypatch.setattr(Channel, "send", lambda channel, word, body: self.send(channel, word, body))

    def send(self, channel: Channel, word: str, body: Any) -> Any:
        if word not in ("ping", "observe", "offers"):
            self.asked.append(word)
        if word == "put" and body.offset == self.breaks_at:
            self.breaks_at = None
            channel.close()
        return self._send(channel, word, body)

    def take(self) -> list[str]:
        asked, self.asked = list(dict.fromkeys(self.asked)), []
        return asked


def test_a_large_file_goes_while_it_is_taken_unless_the_other_side_may_have_it(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, data, words = make(), tmp_path / "data", Words(monkeypatch)
    content = os.urandom(3 << 20)
    for offset, kept in ((0, ["may-have", "put"]), (None, ["may-have"]), (1 << 20, ["may-have"])):
        if offset is not None:
            content = content[:offset] + b"changed" + content[offset + 7 :]
        data.write_bytes(content)
        job = backend.run(Command(["cat"], stdin=anyjob.File(str(data))))
        after = ["put"] if offset else []  # it differs where no sample is taken
        assert words.take() == [*kept, "missing-bodies", *after, "submit"]
        assert job.result(60).stdout.bytes() == content
        words.take()


def test_a_large_file_whose_channel_breaks_while_it_is_taken_goes_over_the_next(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, data, words = make(), tmp_path / "data", Words(monkeypatch)
    data.write_bytes(content := os.urandom(3 << 20))
    words.breaks_at = 1 << 20
    job = backend.run(Command(["cat"], stdin=anyjob.File(str(data))))
    assert words.take() == ["may-have", "put", "missing-bodies", "submit"]
    assert job.result(60).stdout.bytes() == content


def test_what_a_plugin_may_refuse_does_not_go_before_it_is_asked(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyjob_session: anyjob.Session
) -> None:
    class Policy:
        def anyjob_before_submit(self) -> None:
            raise anyjob.Refused("not there")

    backend, data, words = make(), tmp_path / "data", Words(monkeypatch)
    data.write_bytes(os.urandom(3 << 20))
    anyjob_session.registry.hooks.register(Policy())
    with pytest.raises(anyjob.Refused):
        backend.run(Command(["cat"], stdin=anyjob.File(str(data))))
    assert words.take() == []


def test_why_a_job_waits_is_told_as_it_is_there(make: Make, anyjob_session: anyjob.Session) -> None:
    backend = make()
    first = backend.run(Command(["sleep", "600"]), cpus=os.cpu_count())
    wait_until(lambda: first.status() is JobStatus.RUNNING)
    before, job = backend.run_many([Command(["true"])] * 2, cpus=os.cpu_count())
    (row,) = anyjob_session.ledger.rows([job.job_id()]).values()
    told = explain(collect(anyjob_session, row))
    host = backend.hello().host
    assert told.headline.startswith(f"waits on {backend.name()}: {host} says that it waits for")
    assert any(first.job_id()[:8] in line for line in told.why), "who holds what it needs"
    assert told.ways_out
    assert all(way.startswith(f"there, on {host}: ") for way in told.ways_out)
    backend.cancel_many([first, before, job])


def test_many_jobs_are_watched_by_at_most_a_message_for_each_change(make: Make) -> None:
    many, asked, told = 40, list[str](), list[int]()
    backend = make()
    backend.learn_capabilities()
    send, notify = Channel.send, PipeBackend.notify

    def noted(self: Channel, word: str, body: Any) -> Any:
        asked.append(word)
        return send(self, word, body)

    def heard(self: PipeBackend, job_ids: Any) -> None:
        told.append(len(job_ids))
        notify(self, job_ids)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Channel, "send", noted)
        patch.setattr(PipeBackend, "notify", heard)
        jobs = backend.run_many([Command(["true"])] * many)
        assert not anyjob.wait(jobs, 60).not_done
    changes = 2 * many  # they run, and they end
    assert sum(told) <= changes
    assert asked.count("observe") + len(told) <= changes
    assert set(asked) <= {"ping", "submit", "observe"}


def test_orders_that_differ_go_there_together_and_one_that_cannot_be_costs_no_other(make: Make) -> None:
    memory = lambda index: 1 << 60 if index == 2 else None  # noqa: E731
    backend = make()
    jobs = backend.run_many([Command(["true"])] * 4, name=[*"abcd"], memory=memory)
    assert [job.exception(60) is None for job in jobs] == [True, True, False, True]
    assert jobs[2].outcome().reason == "rejected"
    far = anyjob.Session(state=backend.options.state)
    known = [far.get_job(job.job_id()) for job in jobs if job is not jobs[2]]
    assert [job.metadata()["name"] for job in known] == [*"abd"]
    far.close()
