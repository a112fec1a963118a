"""The options of the types ``qiskit``: of a backend, and of a provider. Imports no Qiskit."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Literal

import msgspec

from anyjob import ConfigError, Options, Secret


def about(text: str) -> Any:
    """Return what an option is for."""
    return msgspec.Meta(description=text)


AtLeastZero = Annotated[int, msgspec.Meta(ge=0)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Interval = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Level = Annotated[int, msgspec.Meta(ge=0, le=3)]


class HasRun(Options, frozen=True, kw_only=True):
    """What one job may be told for a simulator: ``options={"aer": {"run": {"noise_model": …}}}``."""

    run: Annotated[
        dict[str, Any],
        about("more options of run, such as noise_model or calibration_set_id; of a sampler, its options"),
    ] = {}

    def __post_init__(self) -> None:
        if set(self.run) & {"shots", "memory"}:
            raise ConfigError(
                "shots and memory are those of the circuit: Circuit(…, shots=100, per_shot=True)"
            )


class JobOptions(HasRun, frozen=True, kw_only=True):
    """What one job may be told for its device: ``options={"qiskit": {…}}``."""

    transpile: Annotated[
        bool, about("whether circuits are transpiled for the device, which may do that by itself")
    ] = True


class RunOptions(JobOptions, frozen=True, kw_only=True):
    """How circuits are run on a device."""

    level: Annotated[
        Level | None, about("how hard the transpiler tries, 0 to 3, for circuits that do not say")
    ] = None
    seed: Annotated[
        AtLeastZero | None, about("the seed of circuits that have none, where it is a simulator")
    ] = None
    seed_option: Annotated[
        str | None,
        about("what the device's run calls the seed, where it does not list seed_simulator; empty: no seeds"),
    ] = None
    interface: Annotated[
        Literal["auto", "run", "sampler"],
        about("how circuits are handed over: by backend.run, or by the SamplerV2 of qiskit-ibm-runtime"),
    ] = "auto"
    batch: Annotated[AtLeastOne, about("how many circuits one job of the device has at most")] = 100
    interval: Annotated[
        Interval | None,
        about("seconds between two questions to the device, at least; by default 2 for one that is durable"),
    ] = None
    max_shots: Annotated[
        AtLeastOne | None, about("the most shots of a circuit, where the device does not say")
    ] = None
    arguments: Annotated[dict[str, Any], about("what the class or function is called with, by name")] = {}
    secrets: Annotated[dict[str, Secret], about("more of that, which nobody is to see")] = {}


class QiskitOptions(RunOptions, frozen=True, kw_only=True):
    """Options of the backend type ``qiskit``."""

    backend: Annotated[str, about("a class or function that gives a BackendV2, as module:name")]
    durable: Annotated[
        bool, about("whether the device finds its jobs again by id, in another process, too")
    ] = False


class ProviderOptions(RunOptions, frozen=True, kw_only=True):
    """Options of the provider type ``qiskit``."""

    provider: Annotated[
        str, about("a class or function that gives a provider with backends(), as module:name")
    ] = "qiskit_ibm_runtime:QiskitRuntimeService"
    token: Annotated[Secret | None, about("the token of the account")] = None
    channel: Annotated[str | None, about("the channel of IBM's service, such as ibm_quantum_platform")] = None
    instance: Annotated[str | None, about("the instance of IBM's service")] = None
    durable: Annotated[
        bool | None, about("whether its devices find jobs again by id; by default IBM's service only")
    ] = None

    @property
    def is_service(self) -> bool:
        """Whether it is IBM's service."""
        return self.provider.endswith("QiskitRuntimeService")


def instantiate(options: QiskitOptions | ProviderOptions, where: str) -> Any:
    """Call the class or function that the options name, with their arguments and secrets.

    Args:
        options: of a backend or of a provider.
        where: whose they are, for errors.

    Raises:
        ConfigError: it cannot be imported or called so; `SecretError`: a secret is missing.
        Exception: what it raises itself.
    """
    path = options.backend if isinstance(options, QiskitOptions) else options.provider
    named: dict[str, Any] = {}
    if isinstance(options, ProviderOptions):
        given = {"token": options.token, "channel": options.channel, "instance": options.instance}
        named = {key: value for key, value in given.items() if value is not None}
    named |= {**options.arguments, **options.secrets}
    arguments = {key: value.get() if isinstance(value, Secret) else value for key, value in named.items()}
    function = import_object(path, where)
    try:
        found = function(**arguments)
    except TypeError as error:
        raise ConfigError(f"{where}: {path} cannot be called with {sorted(arguments)}: {error}") from error
    if isinstance(options, ProviderOptions):
        if not callable(getattr(found, "backends", None)):
            raise ConfigError(f"{where}: {path} gives {found!r:.80}, which has no backends()")
        return found
    from qiskit.providers import BackendV2

    if not isinstance(found, BackendV2):
        raise ConfigError(f"{where}: {path} gives {found!r:.80}, which is no BackendV2 of Qiskit's")
    return found


def import_object(path: str, where: str) -> Any:
    """Return what a path of the form ``module:name`` names.

    Raises:
        ConfigError: it is not of that form, or cannot be imported.
    """
    module, colon, name = path.partition(":")
    if not colon:
        module, _, name = path.rpartition(".")
    if not module or not name:
        raise ConfigError(f"{where}: {path!r} names no class or function: write it as 'module:name'")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        missing = (getattr(error, "name", None) or "").partition(".")[0]
        wayout = ""
        if missing == "qiskit_ibm_runtime":
            wayout = ": pip install 'anyjob-qiskit[ibm]'"
        elif isinstance(error, ModuleNotFoundError) and missing == module.partition(".")[0]:
            wayout = f": install it for {sys.executable}, or set PYTHONPATH to the directory that it is in"
        raise ConfigError(f"{where}: {path!r} cannot be imported: {error}{wayout}") from error
    return found
