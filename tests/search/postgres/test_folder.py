"""Folders in which no server can be started are refused in one line, before anything is written there."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from search.errors import InputError
from search.postgres.folder import LONGEST_PATH, existing_folder, prepared_folder
from search.postgres.programs import programs_for, server_account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def refusal(do: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(InputError) as error:
        do(path)
    line = str(error.value)
    assert line.startswith(f"--dir {path}: ")
    assert "\n" not in line
    return line


@pytest.fixture
def own(new_server_folder: Callable[[], Path]) -> Path:
    """A folder of the server's account, with data of a version, and nothing else."""
    path = new_server_folder()
    (path / "data").mkdir(parents=True)
    if (account := server_account()) is not None:
        os.chown(path, account.pw_uid, account.pw_gid)
    return path


def test_folder_is_made_for_its_user_alone(new_server_folder: Callable[[], Path]) -> None:
    path = new_server_folder() / "in" / "one"
    assert prepared_folder(path).path == path
    assert path.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(path.parents[1])


def test_folder_without_a_database_is_refused(tmp_path: Path) -> None:
    assert refusal(existing_folder, tmp_path).endswith(
        "no database is there; search.database start makes one"
    )
    assert refusal(existing_folder, tmp_path / "none").endswith("search.database start makes one")


def test_folder_with_other_files_is_refused(own: Path) -> None:
    (own / "thesis.tex").touch()
    assert "holds other files" in refusal(prepared_folder, own)


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be used (File exists)" in refusal(prepared_folder, tmp_path / "file")


@pytest.mark.parametrize("name", ["x" * LONGEST_PATH, "a,b", "it's"])
def test_folder_that_no_socket_can_lie_in_is_refused(name: str) -> None:
    assert "Unix socket lies in it" in refusal(prepared_folder, Path("/var/tmp") / name)


@as_root
def test_folder_of_another_user_is_refused(own: Path) -> None:
    (own / "data" / "PG_VERSION").write_text("15")
    os.chown(own, 12345, 12345)
    for do in (prepared_folder, existing_folder):
        assert "belongs to user 12345, and the server would be user postgres's" in refusal(do, own)


@as_root
def test_folder_that_the_servers_account_cannot_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert "user postgres, whose server it is, may not write there" in refusal(
        prepared_folder, tmp_path / "d"
    )


def test_folder_on_a_full_disk_is_refused(own: Path, small_disk) -> None:
    with small_disk(own / "disk") as disk:
        if (account := server_account()) is not None:
            os.chown(disk, account.pw_uid, account.pw_gid)
        assert "its disk has 0 MB free, and Postgres needs 268 MB to start" in refusal(prepared_folder, disk)


def test_folder_that_another_host_has_started_is_refused(own: Path) -> None:
    (own / "data" / "PG_VERSION").write_text("15")
    (own / "data" / "postmaster.pid").touch()
    (own / "address.json").write_text(json.dumps({"listen": "", "port": 5432, "host": "elsewhere"}))
    for do in (prepared_folder, existing_folder):
        assert "host elsewhere has started it, and not stopped it: do this there" in refusal(do, own)
    (own / "data" / "postmaster.pid").unlink()
    assert existing_folder(own) == prepared_folder(own)


def test_data_of_another_major_version_is_refused(postgres) -> None:
    installed = programs_for(None).major
    with pytest.raises(
        InputError, match=rf"^--dir: its data is of Postgres 9, and installed here is .*{installed}"
    ):
        programs_for("9")
    assert programs_for(installed).major == installed
