"""`TaskBackend`: handing over work, cancelling it, and reading what came of it."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from support.scripted_backends import ScriptedEngine
from support.waiting import wait_until

from anyjob.backend import Capabilities
from anyjob.errors import (
    BackendError,
    BackendUnavailableError,
    JobCancelledError,
    JobError,
    JobFailedError,
    JobNotFoundError,
    JobRejectedError,
    Refused,
    SpecError,
)
from anyjob.job import JobStatus
from anyjob.orders import Observation, Options, Rejected, Ticket, Unsure
from anyjob.outcome import Outcome
from anyjob.resources import Resources
from anyjob.runtime.services import Services
from anyjob.specs import Call, Spec
from anyjob.taskbackend import TaskBackend

DONE = JobStatus.DONE


@pytest.fixture
def engine() -> Iterator[ScriptedEngine]:
    backend = ScriptedEngine.make()
    yield backend
    backend.close()


class Listening(Services):
    """A host that refuses what is called "no", gives variables, and hears of everything."""

    watches = True

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[Any, ...]] = []

    def before_submit(self, backend: Any, job_id: str, spec: Spec, resources: Resources) -> None:
        assert isinstance(spec, Call)
        if spec.args == ("no",):
            raise Refused("not on a Sunday")

    def environment(self, backend: Any, job_id: str, spec: Spec) -> Mapping[str, str]:
        return {"TRACE": "on", "ANYJOB_JOB_ID": "somebody else's"}

    def submitted(self, job: Any) -> None:
        self.heard.append(("submitted", job.native_id()))

    def changed(self, record: Any, old: JobStatus, new: JobStatus) -> None:
        self.heard.append((record.native_id, old.name, new.name))

    def finished(self, backend: Any, record: Any, outcome: Outcome) -> None:
        self.heard.append(("finished", record.native_id, outcome.status.name))


def call(argument: str = "x") -> Call:
    return Call(len, (argument,))


# --- launching ------------------------------------------------------------------------------------


def test_an_order_holds_what_an_engine_needs(engine: ScriptedEngine) -> None:
    engine.services = Listening()
    engine.say("n0", JobStatus.QUEUED)
    job = engine.run(call(), cpus=2, name="fit")
    (order,) = engine.launched
    assert order.job_id == job.job_id()
    assert order.spec == call()
    assert order.resources == Resources(cpus=2, name="fit")
    assert order.environment == {"TRACE": "on", "ANYJOB_JOB_ID": job.job_id()}
    assert (order.spool, order.attempt) == (None, 1)
    assert job.native_id() == "n0"
    assert job.spec() == call()
    assert "name='fit', QUEUED" in repr(job)


def test_many_are_launched_at_once_and_keep_their_order(engine: ScriptedEngine) -> None:
    jobs = engine.run_many([call(text) for text in "abc"], tags={"study": "a"})
    assert [job.spec().args for job in jobs] == [("a",), ("b",), ("c",)]
    assert [job.native_id() for job in jobs] == ["n0", "n1", "n2"]
    assert all(job.metadata()["tags"] == {"study": "a"} for job in jobs)
    assert engine.run_many([]) == []
    assert [job.spec().args for job in engine.map(pow, [2, 3], [4, 5])] == [(2, 4), (3, 5)]


def test_a_resource_that_is_none_is_refused_before_the_engine_hears(engine: ScriptedEngine) -> None:
    with pytest.raises(SpecError, match="did you mean 'cpus'"):
        engine.run(call(), cpu=2)
    assert engine.launched == []


def test_run_raises_a_rejection_in_the_words_of_the_engine(engine: ScriptedEngine) -> None:
    engine.answers = [Rejected("no such partition: gpu")]
    with pytest.raises(JobRejectedError, match=r"would not take the job: no such partition: gpu$"):
        engine.run(call())
    assert engine.jobs() == []


def test_run_many_returns_the_rejected_one_in_error(engine: ScriptedEngine) -> None:
    engine.answers = ["first", Rejected("too big"), "third"]
    first, second, third = engine.run_many([call(), call(), call()])
    assert (first.native_id(), second.native_id(), third.native_id()) == ("first", None, "third")
    assert second.status() is JobStatus.ERROR
    assert second.outcome().reason == "rejected"
    with pytest.raises(JobRejectedError, match="too big"):
        second.result()
    assert engine.questions == []  # there was nothing to ask


def test_a_plugin_may_refuse(engine: ScriptedEngine) -> None:
    engine.services = Listening()
    with pytest.raises(Refused, match=r"^not on a Sunday$"):
        engine.run(call("no"))
    assert engine.jobs() == []
    good, refused = engine.run_many([call("yes"), call("no")])
    assert good.native_id() == "n0"
    assert (refused.outcome().status, refused.outcome().reason) == (JobStatus.ERROR, "rejected")
    assert refused.outcome().message == "not on a Sunday"
    del refused
    assert engine.jobs() == [good]
    assert [order.spec.args for order in engine.launched] == [("yes",)]  # type: ignore[attr-defined]


def test_a_launch_that_raises_at_once_raises_from_run_and_leaves_nothing(engine: ScriptedEngine) -> None:
    """Parsl#3235: a missing sbatch was retried ten times. One clear error at once."""
    engine.answers = [BackendUnavailableError("no sbatch on PATH")]
    with pytest.raises(BackendUnavailableError, match="no sbatch"):
        engine.run_many([call(), call()])
    assert engine.jobs() == []
    assert engine.launched == []


