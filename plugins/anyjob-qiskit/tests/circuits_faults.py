"""Made-up devices of Qiskit's, each with one oddity that a provider's package was seen to have."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from qiskit.providers import BackendV2, JobStatus, JobV1, Options
from qiskit_aer import AerSimulator


class OddJob(JobV1):
    """A job that has run; its device says what comes of asking it."""

    def submit(self) -> None:
        pass

    def status(self) -> Any:
        return self._backend.status_of(self)

    def result(self) -> Any:
        return self._backend.result_of(self)

    def cancel(self) -> Any:
        return None


class OddDevice(BackendV2):
    """A simulator of five qubits, that gives what Aer gives save for what an oddity makes of it.

    Args:
        oddity: the name of one of the methods below.
        when: a text; only jobs with a circuit in whose name it is are odd.
    """

    def __init__(self, oddity: str = "none", when: str = "") -> None:
        super().__init__(name="odd", backend_version="1")
        self.oddity, self.when = oddity, when
        self.ran: list[dict[str, Any]] = []
        self.circuits: list[Any] = []
        self._simulator = AerSimulator(n_qubits=5, max_parallel_threads=1)
        self._kept: dict[str, Any] = {}

    @property
    def target(self) -> Any:
        return self._simulator.target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=1024, memory=False, seed_simulator=None)

    def run(self, circuits: Any, **options: Any) -> OddJob:
        circuits = circuits if isinstance(circuits, list) else [circuits]
        self.ran.append({**options})
        options.pop("calibration", None)
        self.circuits += circuits
        job = OddJob(self, str(len(self._kept)))
        self._kept[job.job_id()] = circuits, self._simulator.run(circuits, **options).result()
        return job

    def _is_odd(self, job: OddJob, oddity: str) -> bool:
        names = [circuit.name for circuit in self._kept[job.job_id()][0]]
        return self.oddity == oddity and any(self.when in name for name in names)

    def status_of(self, job: OddJob) -> Any:
        if self._is_odd(job, "status_raises"):
            raise RuntimeError("no status today")
        if self._is_odd(job, "status_word"):
            return "EXPLODED"
        failed = self._is_odd(job, "reason_in_result") or self._is_odd(job, "error_of_a_batch")
        return JobStatus.ERROR if failed else JobStatus.DONE

    def result_of(self, job: OddJob) -> Any:
        circuits, result = self._kept[job.job_id()]
        if self._is_odd(job, "result_raises"):
            raise ValueError("the file is gone")
        if self._is_odd(job, "key_error"):
            raise KeyError("counts")
        if self._is_odd(job, "nothing"):
            return None
        if self._is_odd(job, "reason_in_result"):
            return SimpleNamespace(results=[], success=False, status="out of helium")
        if self._is_odd(job, "one_failed") or self._is_odd(job, "error_of_a_batch"):
            for circuit, one in zip(circuits, result.results, strict=True):
                if self.when in circuit.name:
                    one.success, one.status = False, "cannot run this one"
            result.success = False
            return result
        edit: Callable[[Any], None] | None = getattr(self, f"_{self.oddity}", None)
        for one in result.results:
            if edit is not None:
                edit(one)
        return result

    # --- what comes of a circuit --------------------------------------------------------------

    def _no_header(self, one: Any) -> None:
        del one.header

    def _none_header(self, one: Any) -> None:
        one.header = None

    def _thin_header(self, one: Any) -> None:
        one.header = {"name": "it", "creg_sizes": one.header["creg_sizes"]}
        one.data.counts = {format(int(key, 16), "b"): n for key, n in one.data.counts.items()}

    def _no_memory(self, one: Any) -> None:
        vars(one.data).pop("memory", None)

    def _fractions(self, one: Any) -> None:
        self._no_memory(one)
        one.data.counts = {key: n / one.shots for key, n in one.data.counts.items()}

    def _floats(self, one: Any) -> None:
        one.data.counts = {key: float(n) for key, n in one.data.counts.items()}

    def _too_wide(self, one: Any) -> None:
        one.data.counts = {"0x1ff": one.shots}

    def _all_qubits(self, one: Any) -> None:
        one.data.counts = {f"{int(key, 16):05b}": n for key, n in one.data.counts.items()}


class SeedlessDevice(OddDevice):
    """It lists no option for a seed, and takes one as ``its_seed``."""

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=1024, memory=False)

    def run(self, circuits: Any, *, its_seed: int = 0, **options: Any) -> OddJob:
        return super().run(circuits, seed_simulator=its_seed, **options)


class HybridQasmSimulatorBackend(OddDevice):
    """As DDSIM's: it lists one option for the seed, and reads another."""

    def run(self, circuits: Any, *, seed: int = 0, **options: Any) -> OddJob:
        return super().run(circuits, seed_simulator=seed, **options)


class BoundDevice(OddDevice):
    """It translates only angles that are known, as targets of Clifford gates and T do."""

    def get_translation_stage_plugin(self) -> str:
        raise RuntimeError("this is asked for only by what transpiles")
