"""The URL of the SMTP server, and the other settings of mail."""

from __future__ import annotations

import pytest

from service.links import link
from service.settings import Settings, SettingsError, read
from service.smtp_url import SmtpServer, Tls, smtp_server
from tests.processes import command

SECRET = "s3cret-of-the-relay"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org", SmtpServer("mail.example.org", 587, Tls.STARTTLS)),
        ("smtp://mail.example.org:2525/", SmtpServer("mail.example.org", 2525, Tls.STARTTLS)),
        ("smtp://mail.example.org?starttls=required", SmtpServer("mail.example.org", 587, Tls.STARTTLS)),
        ("smtp://localhost:25?starttls=never", SmtpServer("localhost", 25, Tls.NEVER)),
        ("smtps://mail.example.org", SmtpServer("mail.example.org", 465, Tls.FROM_THE_START)),
        ("smtps://u:p@[::1]:466", SmtpServer("::1", 466, Tls.FROM_THE_START, "u", "p")),
        ("smtp://a%40b:x%2F%3A%40y@h", SmtpServer("h", 587, Tls.STARTTLS, "a@b", "x/:@y")),
    ],
)
def test_a_url_names_a_server(url: str, server: SmtpServer) -> None:
    assert smtp_server(url) == server


@pytest.mark.parametrize(
    "url",
    [
        *("", "mail.example.org", "http://h", "smtp://", "smtp:///x", "smtp://h/path", "smtp://h:0", "smtp://h:65536"),
        *("smtp://h:x", "smtp://h#f", "smtp://u@x:p@h", "smtp://u@h", "smtp://:p@h", "smtp://h?tls=no"),
        *("smtp://h?starttls=off", "smtp://h?starttls", "smtps://h?starttls=never", "smtp://h h", "smtp://[::1"),
        *("smtp://u%0d%0a:p@h", "smtp://h?starttls=never&starttls=required"),
    ],
)
def test_a_wrong_url_stops_the_start_without_being_quoted(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ROSTER_MAIL_FROM", "noreply@example.org")
    monkeypatch.setenv("ROSTER_SMTP_URL", url or f"{SECRET}")
    with pytest.raises(SettingsError, match=r"^ROSTER_SMTP_URL: ") as raised:
        read()
    assert SECRET not in str(raised.value)


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"smtp://roster:{SECRET}@mail.example.org"
    monkeypatch.setenv("ROSTER_SMTP_URL", f"{url}/path")
    monkeypatch.setenv("ROSTER_MAIL_FROM", "noreply@example.org")
    with pytest.raises(SettingsError) as raised:
        read()
    assert SECRET not in str(raised.value)
    monkeypatch.setenv("ROSTER_SMTP_URL", url)
    assert SECRET not in repr(read())
    assert SECRET not in repr(smtp_server(url))
    listed = command("settings", environment={"ROSTER_SMTP_URL": url, "ROSTER_MAIL_FROM": "a@example.org"})
    assert listed.returncode == 0
    assert SECRET not in listed.stdout
    assert "ROSTER_SMTP_URL" in listed.stdout


def test_a_server_requires_a_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROSTER_SMTP_URL", "smtp://h")
    with pytest.raises(SettingsError, match=r"^ROSTER_SMTP_URL: requires ROSTER_MAIL_FROM$"):
        read()


@pytest.mark.parametrize(
    "sender", ["Roster", "Roster <x>", "a@b@c", "<>", "Roster <a@example.org", "R\r\nBcc: x <a@b.c>"]
)
def test_a_wrong_sender_stops_the_start(monkeypatch: pytest.MonkeyPatch, sender: str) -> None:
    monkeypatch.setenv("ROSTER_MAIL_FROM", sender)
    with pytest.raises(SettingsError, match="ROSTER_MAIL_FROM"):
        read()


@pytest.mark.parametrize("sender", ["a@example.org", "Röster <a@example.org>", '"Roster, Inc." <noreply@roster.test>'])
def test_a_sender_is_an_address_with_or_without_a_name(monkeypatch: pytest.MonkeyPatch, sender: str) -> None:
    monkeypatch.setenv("ROSTER_MAIL_FROM", sender)
    assert read().mail_from == sender


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "http://localhost:8000/account/invitation#rsto_x"),
        ({"port": 9}, "http://localhost:9/account/invitation#rsto_x"),
        ({"public_url": "https://r.example.org/"}, "https://r.example.org/account/invitation#rsto_x"),
        ({"public_url": "https://example.org/roster"}, "https://example.org/roster/account/invitation#rsto_x"),
    ],
)
def test_a_link_has_its_token_in_the_fragment(settings: dict[str, str], expected: str) -> None:
    assert link(Settings.model_validate(settings), "/account/invitation", "rsto_x") == expected
