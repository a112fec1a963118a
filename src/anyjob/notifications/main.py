"""What the job runs that tells of others: ``python -m`` this, with a `Request` on stdin."""

from __future__ import annotations

import os
import sys

from anyjob.config.notification_channels import channel, read
from anyjob.errors import AnyjobError, JobNotFoundError
from anyjob.notifications.message import message
from anyjob.notifications.request import TEMPORARY, Request
from anyjob.notifications.sending import NotSent, send
from anyjob.session.default import default_session
from anyjob.views import queries
from anyjob.views.last_words import last_words
from anyjob.views.report.making import keep, make_report
from anyjob.views.report.page import page


def main() -> int:
    """Tell of jobs, or write a report on them; return an exit code."""
    request = Request.decoded(sys.stdin.buffer.read())
    session = default_session()
    try:
        name = request.channel
        how = channel(session.config, name) if isinstance(name, str) else read(name, "the channel")
        found = session.ledger.rows(request.job_ids)
        rows = sorted(found.values(), key=lambda row: row.n)
        if how.report is not None:
            if not rows:
                raise JobNotFoundError("the jobs are forgotten: there is nothing to report")
            path = os.path.expanduser(how.report)
            keep(path, page(make_report(session.ledger, rows, request.title)))
            print(f"wrote {path}")
            return 0
        jobs = queries.reported(session.ledger, rows)
        said = message(request.title, jobs, last_words(session.ledger, rows, jobs))
        send(how, said)
    except NotSent as error:
        print(f"anyjob: {error}", file=sys.stderr)
        return TEMPORARY if error.again else 1
    except AnyjobError as error:
        print(f"anyjob: {error}", file=sys.stderr)
        return 1
    print(said.subject)
    return 0


if __name__ == "__main__":
    sys.exit(main())
