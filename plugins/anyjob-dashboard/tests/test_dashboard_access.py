"""Who gets in: pure functions on requests, and a dashboard as it is served."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from anyjob_dashboard.access import Keys, refusal
from dashboard_client import Dashboard

from conftest import started

KEYS = Keys("the-token", "anyjob-1234", "the-cookie")
HOST = {"host": "127.0.0.1:8000"}
IN = {**HOST, "cookie": "other=1; anyjob-1234=the-cookie"}
OWN = {**IN, "origin": "http://127.0.0.1:8000"}


def code(method: str, path: str, headers: dict[str, str], query: str = "") -> int:
    refused = refusal(KEYS, method, path, query, headers)
    return 200 if refused is None else refused.code


def test_the_token_opens_the_page_and_nothing_else() -> None:
    assert code("GET", "/", HOST, "token=the-token") == 200
    assert code("GET", "/", HOST) == 403
    for wrong in ("token=", "token=the-toke", "token=the-token2", "token=%FF", "token=x&token=the-token"):
        assert code("GET", "/", HOST, wrong) == 403
    assert code("GET", "/events", HOST, "token=the-token") == 403
    assert code("POST", "/actions", {**HOST, "origin": "http://127.0.0.1:8000"}, "token=the-token") == 403


@pytest.mark.parametrize(
    "cookie", ["anyjob-1234=", "anyjob-1234=x", "anyjob-0=the-cookie", "\xff", ";;=;", "a b=c"]
)
def test_another_cookie_opens_nothing(cookie: str) -> None:
    assert code("GET", "/events", {**HOST, "cookie": cookie}) == 403
    assert code("GET", "/events", IN) == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.2",
     "127.0.0.1@evil.example", "evil.example@127.0.0.1", "127.0.0.1:x", "[::1", "0.0.0.0:8000"],
)  # fmt: skip
def test_the_name_of_another_machine_that_leads_here_opens_nothing(host: str) -> None:
    assert code("GET", "/events", {**IN, "host": host}) == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:9", "localhost", "[::1]:8000"])
def test_names_of_this_machine_do_whatever_port_ssh_has_made_of_it(host: str) -> None:
    assert code("GET", "/events", {**IN, "host": host}) == 200
    assert code("POST", "/actions", {**IN, "host": host, "origin": f"http://{host}"}) == 200


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "https://127.0.0.1:8000", "http://127.0.0.1:8001"]
)
def test_a_page_from_elsewhere_changes_nothing(origin: str) -> None:
    assert code("POST", "/actions", {**OWN, "origin": origin}) == 403
    assert code("POST", "/actions", OWN) == 200


def test_another_site_reads_nothing() -> None:
    assert code("GET", "/events", {**IN, "sec-fetch-site": "cross-site"}) == 403
    assert (
        code("GET", "/", {**HOST, "sec-fetch-site": "cross-site"}, "token=the-token") == 200
    )  # a link in a mail


# --- as it is served -------------------------------------------------------------------------------


def test_each_answer_says_what_may_run(dashboard: Dashboard) -> None:
    for path, headers, expected in (
        ("/", {}, 403),
        (dashboard.url.partition(dashboard.address)[2], {}, 200),
        ("/static/main.js", dashboard.enter(), 200),
        ("/static/../access.py", dashboard.enter(), 404),
        ("/static/%2e%2e/access.py", dashboard.enter(), 404),
        ("/nothing", dashboard.enter(), 404),
    ):
        answer = dashboard.ask("GET", path, headers)
        told = {key.lower(): value for key, value in answer.headers.items()}
        assert answer.code == expected, path
        assert "default-src 'none'" in told["content-security-policy"]
        assert "unsafe" not in told["content-security-policy"]
        assert (told["x-content-type-options"], told["cache-control"]) == ("nosniff", "no-store")
        assert (expected == 200 and path.startswith("/?")) == ("set-cookie" in told)


def test_the_cookie_is_for_this_page_alone(dashboard: Dashboard) -> None:
    dashboard.enter()
    assert "HttpOnly; SameSite=Strict" in dashboard.cookie
    assert dashboard.url.partition("token=")[2] not in dashboard.cookie


def test_a_port_in_use_is_told_with_the_way_out(dashboard: Dashboard, anyjob_cli) -> None:  # type: ignore[no-untyped-def]
    done = anyjob_cli("dashboard", "--port", dashboard.address.rpartition(":")[2])
    assert done.returncode != 0
    assert "Address already in use" in done.stderr
    assert "give another --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_is_the_users_alone_and_goes_with_the_dashboard(tmp_path: Path, anyjob_cli) -> None:  # type: ignore[no-untyped-def]
    path = Path(os.path.relpath(tmp_path / "dash.sock"))
    with started("--socket", str(path)) as found:
        assert f"ssh -L 8765:{path.absolute()}" in found.said
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost:8765\r\nConnection: close\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 403")
        again = anyjob_cli("dashboard", "--socket", str(path.absolute()))
        assert "another program listens on the socket" in again.stderr
    assert not path.exists()
    path.write_text("mine")
    refused = anyjob_cli("dashboard", "--socket", str(path.absolute()))
    assert "is no socket" in refused.stderr
    assert path.read_text() == "mine"