def test_a_launch_that_raises_half_way_loses_no_job(engine: ScriptedEngine) -> None:
    engine.answers = ["first", BackendUnavailableError("timed out")]
    first, second, third = engine.run_many([call(), call(), call()])
    assert first.native_id() == "first"
    engine.say("first", JobStatus.RUNNING)
    assert not first.in_final_state()
    for other in (second, third):
        assert other.outcome().reason == "rejected"
        assert "BackendUnavailableError: timed out" in other.outcome().message


def test_an_interrupt_half_way_is_no_rejection(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(orders: Any) -> Iterator[Any]:
        yield orders[0], "first"
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "launch", launch)
    with pytest.raises(KeyboardInterrupt):
        engine.run_many([call(), call()])
    assert [job.native_id() for job in engine.jobs()] == ["first"]


def test_a_function_is_given_with_its_arguments(engine: ScriptedEngine) -> None:
    """Every peer's submit(fn, *args); keywords are resources."""
    for work in (pow, "builtins:pow"):
        job = engine.run(work, 2, 5, name="power", cpus=2)
        assert job.spec() == Call(work, (2, 5))
        assert (job.metadata()["name"], engine.launched[-1].resources.cpus) == ("power", 2)
    assert engine.run(dict).spec() == Call(dict)


def test_what_is_neither_is_told_how_work_is_given(engine: ScriptedEngine) -> None:
    run: Any = engine.run
    hint = r"give a Command\(.*, a function and its arguments, a Call\(.* or the spec of a plugin"
    with pytest.raises(SpecError, match=rf"run\(\) takes a spec alone, and was given 1 arguments.*{hint}"):
        run(call(), 3)
    for work in (7, "ls -l", Call, None):
        with pytest.raises(SpecError, match="is not a spec"):
            run(work)
    with pytest.raises(SpecError, match=r"'base' is none.*run\(Call\(pow, …, \{'base': …\}\)\)"):
        run(pow, 2, base=3)
    with pytest.raises(SpecError, match="these are 2 pieces of work: hand them over by run_many"):
        run([call(), call()])
    with pytest.raises(SpecError, match=r"'cwd' is a field of the work, .*: give it to Call\(…, cwd=…\)"):
        run(call(), cwd="/")
    assert engine.launched == []
    assert engine.run(spec=call()).native_id() == "n0"


