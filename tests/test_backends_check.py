"""``anyjob backends check``: the kit's short and safe checks, on a backend as it is configured."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wrong_backends_construction as making
import wrong_backends_job as life
from right_backend import RightBackend
from right_plain import RightPlainBackend
from support.cli_program import install, invoke, start
from support.durable_state import durable_state

from anyjob.config.settings import Config
from anyjob.registry.lookup import Registry
from anyjob.session.facade import Session
from anyjob.testing import BackendConformance, TaskBackendConformance
from anyjob.testing.live import NAME, TAG, CheckResult, LiveRun, live_checks


def session_of(backend: type[Any], engine_directory: Path) -> Session:
    registry = Registry()
    registry.register_backend("mine", backend)
    options = {"directory": str(engine_directory)} if issubclass(backend, RightBackend) else {}
    config = Config.from_dict({"backends": {"mine": {"type": "mine", **options}}})
    return Session(config=config, registry=registry, state=engine_directory.parent / "state")


def run(
    session: Session, *, timeout: float = 20.0, limit: float = 60.0, stop: bool = False
) -> dict[str, CheckResult]:
    live = LiveRun(session, "mine", timeout=timeout, limit=limit, stopped=lambda: stop)
    found = {result.check: result for result in live.results()}
    assert set(found) == set(live_checks(session.get_backend("mine")))
    return found


def test_all_of_the_kit_that_is_marked_live_is_run(engine_directory: Path) -> None:
    for kit, backend in ((BackendConformance, RightPlainBackend), (TaskBackendConformance, RightBackend)):
        with session_of(backend, engine_directory) as session:
            marked = {
                name.removeprefix("test_").replace("_", "-")
                for name in dir(kit)
                if getattr(getattr(kit, name), "is_live", False)
            }
            assert marked == set(live_checks(session.get_backend("mine")))
            assert len(marked) >= 5


def test_a_right_backend_keeps_its_promises_and_nothing_is_left(engine_directory: Path) -> None:
    with session_of(RightBackend, engine_directory) as session:
        found = run(session)
        assert not [result for result in found.values() if result.state not in ("ok", "skipped")]
        assert found["work-that-succeeds-is-done-and-gives-its-result"].state == "ok"
        assert found["work-that-runs-is-cancelled"].state == "ok"
        assert all(result.promise.endswith(".") for result in found.values())
        assert session.jobs() == []
        assert not [path for root in session.services.ledger.spools() for path in root.glob("*/*")]


WRONG = {
    life.LosesTracebacks: "an-exception-comes-back-with-the-remote-traceback",
    life.LosesStderr: "what-the-work-wrote-can-be-read",
    life.KeepsTheFirstLine: "what-the-work-wrote-can-be-read",
    making.Renamed: "it-has-the-name-that-it-was-configured-with",
    making.WithOddStatus: "it-says-which-version-it-is-and-how-it-is",
}


@pytest.mark.parametrize("backend", WRONG, ids=lambda backend: backend.__name__)
def test_a_wrong_backend_is_found_out_and_the_jobs_that_show_it_stay(
    backend: type[Any], engine_directory: Path
) -> None:
    with session_of(backend, engine_directory) as session:
        result = run(session)[WRONG[backend]]
        assert result.state == "failed"
        assert result.message
        kept = {job.job_id(): job.metadata() for job in session.jobs(name=NAME)}
        assert set(result.jobs) <= set(kept)
        for job_id in result.jobs:
            assert kept[job_id]["tags"] == {TAG: result.check}
        assert bool(result.jobs) is not (backend in (making.Renamed, making.WithOddStatus))


def test_of_a_plain_backend_its_work_is_not_known(engine_directory: Path) -> None:
    with session_of(RightPlainBackend, engine_directory) as session:
        states = {result.check: result.state for result in run(session).values()}
    assert states["it-has-the-name-that-it-was-configured-with"] == "ok"
    assert states["work-that-succeeds-is-done-and-gives-its-result"] == "skipped"


def test_after_the_limit_no_check_is_begun(engine_directory: Path) -> None:
    with session_of(RightBackend, engine_directory) as session:
        found = run(session, limit=0.0)
        assert {result.state for result in found.values()} == {"skipped"}
        assert "no time was left" in next(iter(found.values())).message
        assert session.jobs() == []


def test_what_is_interrupted_is_left_out(engine_directory: Path) -> None:
    with session_of(RightBackend, engine_directory) as session:
        found = run(session, stop=True)
    assert {(result.state, result.message) for result in found.values()} == {
        ("skipped", "it was interrupted")
    }


def test_a_backend_that_hangs_keeps_nobody(engine_directory: Path) -> None:
    goes_on = threading.Event()

    class Hangs(RightBackend):
        def version(self) -> str:
            goes_on.wait()
            return ""

    with session_of(Hangs, engine_directory) as session:
        try:
            found = run(session, timeout=0.5, limit=0.1)
        finally:
            goes_on.set()
    result = found["it-says-which-version-it-is-and-how-it-is"]
    assert result.state == "failed"
    assert "not at an end after" in result.message


def test_jobs_that_are_left_behind_are_ended_by_the_engine(engine_directory: Path) -> None:
    seen = []

    class Notes(RightBackend):
        def run(self, spec: Any, **resources: Any) -> Any:
            seen.append(resources)
            return super().run(spec, **resources)

    with session_of(Notes, engine_directory) as session:
        run(session)
    assert seen
    assert all(given["walltime"] <= 300 and given["name"] == NAME and TAG in given["tags"] for given in seen)


def test_pytest_is_not_needed() -> None:
    program = (
        "import sys; sys.modules.update(pytest=None, hypothesis=None); from anyjob.cli.app import main; "
        "main(['backends', 'check', 'inline'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Work that succeeds ends as DONE" in done.stdout


# --- the command ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inline", "threads", "processes"])
def test_built_in_backends_keep_their_promises(name: str) -> None:
    done = invoke("backends", "check", name, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["ok"], found["backend"]) == (0, True, name)
    assert {each["state"] for each in found["promises"]} <= {"ok", "skipped"}
    assert len(found["promises"]) >= 15
    assert set(found["promises"][0]) == {"check", "promise", "state", "message", "seconds", "jobs"}


def test_the_local_backend_keeps_its_promises(tmp_path: Path) -> None:
    with durable_state(tmp_path):
        done = invoke("backends", "check", "local")
        assert done.exit_code == 0
        assert done.stdout.splitlines()[-1].endswith(" promises kept, 0 broken, 0 not looked at")
        assert json.loads(invoke("jobs", "--json").stdout) == []


def test_a_quick_check_looks_at_no_promise() -> None:
    done = invoke("backends", "check", "threads", "--quick")
    assert done.exit_code == 0
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "configuration",
        "command",
        "python",
    ]


WITHOUT_LOGS = """
from anyjob.builtin.threads import ThreadsBackend
class Silent(ThreadsBackend):
    def logs(self, ticket, stream, offset):
        return super().logs(ticket, stream, offset) if stream == "stdout" else b""
