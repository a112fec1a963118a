"""Why a job waits, by Slurm's words for it, and what can be done about it."""

from __future__ import annotations

_FOR_GOOD = {
    "PartitionTimeLimit": "it asks for a longer walltime than its partition allows: ask for less, or another",
    "PartitionNodeLimit": "it asks for more nodes than its partition allows: ask for fewer, or for another",
    "PartitionConfig": "its partition has not what it asks for: ask for less, or for another",
    "BadConstraints": "no node has what it asks for: see `sinfo -o '%P %c %m %f %G'`, and ask for that",
    "DependencyNeverSatisfied": "what it was to start after did not come about: it never starts; cancel it",
    "InvalidAccount": "its account is none of yours: see `sacctmgr show associations user=$USER`",
    "InvalidQOS": "its quality of service is none of yours: see `sacctmgr show associations user=$USER`",
    "AccountNotAllowed": "its account may not use this partition: ask for another",
    "QOSNotAllowed": "its quality of service may not be had in this partition: ask for another",
    "JobHeldUser": "it is held by you: `scontrol release` lets it start",
    "JobHeldAdmin": "it is held by an administrator, who alone can release it",
    "JobHoldMaxRequeue": "it was requeued too often, and is held: `scontrol release` lets it start",
    "PartitionDown": "its partition is switched off: ask for another, or wait for the administrators",
    "PartitionInactive": "its partition takes no jobs now: ask for another, or wait for the administrators",
}
_FOR_NOW = {
    "Priority": "others are before it",
    "Resources": "it is the next, and waits for what it asks for to become free",
    "Dependency": "it waits for other jobs to end",
    "BeginTime": "its time to start has not come",
    "Licenses": "it waits for licences",
    "Reservation": "it waits for its reservation",
    "Cleaning": "what is left of it on its nodes is cleaned up",
    "Prolog": "its nodes are made ready",
    "JobArrayTaskLimit": "as many tasks of its array run as may",
    "ReqNodeNotAvail": "a node that it needs is down, drained or reserved: `sinfo -R` says why",
    "NodeDown": "a node that it needs is down: `sinfo -R` says why",
    "MaxMemPerLimit": "it asks for more memory than one job may have: ask for less",
}
_FAMILIES = (
    ("Assoc", "a limit of your account is reached: some of its jobs have to end, or it asks for too much"),
    ("QOS", "a limit of its quality of service is reached: some jobs have to end, or it asks for too much"),
    ("Nodes required for job are", "nodes that it needs are down, drained or reserved: `sinfo -R` says why"),
)


def in_words(reason: str) -> str:
    """Return why a job waits in words, with Slurm's own behind; those that are not known as they are.

    Args:
        reason: as ``squeue`` has it; empty where it gives none.
    """
    reason = reason.removeprefix("(").removesuffix(")") if reason.startswith("(") else reason
    word, _, _ = reason.partition(",")  # of ReqNodeNotAvail, the nodes follow
    said = _FOR_GOOD.get(word) or _FOR_NOW.get(word)
    said = said or next((text for prefix, text in _FAMILIES if reason.startswith(prefix)), "")
    return f"{said} ({reason})" if said else reason
