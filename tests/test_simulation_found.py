"""What the simulation has found, each as a schedule: the work, and what goes wrong when."""

from __future__ import annotations

from typing import Any

from simulation.faults import Fault
from simulation.workload import ClientPlan, Plan
from simulation.world import World


def client(*plans: Plan, cancels: dict[int, float] | None = None, **more: Any) -> ClientPlan:
    """A client that hands over one bulk and waits."""
    return ClientPlan(plans[0].client_slots, [list(plans)], 0.0, "outcome", cancels or {}, **more)


def call(number: int = 0, seconds: float = 0.0, slots: int = 1, **more: Any) -> Plan:
    return Plan(number, slots, is_call=True, seconds=seconds, **more)


def command(number: int = 0, seconds: float = 0.0, slots: int = 1, **more: Any) -> Plan:
    return Plan(number, slots, is_call=False, seconds=seconds, **more)


def run(clients: list[ClientPlan], *faults: Fault) -> None:
    """Run this, in several orders of who goes on."""
    for seed in range(8):
        world = World(seed, list(faults), clients)
        assert world.run() == [], f"seed {seed}"
        assert len(world.faults.happened) == len(faults), "nothing went wrong"


def test_a_call_that_is_cancelled_before_it_has_claimed_its_directory_is_cancelled() -> None:
    """Seed 484: it was said to have failed to start."""
    run([client(call(seconds=5.0), cancels={0: 1.0})], Fault("call", 1, "late", 3.0, on="symlink"))


def test_a_job_of_which_the_supervisor_said_nothing_is_cancelled() -> None:
    """Seed 4857: the cancel was refused, and the job ran on."""
    run(
        [client(command(seconds=1000.0), cancels={0: 0.0})],
        Fault("client", 2, "stop", 200.0, on="COMMIT", victim="supervisor"),
    )


def test_a_cancel_that_cannot_be_looked_into_on_a_full_disk_says_so() -> None:
    """Seed 40544: it was refused, as that of a job which has ended."""
    jobs = [command(0, 5.0), command(1), command(2), command(3, 1000.0)]
    run([client(*jobs, cancels={3: 1.0})], Fault("job", 1, "full", 3.0))


def test_a_client_whose_first_submission_failed_submits_later() -> None:
    """Seed 253: its process had kept the number of a backend that the ledger did not."""
    run([client(command())], Fault("client", 2, "fail", 1, on="INSERT"))


def test_what_was_being_read_when_the_ledger_failed_is_not_forgotten() -> None:
    """Seed 1608: the jobs waited for ever."""
    for at in range(90, 125):
        run([client(*(command(n) for n in range(5)))], Fault("supervisor", at, "fail", 2))
