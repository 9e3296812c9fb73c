"""A server of our own, a real one: who comes in, and that it is there again after whatever came."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import psycopg
import pytest

from search.errors import InputError
from search.postgres.backup import back_up
from search.postgres.folder import ServerFolder
from search.postgres.server import server_status, start_server, status_of, stop_server

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def connect(place: ServerFolder, **more: str) -> "psycopg.Connection[tuple[object, ...]]":
    """As a search does, by what ``start`` prints; no password is asked for at a terminal."""
    return psycopg.connect(status_of(place).url, **{"passfile": str(place.password_file), **more})


def count(place: ServerFolder) -> int:
    """Rows of the table ``kept``, which is made where it is not there."""
    with connect(place) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (x int)")
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
        assert row is not None
        return int(str(row[0]))


def test_server_answers_by_what_is_printed(private_server: ServerFolder) -> None:
    with psycopg.connect(os.environ["SEARCH_STORAGE"]) as connection:
        connection.execute("CREATE TABLE mine (x int)")
        connection.rollback()


def test_password_is_in_its_file_alone(private_server: ServerFolder) -> None:
    password = private_server.password_file.read_text().strip().rpartition(":")[2]
    assert len(password) >= 32
    assert password not in str(asdict(status_of(private_server)))
    for file in (*private_server.path.glob("*"), *private_server.data.glob("*.conf")):
        if file.is_file() and file != private_server.password_file:
            assert password.encode() not in file.read_bytes(), file


def test_only_its_user_may_read_the_password_and_enter_the_socket(private_server: ServerFolder) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in private_server.path.iterdir()}
    assert private_server.path.stat().st_mode & 0o777 == 0o700
    assert (modes["password"], modes[".s.PGSQL.5432"]) == (0o600, 0o700)


@as_root
def test_another_user_reads_no_password_and_is_not_let_in(private_server: ServerFolder) -> None:
    for tried in (
        ["cat", str(private_server.password_file)],
        ["psql", os.environ["SEARCH_STORAGE"], "-w", "-c", "SELECT 1"],
    ):
        other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *tried]
        assert subprocess.run(other, capture_output=True, check=False, cwd="/").returncode


@pytest.mark.parametrize("passfile", ["/dev/null", "wrong"])
def test_connection_without_the_password_is_refused(
    private_server: ServerFolder, tmp_path: Path, passfile: str
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("*:*:*:*:wrong\n")
    wrong.chmod(0o600)
    with pytest.raises(psycopg.OperationalError, match="password"):
        connect(private_server, passfile=str(tmp_path / passfile))


def test_role_of_the_studies_is_no_superuser(private_server: ServerFolder) -> None:
    with connect(private_server) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")


def test_second_start_says_that_it_runs_already(private_server: ServerFolder) -> None:
    before = status_of(private_server)
    status, ran = start_server(private_server.path)
    assert ran
    assert status.pid == before.pid is not None


def test_start_at_another_address_while_it_runs_is_refused(private_server: ServerFolder) -> None:
    with pytest.raises(InputError, match=r"^--listen 127.0.0.1: the server runs already.*stop it first$"):
        start_server(private_server.path, "127.0.0.1")


def test_start_after_a_crash_has_all_that_was_committed(private_server: ServerFolder) -> None:
    before = count(private_server)
    with connect(private_server) as connection:
        connection.execute("INSERT INTO kept VALUES (1)")
    held = connect(private_server)  # Its process outlives the server for a moment, as a worker's does.
    pid = status_of(private_server).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    status, ran = start_server(private_server.path)
    assert (status.running, ran, count(private_server)) == (True, False, before + 1)
    held.close()


def test_stop_is_in_good_order_and_start_is_as_before(private_server: ServerFolder) -> None:
    before, rows = status_of(private_server), count(private_server)
    assert stop_server(private_server.path)
    assert not stop_server(private_server.path)
    stopped = server_status(private_server.path)
    assert (stopped.running, stopped.pid, stopped.connections) == (False, None, None)
    with pytest.raises(InputError, match=r"does not run; search.database start starts it$"):
        back_up(private_server.path, private_server.path / "never")
    after, _ = start_server(private_server.path)
    assert count(private_server) == rows
    # A connection that has just been closed may still be counted.
    here = replace(after, pid=before.pid, size=before.size, connections=before.connections)
    assert here == before


def test_password_whose_file_was_removed_is_replaced(private_server: ServerFolder) -> None:
    old = private_server.password_file.read_text()
    stop_server(private_server.path)
    private_server.password_file.unlink()
    start_server(private_server.path)
    assert private_server.password_file.read_text() != old
    assert count(private_server) >= 0


def test_password_that_the_server_does_not_know_is_said(private_server: ServerFolder) -> None:
    right = private_server.password_file.read_text()
    private_server.write(private_server.password_file, "*:*:*:*:wrong\n")
    with pytest.raises(InputError, match=r"refuses the password in .*: it gets another password$"):
        status_of(private_server)
    private_server.write(private_server.password_file, right)


def test_backup_is_restored_in_a_server_that_listens_encrypted(
    private_server: ServerFolder, new_server_folder: Callable[[], Path], tmp_path: Path
) -> None:
    rows, file = count(private_server), tmp_path / "studies.dump"
    restore = back_up(private_server.path, file)
    with pytest.raises(InputError, match="is there already"):
        back_up(private_server.path, file)
    with pytest.raises(InputError, match="cannot be written"):
        back_up(private_server.path, tmp_path / "none" / "file")

    place = ServerFolder(new_server_folder())
    leftover = place.path / "data.part"
    leftover.mkdir(parents=True)  # Of a first start that was killed.
    os.chown(place.path, private_server.path.stat().st_uid, -1)
    status, _ = start_server(place.path, "127.0.0.1")
    assert "sslmode=verify-ca" in status.url
    environment = {**os.environ, "PGPASSFILE": status.password_file}
    subprocess.run([*restore.split(), status.url, str(file)], env=environment, check=True)
    # In a process of its own: TensorFlow, which tests import, has cryptographic code that gets in the driver's way.
    psql = [restore.split()[0].replace("pg_restore", "psql"), "-w", "-tAc"]
    asked = "SELECT count(*), bool_and(ssl) FROM kept, pg_stat_ssl WHERE pid = pg_backend_pid()"

    def ask(url: str) -> str:
        ended = subprocess.run(
            [*psql, asked, url], env=environment, capture_output=True, text=True, check=False
        )
        return ended.stdout.strip() + ended.stderr

    assert ask(status.url) == f"{rows}|t"
    assert "no encryption" in ask(status.url.replace("verify-ca", "disable"))
    other = tmp_path / "other.crt"
    subprocess.run(
        shlex.split(
            f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other -keyout {tmp_path}/key -out {other}"
        ),
        check=True,
        capture_output=True,
    )
    assert "certificate verify failed" in ask(status.url.replace(str(place.certificate), str(other)))
    stop_server(place.path)
    certificate = place.certificate.read_bytes()
    again, _ = start_server(place.path)  # What it listened at is kept, and so is what clients know it by.
    assert (again.listen, again.url, place.certificate.read_bytes()) == (
        status.listen,
        status.url,
        certificate,
    )
