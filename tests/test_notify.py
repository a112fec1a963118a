"""``anyjob notify``: what is said, that it is sent, what is sent again, and what is refused at once."""

from __future__ import annotations

import io
import json
import queue
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import anyjob, invoke
from support.mail_server import Authority, mail_server
from test_report import FAILED, reported

from anyjob.config.notification_channels import Channel, channel, problems, read
from anyjob.config.secrets import Secret
from anyjob.config.settings import Config
from anyjob.errors import ConfigError
from anyjob.notifications import main as notifications
from anyjob.notifications.message import Message, message
from anyjob.notifications.request import AGAIN, TEMPORARY, Request
from anyjob.notifications.sending import NotSent, send

SAID = Message("fit: 1 failed", "exit-code: <!channel> & co", {"jobs": 1})


# --- what is said ---------------------------------------------------------------------------------


def test_what_went_well_is_said_in_a_line() -> None:
    assert message("fit", [reported(1)]).whole == "fit: done in 10s"
    assert message("fit", [reported(n) for n in range(3)]).whole == "fit: all 3 jobs done in 12s"


def test_failures_are_told_by_kind_with_the_last_that_one_wrote() -> None:
    jobs = [
        reported(1),
        reported(2, **FAILED, message="exit code 4"),
        reported(3, **FAILED, message="exit code 4"),
        reported(4, state="ERROR", reason="memory", message="2 GiB of 1 GiB\nand more"),
        reported(5, state="CANCELLED", started=None),
    ]
    said = message("fit", jobs, {jobs[2].job_id: ["a", "b", "c", "d\x1b[2J" + "x" * 1000]})
    assert said.subject == "fit: 1 done, 3 failed, 1 cancelled of 5 jobs in 13s"
    lines = said.text.splitlines()
    assert lines[0] == "exit-code, 2 jobs: exit code 4"
    assert lines[1:3] == [f"    {jobs[2].job_id}: b", f"    {jobs[2].job_id}: c"]
    assert lines[3].startswith(f"    {jobs[2].job_id}: d\\x1b[2Jxxx")
    assert len(lines[3]) < 250
    assert lines[4] == "memory: 2 GiB of 1 GiB"
    assert said.fields["states"] == {"CANCELLED": 1, "DONE": 1, "ERROR": 3}
    assert [each["jobs"] for each in said.fields["failures"]] == [2, 1]


def test_only_the_most_frequent_failures_are_told() -> None:
    said = message("fit", [reported(n, state="ERROR", reason=f"reason-{chr(97 + n)}") for n in range(7)])
    assert said.text.splitlines()[-1] == "and 2 more kinds of failures"
    assert len(said.fields["failures"]) == 5


def test_a_title_is_one_line_and_jobs_may_be_gone() -> None:
    assert message("a\r\nBcc: all@x", []).whole == "a\\r\\nBcc: all@x: the jobs are forgotten"


# --- that it is sent ------------------------------------------------------------------------------


