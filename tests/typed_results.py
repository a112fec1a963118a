"""What type checkers know of results: checked by mypy and pyright in `test_typed_results`, and never run."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, assert_type

import anyjob
from anyjob import (
    BaseBackend,
    BaseJob,
    Call,
    Command,
    CommandResult,
    Executor,
    Spec,
    TaskBackend,
    TaskJob,
    aio,
)

# --- a kind of work of a plugin -------------------------------------------------------------------


class NotebookResult:
    """What came of a notebook."""

    cells: int


class Notebook(Spec[NotebookResult], frozen=True, tag="acme.notebook"):
    """A notebook to run."""

    path: str


class NotebookJob(TaskJob[NotebookResult]):
    """The kind ``acme.notebook``."""

    spec_type = Notebook
    lowers_to = ("python",)

    @classmethod
    def lower(cls, spec: Notebook, to: str) -> Call:
        return Call(len, (spec.path,))

    @classmethod
    def lift(cls, spec: Notebook, to: str, value: int) -> NotebookResult:
        return NotebookResult()

    def cells(self) -> int:
        return self.result().cells


class Untyped(Spec, frozen=True, tag="acme.untyped"):
    """A kind of work that says nothing of its results."""


# --- calls ----------------------------------------------------------------------------------------


def half(number: int, times: int = 1) -> float:
    return number / 2.0**times


class Fit:
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self) -> dict[str, float]:
        return {}


def a_backend(backend: TaskBackend) -> None:
    job = backend.run(Call(half, (3,)), cpus=2)
    assert_type(job, TaskJob[float])
    assert_type(job.result(), float)
    assert_type(job.result(timeout=3), float)
    assert_type(backend.run(Call(half, [3], {"times": 2})).result(), float)
    assert_type(backend.run(Call(Fit, (1,))).result(), Fit)
    assert_type(backend.run(Call(Fit(1))).result(), dict[str, float])
    assert_type(backend.run(Call(lambda: 3)).result(), int)
    assert_type(backend.run(Call("math:sqrt", (4,))).result(), Any)
    assert_type(backend.run(Command(["true"])).result(), CommandResult)
    assert_type(backend.run(Command(["true"])).result().stdout.text(), str)
    assert_type(backend.run(Notebook("a.ipynb")).result(), NotebookResult)
    assert_type(backend.run(Untyped()).result(), Any)
    assert_type(backend.run(half, 3, cpus=2).result(), float)
    assert_type(backend.run(Fit, 3).result(), Fit)
    assert_type(backend.run("math:sqrt", 4).result(), Any)
    assert_type(backend.map(half, range(3)), list[TaskJob[float]])
    assert_type(backend.map("math:sqrt", range(3)), list[TaskJob[Any]])
    assert_type(backend.run_many(Call(half, (n,)) for n in range(3)), list[TaskJob[float]])
    assert_type(backend.run_many([Command(["true"])]), list[TaskJob[CommandResult]])


def a_wrong_use(backend: TaskBackend) -> None:
    text: str = backend.run(Call(half, (3,))).result()  # type: ignore[assignment]
    text.upper()
    backend.run(3)  # type: ignore[call-overload]
    Call(3)  # type: ignore[call-overload]


# --- names ----------------------------------------------------------------------------------------


class OwnBackend(BaseBackend):
    """A plain backend."""

    shots = 3

    def run(self, circuit: str) -> BaseJob:
        raise NotImplementedError


def the_default_session() -> None:
    backend = anyjob.get_backend("hpc", partition="debug")
    assert_type(backend.run(Call(half, (3,))), TaskJob[float])
    assert_type(backend.map(half, [1])[0].result(), float)
    assert_type(anyjob.run(Command(["true"]), "hpc", cpus=4), TaskJob[CommandResult])
    assert_type(anyjob.run(half, 3, backend="hpc"), TaskJob[float])
    assert_type(backend.run(half, 3), TaskJob[float])
    assert_type(anyjob.run(Notebook("a.ipynb"), backend=backend).result(), NotebookResult)
    assert_type(anyjob.rerun(backend.map(half, [1])), list[TaskJob[float]])
    anyjob.run(Command(["true"]), bakend="hpc", backend=3)  # type: ignore[call-overload]
    anyjob.get_job_type(3)  # type: ignore[arg-type]


def a_plain_backend() -> None:
    backend = anyjob.get_backend("own")
    backend.run("circuit", shots=3).counts()
    assert_type(backend.shots, Any)
    own: OwnBackend = anyjob.get_backend("own")
    own.run("circuit")
    task_backend: TaskBackend = anyjob.get_backend()
    assert_type(task_backend.run(Call(half, (1,))).result(), float)


# --- waits ----------------------------------------------------------------------------------------


def waits(jobs: list[TaskJob[float]], notebooks: list[NotebookJob], plain: list[BaseJob]) -> None:
    for job in anyjob.as_completed(jobs, timeout=3):
        assert_type(job, TaskJob[float])
    for notebook in anyjob.as_completed(notebooks):
        assert_type(notebook.result(), NotebookResult)
    done, not_done = anyjob.wait(jobs)
    assert_type(done, list[TaskJob[float]])
    assert_type(not_done, list[TaskJob[float]])
    assert_type(anyjob.wait(plain).done, list[BaseJob])
    assert_type(notebooks[0].cells(), int)


async def twins(jobs: list[TaskJob[float]], plain: BaseJob) -> None:
    assert_type(await jobs[0], float)
    assert_type(await plain, Any)
    assert_type(await aio.result(jobs[0], timeout=3), float)
    assert_type(await aio.result(plain), Any)
    job = await aio.run(Call(half, (3,)), "hpc", cpus=2)
    assert_type(job, TaskJob[float])
    assert_type(await job, float)
    assert_type(await (await aio.run(Command(["true"]))), CommandResult)
    assert_type(await aio.run_many([Notebook("a.ipynb")]), list[TaskJob[NotebookResult]])
    assert_type(await aio.map(half, range(3), backend="hpc"), list[TaskJob[float]])
    assert_type(await aio.map("math:sqrt", range(3)), list[TaskJob[Any]])
    async for ended in aio.as_completed(jobs):
        assert_type(ended, TaskJob[float])
    assert_type((await aio.wait(jobs)).done, list[TaskJob[float]])
    assert_type(await aio.call(half, 3), float)
    await aio.call(half, "3")  # type: ignore[arg-type]


# --- the executor ---------------------------------------------------------------------------------


def an_executor(executor: Executor) -> None:
    future: Future[float] = executor.submit(half, 3, times=2)
    assert_type(future.result(), float)
    submitted = executor.submit(half, 3)
    assert_type(submitted.result(), float)
    if submitted.job is not None:
        assert_type(submitted.job.result(), float)
    assert_type(list(executor.map(half, [1, 2])), list[float])
    executor.submit(half, "3")  # type: ignore[arg-type]


# --- results as arguments -----------------------------------------------------------------------


def results_as_arguments(backend: TaskBackend, executor: Executor, job: TaskJob[int]) -> None:
    """A job in the arguments stands for its result, and what is made of it is known as ever."""
    assert_type(backend.run(Call(half, (job,))), TaskJob[float])
    assert_type(backend.run(half, job), TaskJob[float])
    assert_type(backend.map(half, [job, job]), list[TaskJob[float]])
    assert_type(anyjob.result_of(job), int)
    of_future: Future[float] = executor.submit(half, anyjob.result_of(executor.submit(abs, 1)))
    assert_type(of_future.result(), float)