def test_a_call_of_which_the_engine_has_no_value_gives_no_result(engine: ScriptedEngine) -> None:
    nothing, none = engine.run_many([call(), call()])
    engine.say("n0", DONE)
    engine.say("n1", DONE)
    engine.outcomes["n1"] = Outcome(status=DONE, value=pickle.dumps(None))
    assert nothing.outcome().status is DONE
    with pytest.raises(JobFailedError, match=r"is DONE, and backend engine has nothing of what") as caught:
        nothing.result()
    assert caught.value.reason == "lost"
    assert none.result() is None


# --- an engine that did not say -------------------------------------------------------------------


def test_a_job_that_the_engine_may_have_is_found(engine: ScriptedEngine) -> None:
    """submitit#1659: sbatch timed out. The job is found by its id, and not submitted twice."""
    engine.answers = [Unsure()]
    job = engine.run(call())
    assert (job.native_id(), job._record.status) == (None, JobStatus.INITIALIZING)
    engine.known[job.job_id()] = "after-all"
    engine.say("after-all", DONE)
    engine.outcomes["after-all"] = Outcome(status=DONE, value=3)
    assert job.result() == 3
    assert job.native_id() == "after-all"
    assert len(engine.launched) == 1


def test_a_job_that_cannot_be_found_is_lost_and_says_so(engine: ScriptedEngine) -> None:
    """submitit#1659: at most once, never silently."""
    engine.answers = [Unsure()]
    job = engine.run(call())
    with pytest.raises(
        JobFailedError, match=r"did not say whether it has taken job .* not submitted again"
    ) as caught:
        job.result()
    assert caught.value.reason == "lost"
    assert len(engine.launched) == 1


def test_a_job_that_the_engine_may_have_is_looked_for_before_it_is_cancelled(engine: ScriptedEngine) -> None:
    engine.answers = [Unsure()]
    job = engine.run(call())
    engine.known[job.job_id()] = "after-all"
    engine.say("after-all", JobStatus.RUNNING)
    assert job.cancel()
    assert engine.terminated == [[job.job_id()]]


def test_an_engine_that_cannot_find_loses_it_at_once() -> None:
    engine = ScriptedEngine.make(capabilities=Capabilities(find=False))
    engine.answers = [Unsure()]
    assert engine.run(call()).outcome().reason == "lost"


def test_an_order_that_the_engine_says_nothing_about_is_unsure(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "launch", lambda orders: [(orders[0], "first")])
    first, silent = engine.run_many([call(), call()])
    assert first.native_id() == "first"
    assert silent.outcome(timeout=20).reason == "lost"


def test_an_answer_that_means_nothing_is_told_and_the_job_not_forgotten(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "launch", lambda orders: [(order, 7) for order in orders])
    with pytest.raises(BackendError, match=r"launch\(\) of ScriptedEngine gave 7 for job .* id as text"):
        engine.run(call())
    (job,) = engine.jobs()
    engine.known[job.job_id()] = "7"
    engine.say("7", DONE)
    engine.outcomes["7"] = Outcome(status=DONE, value=3)
    assert job.result() == 3


def test_an_observation_that_is_none_is_told(engine: ScriptedEngine) -> None:
    job = engine.run(call())
    engine.seen["n0"] = "running"  # type: ignore[assignment]
    with pytest.raises(BackendError, match=r"observe\(\) of ScriptedEngine gave 'running' for job"):
        job.result(timeout=20)


# --- cancelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
def test_cancel_says_whether_it_was_accepted(engine: ScriptedEngine, accepted: bool) -> None:
    """qiskit-jku-provider#26, qiskit#638: cancel did nothing, or did not say."""
    engine.accept_cancel = accepted
    job = engine.run(call())
    assert job.cancel() is accepted
    assert engine.terminated == [[job.job_id()]]


