"""The command line: `python -m service COMMAND`."""

from __future__ import annotations

import click

from service.commands import database, doctor, documents, encryption, mail, moving, seed, serve, signing_key


@click.group(context_settings={"max_content_width": 110})
def main() -> None:
    """Roster, a GraphQL user-management service. Settings are ROSTER_* variables: see `settings`."""


for command in (
    database.check,
    database.create_admin,
    doctor.doctor,
    documents.documents,
    moving.export_,
    moving.import_,
    serve.list_settings,
    mail.mail,
    database.migrate,
    encryption.rotate_encryption,
    signing_key.rotate_signing_key,
    serve.schema,
    seed.seed,
    serve.serve,
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m service")
