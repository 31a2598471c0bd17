"""The command mail: it shows mail that has not been sent."""

from __future__ import annotations

import uuid
from typing import Any

import click
from jinja2 import TemplateError

from service import settings as configuration
from service.commands.running import CommandError, one_line_errors, with_database
from service.credentials.encryption import Encryption, EncryptionError
from service.database.connection import Database
from service.mail.message import Sender, text_of
from service.resources import encryption_of

MOST = 1_000


@click.command()
@click.option("--show", "mail_id", type=click.UUID, default=None, metavar="ID", help="Print the text of one mail.")
def mail(mail_id: uuid.UUID | None) -> None:
    """List the mails that have not been sent, the oldest first. The links of a mail are in its text: see --show."""
    with one_line_errors():
        settings = configuration.read()
        encryption, service = encryption_of(settings), Sender.of(settings.mail_from).name

        async def work(database: Database) -> list[Any]:
            async with database.transaction() as transaction:
                if mail_id is None:
                    return list(await transaction.run("pending_mails", most=MOST))
                return [row for row in [await transaction.run("mail_by_id", id=str(mail_id))] if row is not None]

        rows = with_database(settings, work)
        if mail_id is None:
            for row in rows:
                click.echo(_line(row, encryption, service))
            click.echo(_number(len(rows)))
            return
        if not rows:
            raise CommandError("there is no mail with this id that has not been sent")
        text = text_of(rows[0], encryption, service)
    click.echo(f"To: {rows[0]['recipient']}\nSubject: {text.subject}\n\n{text.text}", nl=False)


def _number(mails: int) -> str:
    if mails == 1:
        return "1 mail has not been sent"
    return f"{mails} mails have not been sent" if mails < MOST else f"the first {MOST} mails"


def _line(row: Any, encryption: Encryption, service: str) -> str:
    try:
        subject = text_of(row, encryption, service).subject
    except EncryptionError as error:
        subject = f"({row['template']}: {error})"
    except TemplateError:
        subject = f"({row['template']})"
    problem = f"  [try {row['tries']}: {row['problem']}]" if row["problem"] else ""
    # Addresses and problems are from others: no control character may reach the terminal
    line = f"{row['id']}  {row['created_at']:%Y-%m-%d %H:%M}  {row['recipient']}  {subject}{problem}"
    return "".join(each if each.isprintable() else " " for each in line)
