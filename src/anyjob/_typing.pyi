"""Names for annotations, as checkers know them; see `_typing.py`."""

from collections.abc import Callable as Callable
from collections.abc import Generator as Generator
from collections.abc import Iterable as Iterable
from collections.abc import Iterator as Iterator
from collections.abc import Mapping as Mapping
from collections.abc import Sequence as Sequence
from datetime import datetime as datetime
from datetime import timedelta as timedelta
from os import PathLike as PathLike
from pathlib import Path as Path
from subprocess import Popen as Popen
from types import TracebackType as TracebackType
from typing import Any as Any
from typing import Self as Self
from typing import overload as overload

import click as click

from anyjob.backend import BaseBackend as BaseBackend
from anyjob.backend import Capabilities as Capabilities
from anyjob.builtin.local.keeper.launch.worker_process import WorkerProcess as WorkerProcess
from anyjob.builtin.local.keeper.launch.zygote_process import ZygoteProcess as ZygoteProcess
from anyjob.config.settings import Config as Config
from anyjob.future import JobFuture as JobFuture
from anyjob.job import BaseJob as BaseJob
from anyjob.ledger.encoding import Context as Context
from anyjob.ledger.rows import BackendRow as BackendRow
from anyjob.ledger.rows import Row as Row
from anyjob.ledger.store import Ledger as Ledger
from anyjob.outcome import Outcome as Outcome
from anyjob.outputs.left_files import LeftFiles as LeftFiles
from anyjob.provider import BaseProvider as BaseProvider
from anyjob.references import Lazy as Lazy
from anyjob.references import ResultOf as ResultOf
from anyjob.registry.hooks import HookManager as HookManager
from anyjob.registry.listing import ListingEntry as ListingEntry
from anyjob.registry.lookup import Registry as Registry
from anyjob.resources import Resources as Resources
from anyjob.runtime.dependencies.prerequisites import After as After
from anyjob.runtime.engine_adapter import EngineAdapter as EngineAdapter
from anyjob.runtime.recording.content_store import Beside as Beside
from anyjob.runtime.services import Services as Services
from anyjob.session.facade import Session as Session
from anyjob.session.providers.offers import Offers as Offers
from anyjob.specs import Spec as Spec
from anyjob.specs import T as T
from anyjob.status import JobStatus as JobStatus
from anyjob.taskbackend import AnyBackend as AnyBackend
from anyjob.taskbackend import TaskBackend as TaskBackend
from anyjob.taskjob import TaskJob as TaskJob
from anyjob.tracking.tracker import Tracker as Tracker
from anyjob.tracking.waits.blocking import J as J
from anyjob.tracking.waits.blocking import Waited as Waited
