"""joblib on any backend of anyjob: import this, then ``joblib.parallel_config(backend="anyjob")``."""

from __future__ import annotations

from joblib import register_parallel_backend

from anyjob_joblib.parallel_backend import AnyjobBackend

__all__ = ["AnyjobBackend"]

register_parallel_backend("anyjob", AnyjobBackend)