"""


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A type of backend that breaks one promise is installed."""
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    monkeypatch.syspath_prepend(str(tmp_path))
    install(
        tmp_path,
        "silent",
        "[anyjob.backends]\nsilent = silent_of_checks:Silent\n",
        silent_of_checks=WITHOUT_LOGS,
    )


@pytest.mark.usefixtures("silent")
def test_a_broken_promise_fails_the_check() -> None:
    done = invoke("backends", "check", "silent")
    assert done.exit_code == 1
    broken = [line for line in done.stdout.splitlines() if line.startswith("failed  ")]
    (logs,) = [line for line in broken if line.startswith("failed  logs() gives what the work wrote")]
    assert "logs('stderr') gave []" in logs
    assert f" promises kept, {len(broken)} broken, " in done.stdout.splitlines()[-1]
    found = json.loads(invoke("backends", "check", "silent", "--json").stdout)
    assert (found["ok"], [each["state"] for each in found["checks"]]) == (False, ["ok"] * 3)


AWAY = """
from anyjob import BackendUnavailableError, Capabilities, Options, TaskBackend, Unsure
class Cloud(Options, frozen=True):
    '''Options.

    Args:
        url: where it is.
        token: who we are.
    '''
    url: str
    token: str
class Away(TaskBackend):
    accepts = frozenset({"command"})
    capabilities = Capabilities(find=True)
    def launch(self, orders):
        return ((order, Unsure()) for order in orders)
    def observe(self, tickets):
        raise BackendUnavailableError("the engine sleeps")
    terminate = find = observe
class Fussy(Away):
    Options = Cloud
"""


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Types of backend are installed whose engine never answers."""
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = "[anyjob.backends]\naway = away_of_checks:Away\nfussy = away_of_checks:Fussy\n"
    install(tmp_path, "away", names, away_of_checks=AWAY)


@pytest.mark.usefixtures("away")
def test_an_engine_that_does_not_answer_is_told_of() -> None:
    done = invoke("backends", "check", "away", "--timeout", "0.1s")
    assert done.exit_code == 1
    assert (
        "command: failed: still INITIALIZING after 0.1 s: the engine sleeps; it could not be cancelled"
        in done.stdout
    )


@pytest.mark.usefixtures("away")
def test_each_thing_that_is_wrong_has_a_line() -> None:
    lines = invoke("backends", "check", "fussy").stdout.splitlines()
    assert len(lines) == 2
    assert "url" in lines[0]
    assert lines[1].startswith("        ")
    assert "token" in lines[1]


NOTES = """
import pickle
from anyjob import Capabilities, JobStatus, Observation, Outcome, Spec, TaskBackend, TaskJob
class Note(Spec, tag="acme.note"):
    text: str
