"""The embedded server: its start, its recovery and its stop, in any folder and for any account."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from databases import Database

from service.embedded.server import Embedded, EmbeddedError, start

AS_ROOT = os.geteuid() == 0
CLUSTER = "postgresql-18"
CHECKOUT = Path(__file__).parent.parent
# Starts the server of the folder given as its argument, says so, and stays.
STARTER = """
import sys, time
from pathlib import Path
from service.embedded.server import start
use = start(Path(sys.argv[1]), durable=False)
print("started", flush=True)
time.sleep(60)
"""


def new_folder() -> Iterator[Path]:
    """Folder of mode 0700; it is an error to leave a server running there."""
    folder = Path(tempfile.mkdtemp(prefix="roster-test-"))
    yield folder
    left_running = list(folder.rglob("postmaster.pid"))
    for pid_file in left_running:
        start(pid_file.parent.parent, durable=False).close()
    shutil.rmtree(folder)
    assert not left_running


folder = pytest.fixture(new_folder, name="folder")
shared_folder = pytest.fixture(new_folder, name="shared_folder", scope="module")


@pytest.fixture(scope="module")
def server(shared_folder: Path) -> Iterator[Embedded]:
    """Server for the tests that only ask; it is durable and was started amid settings that are not its own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ROSTER_ROOT_PASSWORD", "hunter2")
        environment.setenv("PGPORT", "6000")
        use = start(shared_folder)
    yield use
    use.close()
    assert is_stopped(shared_folder)


def server_pid(folder: Path) -> int:
    return int((folder / CLUSTER / "postmaster.pid").read_text().splitlines()[0])


def is_stopped(folder: Path) -> bool:
    return not (folder / CLUSTER / "postmaster.pid").exists()


def ask(use: Embedded, question: str) -> object:
    async def answer() -> object:
        connection = await asyncpg.connect(use.url)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(answer())


def test_an_empty_folder_gets_a_server_that_answers_as_an_ordinary_role(server: Embedded) -> None:
    question = "SELECT current_user || ' ' || current_database() || ' ' || rolsuper || ' ' || current_setting('fsync')"
    assert ask(server, question + " FROM pg_roles WHERE rolname = current_user") == "roster roster false on"


async def test_the_url_serves_the_databases_library(server: Embedded) -> None:
    async with Database(server.url) as database:
        assert await database.fetch_val("SELECT current_database()") == "roster"


def test_trigrams_know_letters_outside_ascii(server: Embedded) -> None:
    ask(server, "CREATE EXTENSION pg_trgm")
    assert ask(server, "SELECT similarity('żółw', 'ŻÓŁW')") == 1.0
    assert ask(server, "SELECT similarity('żółw', 'głąb')") == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_server_gets_none_of_the_services_environment(server: Embedded, shared_folder: Path) -> None:
    assert ask(server, "SELECT 1") == 1
    assert "hunter2" not in Path(f"/proc/{server_pid(shared_folder)}/environ").read_text()


def test_a_refused_value_is_not_written_to_the_log(server: Embedded, shared_folder: Path) -> None:
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        ask(server, "SELECT 'someone@example.org'::int")
    log = (shared_folder / "postgresql.log").read_text()
    assert "ready to accept connections" in log
    assert "someone@example.org" not in log


def test_data_outlive_the_server(folder: Path) -> None:
    use = start(folder, durable=False)
    ask(use, "CREATE TABLE memory AS SELECT 'kept' AS word")
    use.close()
    use = start(folder, durable=False)
    assert ask(use, "SELECT word FROM memory") == "kept"
    use.close()


def test_any_name_will_do_for_folder_and_database(folder: Path) -> None:
    use = start(folder / 'it\'s a "ü" $HOME' / ("long" * 30), database='it\'s a "ü" & 5%', durable=False)
    assert ask(use, "SELECT current_database()") == 'it\'s a "ü" & 5%'
    use.close()


def test_a_relative_folder_is_the_same_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    first = start(Path("data"), durable=False)
    second = start(folder / "data", durable=False)
    assert first.url == second.url
    first.close()
    second.close()


def test_two_who_start_at_once_share_a_server_until_the_last_leaves(folder: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: start(folder, durable=False), range(2))
    assert first.url == second.url
    first.close()
    first.close()
    assert ask(second, "SELECT 1") == 1
    second.close()
    assert is_stopped(folder)


def test_a_server_outlives_its_killed_starter_and_the_next_one_stops_it(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, folder], cwd=CHECKOUT, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        pid = server_pid(folder)
        starter.kill()
    use = start(folder, durable=False)
    assert server_pid(folder) == pid
    assert ask(use, "SELECT 1") == 1
    use.close()
    assert is_stopped(folder)


def test_a_starter_killed_while_it_makes_the_cluster_leaves_nothing_half_made(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, folder], cwd=CHECKOUT) as starter:
        deadline = time.monotonic() + 10
        while not list(folder.glob(".initdb-*/base")) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert not (folder / CLUSTER).exists()
        starter.kill()
    use = start(folder, durable=False)
    assert ask(use, "SELECT 1") == 1
    use.close()


