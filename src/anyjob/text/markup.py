"""Text on its way into a page of HTML: nothing in it is markup, a script, or a character that hides others.

All that comes from a job, a file or an engine goes through here on its way into a page.
"""

from __future__ import annotations

import html
import json
from typing import Any

from anyjob.text.printable import printable

LINES = "\n\t"


def escaped(text: object, keep: str = "") -> str:
    """Return text for a page, in an element or a quoted attribute.

    Args:
        text: any text, with surrogates too.
        keep: characters that stay as they are, though they are not printable: `LINES`.
    """
    return html.escape(printable(str(text), keep))


def script_data(value: Any) -> str:
    """Return plain data as JSON that may stand in a ``<script>``: it cannot end it, nor begin a comment.

    Text in it must have gone through `anyjob.text.printable` before, and be shown by ``textContent``.
    """
    data = json.dumps(value, separators=(",", ":"))
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
