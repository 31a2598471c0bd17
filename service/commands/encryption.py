"""The command rotate-encryption: it encrypts what is stored with the newest key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from service import settings as configuration
from service.access.actor import system_actor
from service.commands.running import one_line_errors, with_database
from service.credentials.encryption import Encryption
from service.database.connection import Database
from service.resources import encryption_of
from service.write import Write, write_as

# What is encrypted: a name, the statement that lists the next rows, the one that replaces a row, and the columns
STORED: Final[Sequence[tuple[str, str, str, tuple[str, ...]]]] = (
    ("mails", "encrypted_mails", "reencrypt_mail", ("content",)),
    ("signingKeys", "encrypted_signing_keys", "reencrypt_signing_key", ("private_key",)),
    (
        "twoFactorSecrets",
        "encrypted_two_factor_secrets",
        "reencrypt_two_factor_secret",
        ("secret", "pending_secret"),
    ),
)
FIRST = "00000000-0000-0000-0000-000000000000"


@click.command("rotate-encryption")
def rotate_encryption() -> None:
    """Encrypt stored secrets again, with the first key of ROSTER_ENCRYPTION_KEYS.

    Afterwards the other keys can be removed. Put the new key first, and restart all workers, before you run this.
    """
    with one_line_errors():
        settings = configuration.read()
        encryption = encryption_of(settings)

        async def work(database: Database) -> dict[str, int]:
            return await rotate(database, encryption)

        counts = with_database(settings, work)
    click.echo(f"encrypted {', '.join(f'{count} {name}' for name, count in counts.items())}")


async def rotate(database: Database, encryption: Encryption) -> dict[str, int]:
    """Encrypt everything again, in small steps; return the numbers of rows by what they are."""
    counts: dict[str, int] = {}
    for name, listing, replacing, columns in STORED:
        counts[name], after = 0, FIRST
        while True:
            async with write_as(system_actor("command:rotate-encryption"), database, "encryption.rotate") as change:
                rows = await change.run(listing, after=after)
                replaced = [await _replaced(change, encryption, replacing, columns, row) for row in rows]
                if any(replaced):
                    change.added(**{name: sum(replaced)})
                else:
                    change.unchanged()
            counts[name] += sum(replaced)
            if not rows:
                break
            after = rows[-1]["id"]
    return counts


async def _replaced(change: Write, encryption: Encryption, statement: str, columns: tuple[str, ...], row: Any) -> bool:
    """Encrypt one row again; a row that another process has changed meanwhile is left as it is."""
    new = {name: None if row[name] is None else encryption.rotated(row[name]) for name in columns}
    old = {f"old_{name}": row[name] for name in columns}
    return await change.run(statement, id=row["id"], **new, **old) is not None