class Hook(ThreadingHTTPServer):
    """A webhook: answers with ``code``; what it was sent is in ``taken``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.taken: queue.Queue[dict[str, Any]] = queue.Queue()
        self.code = 200
        self.url = f"http://127.0.0.1:{self.server_address[1]}/services/hush?key=hush-too"


class Answer(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.code)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(b"not key=hush-too of /services/hush")
        self.server.taken.put(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_webhook_takes_text_in_which_nobody_is_mentioned_and_the_fields(hook: Hook) -> None:
    send(Channel(webhook=Secret(hook.url)), SAID)
    taken = hook.taken.get(timeout=60)
    assert taken["text"] == "fit: 1 failed\nexit-code: &lt;!channel&gt; &amp; co"
    assert (taken["subject"], taken["jobs"]) == ("fit: 1 failed", 1)


@pytest.mark.parametrize(("code", "again"), [(302, False), (404, False), (429, True), (503, True)])
def test_what_a_webhook_does_not_take_is_sent_again_where_that_may_help(
    hook: Hook, code: int, again: bool
) -> None:
    hook.code = code
    with pytest.raises(NotSent, match=f"127.0.0.1 answered {code} .*: not … of …$") as caught:
        send(Channel(webhook=Secret(hook.url)), SAID)
    assert caught.value.again is again
    assert "hush" not in str(caught.value)


def test_a_webhook_that_is_away_may_be_back(hook: Hook) -> None:
    hook.url = "http://127.0.0.1:1/services/hush"  # where nobody listens
    with pytest.raises(NotSent, match="cannot be reached") as caught:
        send(Channel(webhook=Secret(hook.url)), SAID)
    assert caught.value.again
    assert "hush" not in str(caught.value)


def test_a_mail_is_delivered() -> None:
    with mail_server() as server:
        send(Channel(mail=["me@here", "you@here"], smtp=server.address), SAID)
        ((recipients, text),) = server.mails
    assert recipients == ["me@here", "you@here"]
    assert "Subject: fit: 1 failed\r\n" in text
    assert "From: me@here\r\n" in text
    assert "exit-code: <!channel> & co" in text


def test_a_mail_server_is_told_who_sends() -> None:
    with mail_server() as server:
        known: dict[str, Any] = {"mail": "me@here", "smtp": server.address, "user": "me"}
        send(Channel(**known, password=Secret("hush")), SAID)
        with pytest.raises(NotSent, match="answered 535 ") as refused:
            send(Channel(**known, password=Secret("other")), SAID)
        assert len(server.mails) == 1
    assert not refused.value.again


def test_a_mail_is_not_sent_in_the_clear_where_it_should_be_encrypted() -> None:
    with mail_server() as server:
        with pytest.raises(NotSent, match="STARTTLS extension not supported") as refused:
            send(Channel(mail="me@here", smtp=server.address, security="starttls"), SAID)
        assert not server.mails
    assert not refused.value.again


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_is_encrypted_for_one_that_is_who_it_says(security: str, tmp_path: Path) -> None:
    ours, other = Authority(tmp_path), tmp_path / "other.pem"
    shown: dict[str, Any] = {security: ours.context_of("localhost")}
    with mail_server(**shown) as server:
        known: dict[str, Any] = {"mail": "me@here", "smtp": server.address, "security": security}
        send(Channel(**known, ca=str(ours.path), user="me", password=Secret("hush")), SAID)
        assert server.encrypted == [True]
        for found in (Channel(**known), Channel(**known, user="me", password=Secret("hush"))):
            with pytest.raises(NotSent, match=r"is not trusted: .*certificate.*, set `ca`"):
                send(found, SAID)
    shown = {security: ours.context_of("mail.example.org")}
    with mail_server(**shown) as server:
        found = Channel(**{**known, "smtp": server.address}, ca=str(ours.path))
        with pytest.raises(NotSent, match="name the host as its certificate does") as refused:
            send(found, SAID)
        assert not server.mails
    assert not refused.value.again
    for text, says in ((None, "cannot be read: No such file"), ("none\n", "there are no certificates in it")):
        if text is not None:
            other.write_text(text)
        wrong = Config.from_dict({"notify": {"me": {"mail": "me@here", "ca": str(other)}}})
        assert [says in problem for problem in problems(wrong)] == [True]


def test_a_mail_that_is_refused_is_sent_again_where_that_may_help() -> None:
    with mail_server() as server, pytest.raises(NotSent, match="refuses nobody@here") as refused:
        send(Channel(mail="nobody@here", smtp=server.address), SAID)
    with mail_server(full=True) as server, pytest.raises(NotSent, match="452 the disk is full") as full:
        send(Channel(mail="me@here", smtp=server.address), SAID)
    with pytest.raises(NotSent, match="cannot be reached") as away:
        send(Channel(mail="me@here", smtp=server.address), SAID)
    assert (refused.value.again, full.value.again, away.value.again) == (False, True, True)


def test_a_command_and_a_desktop_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(Channel(command=f"cat > {tmp_path / 'told'}"), SAID)
    assert (tmp_path / "told").read_text() == f"{SAID.whole}\n"
    with pytest.raises(NotSent, match="sh ended with 75") as later:
        send(Channel(command="exit 75"), SAID)
    with pytest.raises(NotSent, match="cannot be started: No such file") as missing:
        send(Channel(command=[str(tmp_path / "gone")]), SAID)
    assert (later.value.again, missing.value.again) == (True, False)
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path / "noted"}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    send(Channel(desktop=True), SAID)
    assert (tmp_path / "noted").read_text().splitlines() == [
        "--app-name=anyjob",
        "--",
        "fit: 1 failed",
        "exit-code: &lt;!channel&gt; &amp; co",
    ]


# --- channels -------------------------------------------------------------------------------------


def test_a_request_names_its_channel_and_comes_back_as_it_was() -> None:
    for way in ("team", {"mail": ["me@here"]}):
        asked = Request("fit", ["3f2a"], way)
        assert Request.decoded(asked.encoded()) == asked


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, "has exactly one of webhook, mail, command, desktop, report; it has none"),
        ({"desktop": True, "command": "x"}, "it has command and desktop"),
        ({"mail": "me"}, "'me' is no mail address"),
        ({"mail": "me@here", "sender": "a@b\r\nBcc: c@d"}, "is no mail address"),
        ({"mail": "me@here", "smtp": "here:many"}, "smtp: 'here:many' must be of the form HOST or HOST:PORT"),
        ({"mail": "me@here", "user": "me"}, "user and password go together"),
        (
            {"mail": "me@here", "smtp": "there.org", "user": "me", "password": "x"},
            "a password would go to there.org for all to read",
        ),
        ({"webhok": "https://x/"}, "webhok: unknown option; did you mean 'webhook'?"),
    ],
)
def test_a_channel_that_is_wrong_says_where_and_why(options: dict[str, Any], wrong: str) -> None:
    config = Config.from_dict({"notify": {"team": options}}, origin="anyjob.toml")
    with pytest.raises(ConfigError) as caught:
        channel(config, "team")
    assert str(caught.value).startswith("anyjob.toml: notify.team")
    assert wrong in str(caught.value)
    assert list(problems(config)) == [str(caught.value)]


@pytest.mark.parametrize(
    "url", ["ftp://hush/", "https://", "https://hush@x/", "http://x:hush/", "http://x/\n"]
)
def test_an_address_of_a_webhook_that_is_none_is_told_and_not_shown(url: str) -> None:
    config = Config.from_dict({"notify": {"team": {"webhook": url}}})
    (problem,) = problems(config)
    assert "notify.team.webhook: this is no address of a webhook" in problem
    assert "hush" not in problem
    assert "hush" not in str(config.to_dict())


def test_the_server_of_mails_is_spoken_to_as_its_port_says() -> None:
    def server(**options: str) -> tuple[str, int, str]:
        return read({"mail": "me@here", **options}, "x").server

    assert server() == ("localhost", 25, "none")
    assert server(smtp="m.org:587") == ("m.org", 587, "starttls")
    assert server(smtp="m.org:465") == ("m.org", 465, "tls")
    assert server(smtp="[::1]:26", security="starttls") == ("::1", 26, "starttls")


# --- all of it ------------------------------------------------------------------------------------


def test_who_asked_may_be_gone_and_the_address_is_not_in_the_ledger(
    local_cli: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("anyjob.toml").write_text(
        "[notify.team]\nwebhook = { env = 'TEAM_WEBHOOK' }\n"
        "[backends.local]\ntype = 'local'\nslots = 1\n[resources]\ncpus = 1\n"
    )
    monkeypatch.setenv("TEAM_WEBHOOK", hook.url)
    for name, awaited in ("told", "go"), ("next", "end"):
        line = f"until [ -e {awaited} ]; do sleep 0.05; done; echo no luck >&2; exit 4"
        run = anyjob("run", "--detach", "--name", name, "--", "sh", "-c", line)
        assert run.returncode == 0, run.stderr
    asked = anyjob("notify", "told", "--to", "team")
    assert asked.returncode == 0, asked.stderr
    assert hook.taken.empty()
    Path("go").touch()
    told = hook.taken.get(timeout=60)  # though the next job has the only slot
    Path("end").touch()
    assert told["states"] == {"ERROR": 1}
    assert told["text"].splitlines()[1:] == ["exit-code: exit code 4", "    no luck"]
    assert anyjob("wait", asked.stdout.decode().strip()).returncode == 0
    for file in local_cli.glob("ledger*"):
        assert b"hush" not in file.read_bytes()


@pytest.mark.parametrize(
    ("way", "code", "said"),
    [
        ({"command": "exit 75"}, TEMPORARY, "sh ended with 75"),
        ({"command": "exit 3"}, 1, "sh ended with 3"),
        ("gone", 1, "no channel is called 'gone' in [notify]"),
    ],
)
def test_what_is_not_sent_is_an_exit_code_that_says_whether_to_try_again(
    local_cli: Path,
    way: Any,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request = Request("fit", ["gone"], way).encoded()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(request)))
    assert notifications.main() == code
    assert said in capsys.readouterr().err
    assert TEMPORARY in AGAIN.on


def test_a_desktop_without_notify_send_is_refused_at_once(
    local_cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = invoke("notify", "fit", "--desktop")
    assert done.exit_code == 125
    assert "--desktop: no program notify-send is here" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["fit"], "say how: --to CHANNEL"),
        (["--desktop"], "name the jobs: by ids and names, or by filters"),
        (["fit", "--name", "fit", "--desktop"], "name the jobs: by ids and names, or by filters"),
        (["fit", "--to", "taem"], "no channel is called 'taem' in [notify]; did you mean 'team'?"),
        (["fit", "--to", "team"], "TEAM_WEBHOOK' (anyjob.toml:2: notify.team.webhook) is not set"),
        (["fit", "--webhook", "team.org"], "--webhook: this is no address of a webhook"),
        (["fit", "--mail", "me"], "--mail: 'me' is no mail address"),
        (["fit", "--report", "."], "--report .: that is a directory: name a file"),
        (["fit", "--report", "no/end.html"], "--report no/end.html: there is no directory no: make it first"),
        (["nothing", "--command", "x"], "no job 'nothing' to tell of"),
        (["--tag", "study=none", "--command", "x"], "no job fits: there is nothing to tell of"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_handed_over(
    local_cli: Path, arguments: list[str], wrong: str
) -> None:
    Path("anyjob.toml").write_text("[notify.team]\nwebhook = { env = 'TEAM_WEBHOOK' }\n")
    done = invoke("notify", *arguments)
    assert done.exit_code == 125
    assert wrong in done.stderr.replace(f"{Path.cwd()}/", "")