class NoteJob(TaskJob):
    spec_type = Note
    @classmethod
    def sample(cls):
        return Note("short and harmless")
class Unsaid(TaskJob):
    spec_type = Note
class Desk(TaskBackend):
    accepts = frozenset({"acme.note"})
    capabilities = Capabilities()
    end = JobStatus.DONE, None
    def launch(self, orders):
        assert all(order.spec.text == "short and harmless" for order in orders)
        return ((order, order.job_id) for order in orders)
    def observe(self, tickets):
        return {each.job_id: Observation(*self.end) for each in tickets}
    def collect(self, tickets):
        status, reason = self.end
        value = pickle.dumps("noted")
        return {each.job_id: Outcome(status=status, reason=reason, value=value) for each in tickets}
    def terminate(self, tickets):
        return {each.job_id: False for each in tickets}
class Burnt(Desk):
    end = JobStatus.ERROR, "exception"
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs backends for one kind of work alone, which has the given job type."""
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(job_type: str) -> None:
        names = (
            "[anyjob.backends]\ndesk = notes_of_checks:Desk\nburnt = notes_of_checks:Burnt\n"
            f"[anyjob.job_types]\n'acme.note' = notes_of_checks:{job_type}\n"
        ).replace("'", "")
        install(tmp_path, "notes", names, notes_of_checks=NOTES)

    return installed


def test_a_kind_that_brings_a_sample_is_tried(notes: Callable[[str], None]) -> None:
    notes("NoteJob")
    done = invoke("backends", "check", "desk")
    assert done.exit_code == 0, done.output
    assert "\nacme.note: ok: in " in done.stdout
    assert "ok      Work that succeeds ends as DONE, and its result is what it should be.\n" in done.stdout
    done = invoke("backends", "check", "burnt")
    assert done.exit_code == 1
    assert "\nacme.note: failed: job " in done.stdout
    assert "promises" not in done.stdout


def test_a_kind_without_a_sample_is_told(notes: Callable[[str], None]) -> None:
    notes("Unsaid")
    done = invoke("backends", "check", "desk")
    assert done.exit_code == 0, done.output
    assert (
        "jobs: skipped: it accepts acme.note, of which there is no sample: run one of your own" in done.stdout
    )


WAITS = """
import sys
from anyjob.builtin.threads import ThreadsBackend
class Waits(ThreadsBackend):
    def launch(self, orders):
        yield from super().launch(orders)
        print("launched", file=sys.stderr, flush=True)
    def _run_job(self, job):
        pass
"""


def test_ctrl_c_cancels_and_ends_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "waits", "[anyjob.backends]\nwaits = waits_of_checks:Waits\n", waits_of_checks=WAITS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with start("backends", "check", "waits") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"launched\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"command: failed: " in out
    assert b"cancelled" in out
    assert b"python" not in out
    assert b"promises" not in out