def test_a_cancelled_job_is_asked_about_again_at_once() -> None:
    engine = ScriptedEngine.make(floor=3600.0)
    job = engine.run(call())
    engine.say("n0", JobStatus.CANCELLED)
    assert job.status() is JobStatus.QUEUED  # younger than the floor
    assert job.cancel()
    assert job.cancelled()
    assert job.cancel() is False
    assert len(engine.terminated) == 1
    engine.close()


def test_many_are_cancelled_by_one_call(engine: ScriptedEngine) -> None:
    """submitit#1766, Parsl#2232: a mass cancel timed out."""
    jobs = engine.run_many([call()] * 100)
    assert engine.cancel_many(jobs) == [True] * 100
    assert engine.terminated == [[job.job_id() for job in jobs]]
    assert engine.cancel_many([]) == []


def test_jobs_of_another_backend_are_not_cancelled(engine: ScriptedEngine) -> None:
    other = ScriptedEngine.make("other")
    mine, theirs = engine.run(call()), other.run(call())
    with pytest.raises(JobError, match="is of backend other, not of 'engine'"):
        engine.cancel_many([mine, theirs])
    assert engine.terminated == other.terminated == []


def test_a_cancelled_job_has_no_result(engine: ScriptedEngine) -> None:
    """qiskit-ibm-runtime PR#930: a cancelled job returned None."""
    job = engine.run(call())
    engine.say("n0", JobStatus.CANCELLED, message="by the operator")
    with pytest.raises(JobCancelledError, match="by the operator"):
        job.result()
    assert isinstance(job.exception(), JobCancelledError)


# --- what came of it ------------------------------------------------------------------------------


def test_a_result_is_a_fresh_copy_and_the_same_each_time(engine: ScriptedEngine) -> None:
    """ibmq-provider#466, qiskit-ibm-runtime#1691, #1205: a cached result was mutated by the user.
    azure-quantum-python#323: each result() came out different."""
    job = engine.run(call())
    engine.say("n0", DONE)
    engine.outcomes["n0"] = Outcome(status=DONE, value=pickle.dumps([1, 2]))
    first = job.result()
    first.append(3)
    assert job.result() == job.result() == [1, 2]
    assert job.result() is not job.result()


def test_an_outcome_wins_over_what_the_engine_says(engine: ScriptedEngine) -> None:
    job = engine.run(call())
    engine.say("n0", JobStatus.ERROR, reason="node-failure", message="node 7 went away")
    engine.outcomes["n0"] = Outcome(status=DONE, value=pickle.dumps(1))
    assert job.result() == 1


@pytest.mark.parametrize(
    "reason", ["exit-code", "signal", "walltime", "memory", "node-failure", "lost", "missing-module"]
)
def test_every_failure_says_its_reason(engine: ScriptedEngine, reason: str) -> None:
    """ibmq-provider#390, submitit PR#1715: poor failure messages."""
    job = engine.run(call())
    engine.say("n0", JobStatus.ERROR, reason=reason, message="in the engine's words")
    with pytest.raises(JobFailedError, match=rf"failed \({reason}\): in the engine's words") as caught:
        job.result()
    assert caught.value.reason == reason
    assert type(job.exception()) is type(caught.value)


def test_a_job_without_a_queue_position_is_no_trouble(engine: ScriptedEngine) -> None:
    """qiskit-metapackage#1458: a monitor crashed without queue_position."""
    job = engine.run(call())
    assert job.metadata()["queue_position"] is None
    engine.say("n0", JobStatus.QUEUED, queue_position=4, message="waiting for node 7")
    engine.notify([job.job_id()])
    assert job.status() is JobStatus.QUEUED
    assert (job.metadata()["queue_position"], job.metadata()["message"]) == (4, "waiting for node 7")


