"""Jobs in the arguments of calls on a real cluster: the nodes read what another job has left in the spool."""

from __future__ import annotations

from typing import Any

import pytest
import slurm_lab
from anyjob_slurm.backend import SlurmBackend

from anyjob import Call, DependencyFailedError

pytestmark = pytest.mark.engine("slurm")


def give_back(*values: Any) -> Any:
    return values


def test_a_job_stands_for_its_result(backend: SlurmBackend) -> None:
    first = backend.run(give_back, 1, name="one")
    second = backend.run(Call(give_back, ([first], {"a": (first,)})))
    assert second.result(120) == ([(1,)], {"a": ((1,),)})
    assert "give_back([<result of one>]" in repr(second)


def test_a_large_result_stays_in_the_spool(backend: SlurmBackend) -> None:
    large = backend.run("builtins:bytes", 300_000)
    large.wait_for_final_state(120)
    last = backend.run(len, large, options={"slurm": {"extra": ["--hold"]}})
    work = backend.spool_root / "submissions" / last.job_id() / "work"
    assert work.stat().st_size < 100_000, "what was handed over has no copy of it"
    slurm_lab.scontrol("release", str(last.native_id()))
    assert last.result(120) == 300_000
    (backend.job_directory(large.job_id()) / "outcome.pkl").unlink()
    with pytest.raises(DependencyFailedError, match=f"the result of job {large.job_id()}.* is not there any"):
        backend.run(len, large).result(120)
