"""qsub, qstat and qdel as programs, with the words that the real ones were recorded with (`recorded`).

They run what they are given, on this machine. History is kept.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from support.simulated_scheduler import ALONE, Scheduler, Task

USER = getpass.getuser()
LARGEST = 10000
FLAGS = {"-C", "-N", "-S", "-j", "-o", "-r", "-J", "-q", "-P", "-A", "-l", "-W", "-a"}
RESOURCES = {"select", "walltime", "place"}


def fail(program: str, message: str, code: int) -> int:
    """Complain as the real ones do."""
    print(f"{program}: {message}", file=sys.stderr)
    return code


def id_of(job: int, number: int) -> str:
    """Write an id."""
    return f"{job}.pbshost" if number == ALONE else f"{job}[{number}].pbshost"


def qsub(pbs: Scheduler, arguments: list[str]) -> int:
    """Takes the script by stdin, and says its id."""
    if len(arguments) % 2 or set(arguments[::2]) - FLAGS:
        return fail("qsub", "invalid option\nusage: qsub [-a date_time] [-A account_string]\n\t[-C …]", 2)
    said = dict(zip(arguments[::2], arguments[1::2], strict=True))
    if not re.fullmatch(r"[A-Za-z0-9._+-]{1,230}", said["-N"]):
        return fail("qsub", "illegal -N value", 2)
    if said.get("-q", "workq") != "workq":
        return fail("qsub", "Unknown queue", 170)
    for flag, value in zip(arguments[::2], arguments[1::2], strict=True):
        name, _, wanted = value.partition("=")
        if flag == "-l" and name not in RESOURCES:
            return fail("qsub", "Unknown resource Resource_List." + name, 187)
        if flag == "-l" and name == "walltime" and not re.fullmatch(r"[\d:]+", wanted):
            return fail("qsub", "Illegal attribute or resource value Resource_List.walltime", 166)
    first, last = map(int, said["-J"].partition("%")[0].split("-")) if "-J" in said else (ALONE, ALONE)
    if last - first >= LARGEST:
        return fail("qsub", "Array job exceeds server or queue size limit", 3)

    def variables(job: int, number: int) -> dict[str, str]:
        task = {} if number == ALONE else {"PBS_ARRAY_INDEX": str(number), "PBS_ARRAY_ID": f"{job}[].pbshost"}
        return {
            "PATH": os.defpath,
            "HOME": str(pbs.directory),  # a login is to run nothing of its own
            "PBS_JOBID": id_of(job, number),
            "PBS_JOBNAME": said["-N"],
            "PBS_ENVIRONMENT": "PBS_BATCH",
            "NCPUS": "1",
            **task,
        }

    # A login shell runs the script as a child of its own, and so tells of signals as codes above 128.
    argv = ["/bin/bash", "-lc", '"$0" "$@"; exit $?', "/bin/bash"]
    script = sys.stdin.buffer.read()
    job = pbs.submit(
        argv, script, said["-N"], range(first, last + 1), variables, held="-a" in said or "-h" in said
    )
    print(f"{job}.pbshost" if first == ALONE else f"{job}[].pbshost")
    return 0


def when(seconds: float) -> str:
    """Write a time."""
    return time.strftime("%a %b %d %H:%M:%S %Y", time.localtime(seconds))


def line_of(task: Task, *, parent_ended: bool) -> str:
    """Write a task as ``-F dsv`` does."""
    letter = {"waiting": "Q", "held": "W", "running": "R"}.get(task.state, "F" if parent_ended else "X")
    said = [f"Job_Name={task.name}", f"Job_Owner={USER}@pbshost", f"job_state={letter}", "queue=workq"]
    said += ["server=pbshost", "Hold_Types=n", r"Variable_List=PBS_O_HOME=/home/x,A=x\|job_state=F\ny"]
    comment = f"Job run at Sat Nov 28 at 15:14 on (pbshost:ncpus=1){' and failed' if task.code else ''}"
    if task.started:
        said += [f"stime={when(task.started)}", "exec_host=pbshost/0", "run_count=1", f"comment={comment}"]
    if task.state == "ended":
        said += [
            f"obittime={when(task.ended)}",
            f"substate={91 if task.deleted else 93 if task.code else 92}",
        ]
        if task.started:
            said += [f"Exit_status={task.code or (256 + task.signal if task.signal else 0)}"]
    if task.number != ALONE:
        said += [f"array_id={task.job}[].pbshost", f"array_index={task.number}"]
    return "|".join([f"Job Id: {id_of(task.job, task.number)}", *said])


def qstat(pbs: Scheduler, arguments: list[str]) -> int:
    """``qstat [-x] -t -f -F dsv [ID …]``."""
    history = "-x" in arguments
    ids = [each for each in arguments if each[0].isdigit()]
    jobs: dict[int, list[Task]] = {}
    for task in pbs.tasks():
        jobs.setdefault(task.job, []).append(task)
    code = 0
    named = {f"{job}{'' if tasks[0].number == ALONE else '[]'}.pbshost": job for job, tasks in jobs.items()}
    for each in ids:
        if each not in named:
            code = fail("qstat", f"Unknown Job Id {each}", 153)
    for name, job in named.items():
        ended = all(task.state == "ended" for task in jobs[job])
        if (ids and name not in ids) or (ended and not history):
            continue
        if "[]" in name:
            print(
                f"Job Id: {name}|Job_Name={jobs[job][0].name}|Job_Owner={USER}@pbshost|job_state=B|array=True"
            )
        for task in jobs[job]:
            print(line_of(task, parent_ended=ended))
    return code


def qdel(pbs: Scheduler, arguments: list[str]) -> int:
    """``qdel ID …``, among them ranges of tasks."""
    code, chosen = 0, []
    known = {id_of(task.job, task.number): task for task in pbs.tasks()}
    for each in arguments:
        match = re.fullmatch(r"(\d+)\[(\d+)-(\d+)\]\.pbshost", each)
        names = [each] if match is None else [
            id_of(int(match[1]), number) for number in range(int(match[2]), int(match[3]) + 1)
        ]  # fmt: skip
        found = [known[name] for name in names if name in known]
        if not found:
            code = fail("qdel", f"Unknown Job Id {each}", 153)
        elif all(task.state == "ended" for task in found):
            code = fail("qdel", f"Job has finished {each}", 35)
        chosen += [task for task in found if task.state != "ended"]
    pbs.delete(chosen, grace=5.0)
    return code


if __name__ == "__main__":
    _, _, program, *rest = sys.argv
    scheduler = Scheduler(Path(os.environ["SIMULATED_SCHEDULER"]))
    if scheduler.is_away:
        print("Connection refused", file=sys.stderr)
        sys.exit(fail(program, "cannot connect to server pbshost (errno=15010)", 162))
    sys.exit({"qsub": qsub, "qstat": qstat, "qdel": qdel}[program](scheduler, rest))