def test_the_host_hears_of_each_change_once() -> None:
    engine = ScriptedEngine.make()
    engine.services = host = Listening()
    done = threading.Event()
    engine.say("n0", JobStatus.RUNNING)
    job = engine.run(call())
    job._on_final(lambda status: done.set())
    engine.await_questions(2)
    engine.say("n0", DONE)
    assert done.wait(20)
    engine.close()
    assert ("submitted", "n0") in host.heard
    host.heard.remove(("submitted", "n0"))
    assert host.heard == [
        ("n0", "INITIALIZING", "QUEUED"),
        ("n0", "QUEUED", "RUNNING"),
        ("n0", "RUNNING", "DONE"),
        ("finished", "n0", "DONE"),
    ]


def test_a_host_that_raises_keeps_nobody_waiting() -> None:
    """A hook of a strict plugin raises: who waits for the job is told that, once, and the job is as it is."""

    class Strict(Listening):
        def finished(self, backend: Any, record: Any, outcome: Outcome) -> None:
            raise RuntimeError("a plugin is broken")

    engine = ScriptedEngine.make(grace=3600.0)
    engine.services = Strict()
    job = engine.run(call())
    told: list[Any] = []
    job._on_final(told.append)
    engine.say("n0", DONE)
    wait_until(lambda: told)
    assert isinstance(told[0], RuntimeError)
    assert job.outcome().status is DONE
    engine.close()


# --- handles --------------------------------------------------------------------------------------


def test_handles_are_equal_by_id(engine: ScriptedEngine) -> None:
    job, other = engine.map(len, ["a", "b"])
    again = engine.retrieve_job(job.job_id())
    assert again == job
    assert again is not job
    assert hash(again) == hash(job)
    assert len({job, again, other}) == 2
    assert job != job.job_id()


def test_handles_pickle(engine: ScriptedEngine) -> None:
    """qiskit-aer#240, qiskit#6978: save jobs, pickle handles."""
    job = engine.run(call())
    assert pickle.loads(pickle.dumps(job)) == job
    engine.say("n0", DONE)
    pickle.loads(pickle.dumps([job]))[0].wait_for_final_state(20)
    assert job.done()


def test_a_job_that_nobody_knows_is_not_found(engine: ScriptedEngine) -> None:
    with pytest.raises(JobNotFoundError, match="'engine' has no job 'abc' in this process"):
        engine.retrieve_job("abc")


def test_a_job_cannot_be_submitted_again(engine: ScriptedEngine) -> None:
    with pytest.raises(JobError, match=r"backend\.run\(job\.spec\(\)\)"):
        engine.run(call()).submit()


def test_jobs_lists_those_that_have_not_ended_and_those_that_are_held(engine: ScriptedEngine) -> None:
    ids = [engine.run(call()).job_id() for _ in range(2)]
    assert [job.job_id() for job in engine.jobs()] == ids
    engine.say("n0", DONE)
    engine.say("n1", DONE)
    kept = engine.retrieve_job(ids[1])
    engine.notify(ids)
    kept.wait_for_final_state(20)
    wait_until(lambda: [job.job_id() for job in engine.jobs()] == [ids[1]])  # it lets go of the other


