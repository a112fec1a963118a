"""Hydra's multirun on any backend of anyjob: ``hydra/launcher=anyjob``.

Hydra finds plugins by executing each module of ``hydra_plugins`` whose name has no underscore in front, in
every program that uses Hydra: before it is in `sys.modules`, or once more if it is. So that is one module
here, which imports anyjob where it launches.
"""