def test_a_killed_server_recovers_what_was_committed(folder: Path) -> None:
    use = start(folder)
    ask(use, "CREATE TABLE memory AS SELECT 'committed' AS word")
    os.kill(server_pid(folder), signal.SIGKILL)
    again = start(folder)
    assert ask(again, "SELECT word FROM memory") == "committed"
    again.close()
    use.close()


def test_a_dead_servers_pid_may_belong_to_another_process(folder: Path) -> None:
    use = start(folder, durable=False)
    os.kill(server_pid(folder), signal.SIGKILL)
    use.close()
    pid_file = folder / CLUSTER / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(pid_file.read_text().splitlines()[0], str(os.getpid()), 1))
    use = start(folder, durable=False)
    assert ask(use, "SELECT 1") == 1
    use.close()


def test_a_long_log_is_put_aside(folder: Path) -> None:
    (folder / "postgresql.log").touch()
    os.truncate(folder / "postgresql.log", 10_000_001)
    start(folder, durable=False).close()
    assert (folder / "postgresql.log").stat().st_size < 10_000
    assert (folder / "postgresql.log.1").stat().st_size == 10_000_001


@pytest.mark.parametrize("name", ["postgresql-17", CLUSTER])
def test_data_of_another_major_version_are_refused(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match=f"{name} contains data of PostgreSQL 17"):
        start(folder)


def test_a_folder_that_is_no_cluster_is_refused(folder: Path) -> None:
    (folder / CLUSTER).mkdir()
    (folder / CLUSTER / "notes.txt").write_text("mine")
    with pytest.raises(EmbeddedError, match="is not the data of a PostgreSQL server"):
        start(folder)
    assert (folder / CLUSTER / "notes.txt").read_text() == "mine"


def test_a_corrupted_cluster_is_reported_with_the_servers_own_words(folder: Path) -> None:
    start(folder, durable=False).close()
    control = folder / CLUSTER / "global" / "pg_control"
    control.write_bytes(control.read_bytes()[:40] + bytes(8152))
    with pytest.raises(EmbeddedError, match=r"did not start: .*control file") as error:
        start(folder, durable=False)
    assert "\n" not in str(error.value)


def test_a_cluster_that_others_may_read_is_refused(folder: Path) -> None:
    start(folder, durable=False).close()
    (folder / CLUSTER).chmod(0o755)
    with pytest.raises(EmbeddedError, match="has invalid permissions"):
        start(folder, durable=False)


def test_a_data_folder_that_cannot_be_is_reported_in_one_line(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(EmbeddedError, match="file: File exists"):
        start(folder / "file")


def test_a_link_in_the_place_of_a_lock_is_not_followed(folder: Path) -> None:
    (folder / "victim").write_text("precious")
    (folder / "start.lock").hardlink_to(folder / "victim")
    with pytest.raises(EmbeddedError, match=r"start\.lock is not a plain file"):
        start(folder)
    (folder / "start.lock").unlink()
    (folder / "start.lock").symlink_to(folder / "victim")
    with pytest.raises(EmbeddedError, match=r"start\.lock"):
        start(folder)


def test_a_link_in_the_place_of_the_socket_folder_is_refused(folder: Path) -> None:
    use = start(folder, durable=False)
    socket_folder = Path(parse_qs(urlsplit(use.url).query)["host"][0])
    assert socket_folder.stat().st_mode & 0o777 == 0o700
    use.close()
    assert not socket_folder.exists()
    socket_folder.symlink_to(folder)
    try:
        with pytest.raises(EmbeddedError, match="is not a folder for the database's socket"):
            start(folder, durable=False)
    finally:
        socket_folder.unlink()


@pytest.mark.skipif(not AS_ROOT, reason="only root drops to another user")
def test_root_runs_the_server_as_another_user_who_may_pass_through_the_folder_but_not_list_it(folder: Path) -> None:
    use = start(folder / "data", durable=False)
    assert Path(f"/proc/{server_pid(folder / 'data')}").stat().st_uid != 0
    use.close()
    assert folder.stat().st_mode & 0o006 == 0
    account = (folder / "data" / CLUSTER).stat()
    listing = subprocess.run(
        ["/bin/ls", folder], check=False, capture_output=True, user=account.st_uid, group=account.st_gid
    )
    assert b"Permission denied" in listing.stderr


@pytest.mark.skipif(not AS_ROOT, reason="only root can make another user's folder")
def test_a_socket_folder_of_another_user_is_refused(folder: Path) -> None:
    use = start(folder, durable=False)
    socket_folder = Path(parse_qs(urlsplit(use.url).query)["host"][0])
    use.close()
    socket_folder.mkdir()
    os.chown(socket_folder, 12345, 12345)
    try:
        with pytest.raises(EmbeddedError, match="belongs to another user"):
            start(folder, durable=False)
    finally:
        socket_folder.rmdir()


@pytest.mark.skipif(AS_ROOT, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_reported_by_name(folder: Path) -> None:
    folder.chmod(0o500)
    try:
        with pytest.raises(EmbeddedError, match=rf"{folder}/start\.lock: Permission denied"):
            start(folder)
    finally:
        folder.chmod(0o700)
