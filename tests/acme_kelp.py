import re

from anyjob import JobStatus
from anyjob.sdk import BatchBackend, Dialect, Row

STATES = {
    "waiting": JobStatus.QUEUED,
    "growing": JobStatus.RUNNING,
    "ripe": JobStatus.DONE,
    "withered": JobStatus.ERROR,
    "cut": JobStatus.CANCELLED,
}


class Kelp(Dialect):
    title = "Kelp"
    job_variables = ("KELP",)
    task_variable = "KELP_PART"
    first_task = 1
    array_limit = 500
    away = ("the sea is out",)
    foreign_variables = ("KELP*",)
    job_owns = ("KELP*",)

    def submit(self, what):
        command = ["kput", "--called", what.name]
        command += ["--parts", str(what.tasks)] if what.tasks is not None else []
        command += ["--cores", str(what.resources.cpus)] if what.resources.cpus else []
        if what.resources.gpus:
            raise ValueError("there are no GPUs in the sea")
        return [*command, *what.options.extra]

    def submitted(self, text):
        match = re.search(r"^planted as (k\d+)$", text, re.MULTILINE)
        return match[1] if match else None

    def listing(self, user):
        return ["kls"]

    def listed(self, text):
        for called, state, name in map(str.split, text.splitlines()):
            yield self.row(called, name, state)

    def history(self, jobs, user, since):
        return ["kpast"]

    def recorded(self, text):
        for called, state, code, name in map(str.split, text.splitlines()):
            failed = {"reason": "exit-code", "exit_code": int(code)} if state == "withered" else {}
            yield self.row(called, name, state, **failed)

    def row(self, called, name, state, **more):
        job, part = self.split_id(called)
        tasks = None if part is None else (range(part, part + 1),)
        return Row(job, STATES[state], tasks=tasks, name=name, **more)

    def cancel(self, ids):
        return ["kcut", *(each for some in ids for each in some.split())]

    def cancelled(self, code, text):
        return re.findall(r"no (\S+) grows here", text)

    def id_of(self, job, first=None, last=None):
        if first is None:
            return job
        return " ".join(f"{job}/{part}" for part in range(first, (last or first) + 1))

    def split_id(self, native_id):
        job, _, part = native_id.partition("/")
        return job, int(part) if part else None


class KelpBackend(BatchBackend):
    """Kelp, by its programs."""

    dialect = Kelp()
