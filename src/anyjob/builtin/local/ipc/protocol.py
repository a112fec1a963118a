"""What the programs of the `local` backend say to each other: maps with an ``op``, over `frames`.

A client says ``hello`` (``protocol``), and the supervisor ``welcome`` (``protocol``, ``pid``, ``trouble``:
why nothing goes on, or nothing). Then the client asks ``rescan`` (``backend``: its number in the ledger,
where new jobs are), ``advance`` (``ids`` of jobs that start after others, and that the end of one which the
client has written has ended, or lets start) and ``cancel`` (``ids``), each with an ``ack``, a number that the
answer ``ack`` repeats; to a cancel it has the ids that were ``accepted`` and are to end, and those that have
``ended`` by it with their attempts, and when (``finished``); or ``unavailable``: why that cannot be done now.
``ping`` is answered, too. ``shutdown`` is not: the supervisor ends. Unasked, it tells all clients what has
``changed`` in the ledger: the ids of jobs that have ``ended``, and of those that have ``moved``, which is to
have started, or to have been queued again. What ended by a cancel is told to all but who has asked for that.

``control`` (``action``, ``ids``) has jobs held, released, paused or resumed, or gives them a priority
(``value``): the answer has those of which it was ``accepted``, or ``unavailable``. A client that is part of
a job (``job``, ``attempt``) says ``waiting`` when it begins to wait for others, and ``resumed`` when it goes
on, or is gone: that is not answered.

``warning`` has a ``text`` for who waits: the keeper does not answer, or the disk is full.

On connecting, a supervisor hears ``hello`` of the keeper (``protocol``, ``pid``, ``log``, ``offset``,
``unwritten``): all that happened before is in the first ``offset`` bytes of the log, and in the lines that
could not be written to it yet; all else is told. It says ``start`` (see
`anyjob.builtin.local.supervisor.jobs.orders`), ``terminate`` (``id``, ``attempt``, ``cause``, ``grace`` in
seconds), ``compact`` (``offset``: up to where what has ended may be forgotten), ``supervisor``
(``command``: what starts the next one) and ``stop`` (once nothing runs); ``lend`` (``id``, ``attempt``)
that others may have a job's slots, as it waits for them, and ``take_back`` that it goes on: when the
connection ends, all that is lent is taken back. ``withdraw`` (``id``, ``attempt``) takes a job back that
has not begun: ``withdrawn`` says that it was; ``pause`` and ``resume`` stop its processes, and have them go
on. It is told ``started`` (``id``, ``attempt``, ``pid``, ``time``), ``ended`` (what the log says of it, and
``offset``), ``freed`` (``id``, ``attempt``: nothing is left of a job that has GPUs) and ``compacted``
(``log``, ``offset``); ``ping`` is answered by ``pong``. ``waiting`` (``value``) says whether
jobs go again that do not run now: while they do, a supervisor that dies is followed by another.
``hindered`` has a ``message``: a job cannot start, since the disk is full.
"""

from __future__ import annotations

CLIENT_PROTOCOL = 6
"""The version of what client and supervisor say to each other."""
KEEPER_PROTOCOL = 8
"""The version of what supervisor and keeper say to each other."""
SOON = 0.05
"""Seconds that the keeper may take to tell what can wait: what has come together is told together, and for
the supervisor, and all whom that tells, a message costs as much as many jobs in it."""
READY = "anyjob: a supervisor is ready"
"""What a supervisor that was started writes to stdout: what is none says something else."""
