"""The texts of mails: every template in every language, escaped, and safe against the names that people choose."""

from __future__ import annotations

import datetime as dt
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import jinja2
import pytest

from service.mail import templates
from service.mail.message import Sender, message_of
from service.mail.outbox import VALUES, Template
from service.mail.templates import FOLDER, language_for, languages, render

URL = "https://roster.test/account/page#rsto_token"
SAMPLES: dict[str, Any] = {
    "by": "Carol",
    "due": "2026-12-15T08:45:00+00:00",
    "email": "new@roster.test",
    "fingerprint": "SHA256:abc/def+ghi",
    "ip": "2001:db8::1",
    "keeps_access": True,
    "key_name": "deploy",
    "name": "Alice",
    "server_name": "web",
    "time": "2026-12-01T09:30:15.123456+00:00",
    "url": URL,
    "what": "enabled",
}
LANGUAGES = sorted(languages())
HEADERS = ("Auto-Submitted", "Content-Language", "Content-Type", "MIME-Version")
WITHOUT_MAIL = {"circumstances", "frame"}  # parts of the others


def values_of(template: Template, **changed: Any) -> dict[str, Any]:
    return {name: SAMPLES[name] for name in {*VALUES[template], "name"}} | changed


def rendered(template: Template, language: str = "en", **changed: Any) -> templates.Text:
    return render(template.value, language, "alice@roster.test", "Roster", values_of(template, **changed))


def test_every_template_has_values_and_files_in_every_language() -> None:
    assert set(VALUES) == set(Template)
    assert LANGUAGES == ["de", "en"]
    expected = {template.value for template in Template} | WITHOUT_MAIL
    for language in LANGUAGES:
        assert {path.stem for path in (FOLDER / language).iterdir()} == expected


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", Template, ids=lambda each: each.name)
def test_a_template_renders_with_its_values(template: Template, language: str) -> None:
    text = rendered(template, language)
    assert text.language == language
    assert 10 < len(text.subject) < 80
    assert "\n" not in text.subject
    assert text.text.startswith("Hello Alice,\n\n" if language == "en" else "Guten Tag Alice,\n\n")
    assert f'<html lang="{language}">' in text.html
    for name in VALUES[template] - {"due", "keeps_access", "time", "what"}:
        assert SAMPLES[name] in text.text, name
    for whole in (text.text, text.html):
        assert not re.search(r"[{}]|None|undefined", whole)
        assert ("2026-12-01 09:30 UTC" in whole) == ("time" in VALUES[template])
        assert ("2026-12-15 08:45 UTC" in whole) == ("due" in VALUES[template])
    assert (f'<a href="{URL}">' in text.html) == ("url" in VALUES[template])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", Template, ids=lambda each: each.name)
def test_a_template_uses_every_value_and_no_other(template: Template, language: str) -> None:
    for name in {*VALUES[template], "name"}:
        missing = values_of(template)
        del missing[name]
        with pytest.raises(jinja2.UndefinedError, match=name):
            render(template.value, language, "alice@roster.test", "Roster", missing)


@pytest.mark.parametrize("language", LANGUAGES)
def test_absent_values_are_left_out(language: str) -> None:
    for template in (Template.PASSWORD_CHANGED, Template.SERVER_SHARED):
        absent = dict.fromkeys({"ip", "by"} & VALUES[template])
        assert "None" not in rendered(template, language, **absent).text
    assert "2001" not in rendered(Template.PASSWORD_CHANGED, language, ip=None).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_change_of_the_second_factor_has_its_sentence(language: str) -> None:
    changes = (
        "disabled",
        "enabled",
        "passkey-added",
        "passkey-removed",
        "recovery-code-used",
        "recovery-codes",
        "reset",
    )
    texts = {rendered(Template.TWO_FACTOR_CHANGED, language, what=what).text for what in changes}
    assert len(texts) == len(changes)
    assert not any(what in text for what in ("passkey-added", "recovery-codes") for text in texts)
    assert "something-new" in rendered(Template.TWO_FACTOR_CHANGED, language, what="something-new").text
    # Who reads no more than the subject must see that a recovery code was used
    subjects = {rendered(Template.TWO_FACTOR_CHANGED, language, what=what).subject for what in changes}
    assert len(subjects) == 4


@pytest.mark.parametrize(
    ("tag", "folder"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-at-1996", "de"),
        ("en-GB", "en"),
        ("fr", "en"),
        ("deu", "en"),
        ("", "en"),
        ("../en", "en"),
        ("/etc", "en"),
    ],
)
def test_the_language_of_a_tag(tag: str, folder: str) -> None:
    assert language_for(tag) == folder


