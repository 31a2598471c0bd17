"""The texts of mails: a folder for each language with a Jinja template for each mail, see `outbox.Template`.

A template has the block `subject`, and paragraphs with an empty line between them in the block `body`. They become the
text and, with escaped values, the HTML of the mail. To add a language, add its folder.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER: Final = Path(__file__).parent / "templates"
FALLBACK: Final = "en"
LONGEST: Final = 200  # characters of a value that people choose
LINKS: Final = frozenset({"email", "url"})
TIMES: Final = frozenset({"due", "time"})
CHOSEN: Final = frozenset({"by", "key_name", "name", "server_name"})
# What ends a part of an address for some mail program or browser (UTS 46), with the forms of full and half width
ENDS_PART = re.compile(r"([.:/\u3002\uff0e\uff61\uff1a\uff0f])(?=[^\s.:/\u3002\uff0e\uff61\uff1a\uff0f])")
# Line breaks of any kind, other control characters, and those that reverse the direction of what follows
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Text:
    """A mail as it is read: its subject, its text, and the same as HTML. `language` is that of the templates."""

    subject: str
    text: str
    html: str
    language: str


@cache
def languages() -> Mapping[str, str]:
    """Return the folders by their languages in lower case."""
    return {path.name.lower(): path.name for path in FOLDER.iterdir() if path.is_dir()}


def language_for(tag: str) -> str:
    """Return the folder for a language tag: that of the tag, of a shorter one (de for de-AT), or English."""
    # SECURITY: one of the folders that exist, never a path that is made of the user's tag
    parts = tag.lower().split("-")
    shorter = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((languages()[each] for each in shorter if each in languages()), FALLBACK)


def render(template: str, language: str, recipient: str, service: str, values: Mapping[str, Any]) -> Text:
    """Return the text of a mail; `template` is the name of its file, and `service` that of the service.

    Raise jinja2.TemplateError for a template that does not exist, or a value that it has not received.
    """
    folder = language_for(language)
    printable = {name: _printable(name, value, recipient) for name, value in values.items()}
    given = {"service": _printable("service", service, ""), "language": folder, **printable}
    name = f"{folder}/{template}.jinja"
    plain = _environment(html=False).get_template(name)
    subject = " ".join("".join(plain.blocks["subject"](plain.new_context(given))).split())
    paragraphs = [Markup(each) for each in _paragraphs(_environment(html=True).get_template(name).render(given))]  # noqa: S704  (values are escaped)
    layout = _environment(html=True).get_template("layout.jinja")
    html = layout.render(language=folder, subject=subject, paragraphs=paragraphs)
    return Text(subject, "\n\n".join(_paragraphs(plain.render(given))) + "\n", html + "\n", folder)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _printable(name: str, value: Any, recipient: str) -> Any:
    """Return a value as it may be in a header or a line of text.

    SECURITY: a line break in a name would begin a header or a paragraph of its choice. A name with an address of a page
    would send it to a person who trusts this service, so that mail programs must not recognize it as a link.
    """
    if not isinstance(value, str):
        return value
    text = " ".join(UNPRINTABLE.sub(" ", value).split())
    if name in TIMES:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    if name in LINKS or value == recipient:
        return text
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return ENDS_PART.sub(r"\1 ", text) if name in CHOSEN else text


def _text_link(url: str, label: str) -> str:
    return f"{label}: {url}"


def _html_link(url: str, label: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(url, label)


@cache
def _environment(*, html: bool) -> Environment:
    # SECURITY: HTML escapes every value; plain text has nothing to escape
    environment = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, autoescape=html)  # noqa: S701
    environment.globals["link"] = _html_link if html else _text_link
    return environment
