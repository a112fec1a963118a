"""Finds, makes and asks the task owner: the detached actor that owns the jobs of a namespace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from anyjob import BackendError, BackendUnavailableError
from anyjob_ray import connection
from anyjob_ray.actors.task_owner import TaskOwner
from anyjob_ray.options import RayOptions

ACTOR_NAME = "anyjob-task-owner-1"
"""The name of the actor; the number counts its protocols."""
HEAD_NODE = "node:__internal_head__"
DEAD = {"RayActorError", "ActorDiedError", "OutOfMemoryError"}
"""What Ray raises of an actor that is there no more."""


class OwnerClient:
    """The task owner, as one process sees it.

    Args:
        ray: the module.
        options: those of the backend.
        name: the backend, for errors.
    """

    def __init__(self, ray: Any, options: RayOptions, name: str) -> None:
        self._ray = ray
        self._options = options
        self._name = name
        self._lock = threading.Lock()
        self.known_actor: Any = None
        """The handle, once it was found."""

    def ask(self, call: Callable[[Any], Any], *, create: bool = False) -> Any:
        """Call a method of the actor, and return what it gives; None where there is none.

        Args:
            call: is given the handle of the actor, and returns an object ref.
            create: whether the actor is made where there is none.

        Raises:
            BackendUnavailableError: it does not answer within the timeout.
        """
        try:
            actor = self.actor(create)
            return None if actor is None else self._ray.get(call(actor), timeout=self._options.timeout)
        except Exception as error:
            names = {each.__name__ for each in type(error).__mro__}
            if "ActorUnavailableError" not in names and names & DEAD:
                with self._lock:
                    self.known_actor = None
                if not create:
                    connection.check_alive(self._ray, self._options, self._name)
                    return None  # it is dead, and its jobs with it
            elif isinstance(error, BackendError):
                raise
            raise BackendUnavailableError(self._does_not_answer(error)) from error

    def actor(self, create: bool) -> Any:
        """Return the handle of the actor; None where there is none.

        Args:
            create: whether the actor is made where there is none.

        Raises:
            BackendUnavailableError: the cluster does not answer.
        """
        with self._lock:
            if not self._ray.is_initialized():
                self.known_actor = None
                connection.reconnect(self._options, self._name)
            if self.known_actor is None:
                connection.check_alive(self._ray, self._options, self._name)
                self.known_actor = self._create() if create else self._find()
            return self.known_actor

    def _find(self) -> Any:
        try:
            return self._ray.get_actor(ACTOR_NAME, namespace=self._options.namespace)
        except ValueError:  # there is none
            return None

    def _create(self) -> Any:
        options: dict[str, Any] = {}
        if HEAD_NODE in self._ray.cluster_resources():  # it lives as long as the cluster does
            options["resources"] = {HEAD_NODE: 0.001}
        return (
            self._ray.remote(TaskOwner)
            .options(
                name=ACTOR_NAME,
                namespace=self._options.namespace,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                max_restarts=0,
                max_concurrency=10_000,
                runtime_env={},
                **options,
            )
            .remote()
        )

    def _does_not_answer(self, error: BaseException) -> str:
        text = " ".join(str(error).split())[:500] or type(error).__name__
        return (
            f"backend {self._name!r}: the task owner (actor {ACTOR_NAME!r} in the namespace "
            f"{self._options.namespace!r} of the Ray cluster at {self._options.address}) does not answer: "
            f"{text}"
        )