def test_logs_have_two_streams(engine: ScriptedEngine) -> None:
    job = engine.run(call())
    assert list(job.logs()) == list(job.logs("stderr")) == []
    with pytest.raises(JobError, match="no stream 'stdlog'"):
        list(job.logs("stdlog"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_of_logs_are_whole_however_they_come(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    text = "one\n\ntwo\r\nthrée\x85\u2028x\nno end"
    data = text.encode()
    monkeypatch.setattr(engine, "logs", lambda ticket, stream, offset: data[offset : offset + size])
    assert list(engine.run(call()).logs()) == ["one\n", "\n", "two\r\n", "thrée\x85\u2028x\n", "no end"]


def test_the_three_methods_are_abstract() -> None:
    with pytest.raises(TypeError, match="launch"):
        TaskBackend(None)  # type: ignore[abstract]


def test_what_passes_through_is_plain() -> None:
    ticket = Ticket(job_id="a", native_id="b", submitted=1.0)
    assert pickle.loads(pickle.dumps(ticket)) == ticket
    assert Observation(DONE) == Observation(DONE, None, "", None, 1)


# --- what a job is told for one type of engine ----------------------------------------------------


class QueueOptions(Options, frozen=True):
    queue: str = "short"


class SiteOptions(Options, frozen=True):
    queue: str = "site's own"
    url: str = "there"


class AskingOptions(Options, frozen=True):
    queue: str
    retries: int = 0


def test_options_for_its_own_type_are_checked(engine: ScriptedEngine) -> None:
    engine.type_name = "engine"
    with pytest.raises(
        SpecError, match="options of the job for 'engine': queue: unknown option; there are none"
    ):
        engine.run(call(), options={"engine": {"queue": "long"}})
    assert engine.launched == []
    engine.run(call(), options={"engine": {}, "other": {"queue": "long"}})
    assert engine.launched[0].options == Options()


def test_a_type_declares_what_its_jobs_may_be_told() -> None:
    backend = ScriptedEngine.make(JobOptions=QueueOptions)
    backend.type_name = "acme/device"  # that of a provider
    backend.run_many([call()] * 2, options={"acme": {"queue": "long"}})
    assert [order.options for order in backend.launched] == [QueueOptions("long")] * 2
    backend.run(call())
    assert backend.launched[2].options == QueueOptions("short")
    with pytest.raises(SpecError, match=r"queue: expected .*string, got .*integer"):
        backend.run(call(), options={"acme": {"queue": 3}})
    with pytest.raises(SpecError, match="did you mean 'queue'"):
        backend.run(call(), options={"acme": {"queu": "long"}})
    backend.close()


def test_what_a_job_is_not_told_is_as_the_backend_was_told() -> None:
    backend = ScriptedEngine.make(JobOptions=AskingOptions)
    backend.type_name, backend.options = "acme", SiteOptions()
    backend.run(call(), options={"acme": {"retries": 2}})
    backend.run(call(), options={"acme": {"queue": "long"}})
    for _ in range(2):
        backend.run(call(), options={"other": {"queue": "long"}})
    assert [order.options for order in backend.launched] == [
        AskingOptions("site's own", 2),
        AskingOptions("long"),
        AskingOptions("site's own"),
        AskingOptions("site's own"),
    ]
    with pytest.raises(SpecError, match="url: unknown option"):
        backend.run(call(), options={"acme": {"url": "elsewhere"}})
    backend.close()


def test_options_below_the_name_of_the_backend_are_not_dropped(engine: ScriptedEngine) -> None:
    engine.type_name = "acme"
    name = engine.name()
    with pytest.raises(SpecError, match=rf"options=\{{'acme': …\}}; '{name}' is the name of a backend"):
        engine.run(call(), options={name: {"queue": "long"}})
    assert engine.launched == []
    engine.run(call(), options={name: {}, "acme": {}})  # it may be a type elsewhere
    assert len(engine.launched) == 1


def test_options_below_a_misspelt_type_are_not_dropped(engine: ScriptedEngine) -> None:
    engine.type_name = "slurn"
    with pytest.raises(SpecError, match="'slrun' is no type; did you mean 'slurn'"):
        engine.run(call(), options={"slrun": {"partition": "gpu"}})
    assert engine.launched == []
    engine.run(call(), options={"pbs": {}, "dask": {}, "made-up": {}})  # of other engines
    engine.type_name = "threads2"
    engine.run(call(), options={"threads": {}})  # alike, and there is such a type
    assert len(engine.launched) == 2


def test_a_bulk_shares_one_answer_about_its_options() -> None:
    backend = ScriptedEngine.make(JobOptions=QueueOptions)
    backend.type_name = "acme"
    backend.run_many([call()] * 3, options={"acme": {"queue": "long"}})
    first = backend.launched[0].options
    assert all(order.options is first for order in backend.launched)
    backend.close()
