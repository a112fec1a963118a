"""A web page with a form for each backend and provider that is installed, whoever has written it.

The forms are drawn from `registry.describe()`, which tells what there is to say of each as plain data; what a
form gives becomes a configuration, and `session.check()` says what is wrong with it. The service knows no
plugin by name. A secret is not typed into a form: what it asks for is the variable that holds it.

    python examples/forms/forms.py --port 8000
    xdg-open http://127.0.0.1:8000

It is for one person, on the loopback interface, and changes nothing: it shows what to write into anyjob.toml.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from anyjob import AnyjobError, Config, Registry, Session

GROUPS = {"backends": "anyjob.backends", "providers": "anyjob.providers"}
LONGEST_BODY = 65536
STYLE = """
body { font: 16px/1.4 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
label { display: block; margin-top: 1rem; font-weight: 600 }
input, select { display: block; width: 100%; font: inherit; box-sizing: border-box }
input[type=checkbox] { width: auto } small { display: block; color: #555 } .wrong { color: #a00000 }
pre { background: #f2f2f2; padding: 1rem } button { display: block; margin-top: 1.5rem; font: inherit }
"""

registry = Registry()


def page(title: str, *body: str) -> str:
    """Return a whole page."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>'


def index() -> str:
    """Return the list of what is installed: nothing is imported for it."""
    body = []
    for section, group in GROUPS.items():
        lines = [line for line in registry.listing(group, hooks=False) if line.state == "ok"]
        items = [
            f'<li><a href="/{section}/{escape(line.name)}">{escape(line.name)}</a>, '
            f"from {escape(line.distribution)}<br><small>{escape(line.summary)}</small></li>"
            for line in lines
        ]
        body.append(f"<h1>{section.capitalize()}</h1><ul>{''.join(items) or '<li>none</li>'}</ul>")
    return page("What is installed", *body)


def field(option: dict[str, Any], schema: dict[str, Any], given: dict[str, str]) -> str:
    """Return what one option is typed into, or chosen with."""
    name, default = escape(option["name"]), option["default"]
    value = given.get(option["name"], "" if default in (None, [], {}) else text_of(default))
    required = " required" if option["required"] else ""
    if option["secret"]:
        hint = "the variable that holds it"
        control = f'<input name="{name}" value="{escape(value)}" placeholder="{hint}"{required}>'
    elif "enum" in schema:
        choices = (
            f"<option{' selected' * (str(each) == value)}>{escape(str(each))}</option>"
            for each in schema["enum"]
        )
        control = f'<select name="{name}">{"".join(choices)}</select>'
    elif option["type"] == "boolean":
        control = f'<input type="checkbox" name="{name}" value="true"{" checked" * (value == "true")}>'
    else:
        kind = {"integer": 'type="number" step="1"', "float": 'type="number" step="any"'}
        control = f'<input {kind.get(option["type"], "")} name="{name}" value="{escape(value)}"{required}>'
    return f"<label>{name} {control}</label><small>{escape(option['doc'])}</small>"


def form(section: str, name: str, given: dict[str, str]) -> str:
    """Return the form of a backend or a provider, filled with what was given."""
    told = registry.describe(name, GROUPS[section])
    schemas = list(told["options_schema"].get("$defs", {}).values())
    properties: dict[str, Any] = schemas[0].get("properties", {}) if schemas else {}
    fields = [field(each, properties.get(each["name"], {}), given) for each in told["options"]]
    called = given.get("its-name", "mine")
    return (
        f'<p><a href="/">What is installed</a></p><h1>{escape(name)}</h1><p>{escape(told["doc"])}</p>'
        '<form method="post"><label>what you call it '
        f'<input name="its-name" value="{escape(called)}" required></label>'
        f"{''.join(fields)}<button>Check</button></form>"
    )


def checked(section: str, name: str, given: dict[str, str]) -> str:
    """Return what is wrong with what was given; else what to write into anyjob.toml."""
    called, table = given.get("its-name", ""), {"type": name, **values_of(section, name, given)}
    try:
        config = Config.from_dict({section: {called: table}}, origin="the form")
        with Session(config=config, registry=registry) as session:
            problems = session.check()
    except AnyjobError as error:
        problems = [str(error)]
    if problems:
        return "".join(f'<p class="wrong">{escape(each)}</p>' for each in problems)
    key_of_table = called if called.replace("-", "_").isidentifier() else json.dumps(called)
    lines = [f"[{section}.{key_of_table}]", *(f"{key} = {as_toml(value)}" for key, value in table.items())]
    return f"<p>Nothing is wrong with it. In anyjob.toml:</p><pre>{escape(chr(10).join(lines))}</pre>"


def values_of(section: str, name: str, given: dict[str, str]) -> dict[str, Any]:
    """Return the values of those options that say something else than their defaults."""
    found: dict[str, Any] = {}
    for option in registry.describe(name, GROUPS[section])["options"]:
        text = given.get(option["name"], "")
        if option["type"] == "boolean":
            value: Any = text == "true"
        elif not text:
            continue
        elif option["secret"]:
            value = {"env": text}
        else:
            value = text if option["type"] in ("string", "path") else read(text)
        if value != option["default"]:
            found[option["name"]] = value
    return found


def read(text: str) -> Any:
    """Return a value as TOML has it, or the text itself, of which the check will tell."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def text_of(value: Any) -> str:
    """Return a value as it stands in a form."""
    return value if isinstance(value, str) else as_toml(value)


def as_toml(value: Any) -> str:
    """Return a value as TOML has it: texts, numbers, lists and tables of them."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {as_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value if isinstance(value, (str, int, float)) else str(value))


class Pages(BaseHTTPRequestHandler):
    """Answers requests."""

    def do_GET(self) -> None:
        """Show what is installed, or a form."""
        self._answer({})

    def do_POST(self) -> None:
        """Check what was given."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LONGEST_BODY))
        pairs = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        self._answer({name: values[-1] for name, values in pairs.items()})

    def _answer(self, given: dict[str, str]) -> None:
        section, _, name = self.path.strip("/").partition("/")
        status = HTTPStatus.OK
        try:
            if not section:
                text = index()
            elif section in GROUPS:
                verdict = checked(section, name, given) if self.command == "POST" else ""
                text = page(name, form(section, name, given), verdict)
            else:
                status, text = HTTPStatus.NOT_FOUND, page("Not found", "<p>There is no such page.</p>")
        except AnyjobError as error:
            status, text = (
                HTTPStatus.NOT_FOUND,
                page("Not found", f'<p class="wrong">{escape(str(error))}</p>'),
            )
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free one")
    with ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Pages) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