def test_a_new_language_is_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "FOLDER", tmp_path)
    for path in FOLDER.rglob("*.jinja"):
        target = tmp_path / path.relative_to(FOLDER)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    (tmp_path / "pt-BR").mkdir()
    (tmp_path / "pt-BR" / "invitation.jinja").write_text(
        "{% block subject %}Convite{% endblock %}{% block body %}Olá {{ name }}{% endblock %}", encoding="utf-8"
    )
    templates.languages.cache_clear()
    templates._environment.cache_clear()  # noqa: SLF001  (its folder has changed)
    try:
        assert rendered(Template.INVITATION, "pt-br").subject == "Convite"
        assert rendered(Template.INVITATION, "pt").language == "en"
    finally:
        templates.languages.cache_clear()
        templates._environment.cache_clear()  # noqa: SLF001


def sent(text: templates.Text, sender: str = "Roster <noreply@roster.test>") -> EmailMessage:
    """Return a message as its reader receives it."""
    mail = {"id": "01a22f03-31ba-77f3-ba23-4ad91cac97f8", "created_at": dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC)}
    written = message_of(Sender.of(sender), "alice@roster.test", mail, text).as_bytes(policy=policy.SMTP)
    assert all(len(line) < 998 for line in written.split(b"\r\n"))  # RFC 5322, section 2.1.1
    assert written.isascii()
    read = message_from_bytes(written, policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\u2028", "\u0085", "\x0b", "\x1c"])
def test_a_name_cannot_add_a_header_or_a_paragraph(line_break: str) -> None:
    name = f"web{line_break}Bcc: victim@roster.test{line_break}{line_break}Pay here"
    text = rendered(Template.SERVER_SHARED, server_name=name, name=name, by=name)
    message = sent(text)
    assert message["Bcc"] is None
    assert set(message.keys()) == {"From", "To", "Subject", "Date", "Message-ID", *HEADERS}
    assert len(message.keys()) == 9
    assert text.text.count("\n\n") == rendered(Template.SERVER_SHARED).text.count("\n\n")
    assert "Bcc: victim" in str(message["Subject"])


def test_a_name_is_escaped_in_html_and_unchanged_in_text() -> None:
    name = '<img src=x onerror="alert(1)"> & {{ url }}'
    text = rendered(Template.INVITATION, name=name)
    assert "<img" not in text.html
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt; &amp; {{ url }}" in text.html
    assert f"Hello {name},\n" in text.text
    assert 'href="javascript' not in rendered(Template.INVITATION, name='"><a href="javascript:x').html


@pytest.mark.parametrize("name", ["http://evil.example/x", "www.evil.example", "Win at evil.example/win now"])
def test_a_name_is_not_a_link(name: str) -> None:
    # A stranger enters a name and the address of a victim, and this service would send the link
    for template in (Template.EMAIL_VERIFICATION, Template.INVITATION, Template.ACCOUNT_EXISTS, Template.SERVER_SHARED):
        text = rendered(
            template, **{each: name for each in ("name", "by", "server_name") if each in values_of(template)}
        )
        assert "evil.example" not in text.text
        assert "evil.example" not in text.html
        assert "://evil" not in text.text


@pytest.mark.parametrize("mark", ["\u3002", "\uff0e", "\uff61"])
def test_a_name_with_another_full_stop_is_not_a_link(mark: str) -> None:
    # Browsers, and mail programs that follow them, read each as a dot (UTS 46)
    text = rendered(Template.INVITATION, name=f"Win at evil{mark}example\uff0fwin now")
    assert f"evil{mark} example\uff0f win now" in text.text
    assert f"evil{mark}example" not in text.html


def test_an_address_as_the_name_stays_as_it_is() -> None:
    assert rendered(Template.INVITATION, name="alice@roster.test").text.startswith("Hello alice@roster.test,")


def test_long_names_and_other_alphabets_fit_into_the_headers() -> None:
    name = "Ünïcödé 🦊 " * 40
    text = rendered(Template.SERVER_SHARED, "de", server_name=name)
    message = sent(text, sender="Röster Überwachung <noreply@roster.test>")
    # Python 3.11 loses a space where it folds encoded words
    assert str(message["Subject"]).replace(" ", "") == text.subject.replace(" ", "")
    assert text.subject.startswith("Sie haben Zugriff auf den Server Ünïcödé 🦊 Ünïcödé")
    assert len(text.subject) < templates.LONGEST + 60
    assert message["From"].addresses[0].display_name == "Röster Überwachung"
    plain = message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().replace("\r\n", "\n") == text.text
