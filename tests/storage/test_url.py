"""Database URLs: what is refused, where a URL comes from, and that a password is never shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.url import (
    ENVIRONMENT,
    check_url,
    default_url,
    is_sqlite,
    network_file_system,
    parse,
    passwords_of,
    redacted,
    sqlite_file,
    storage_url,
    without_password,
)

WITH_PASSWORD = [
    "postgresql://me:secret@host/db",
    "postgresql+psycopg://me:sec%72et@host:5432/db?connect_timeout=3",
    "postgresql://me@host/db?password=secret",
    "postgresql:///db?user=me&password=secret&host=/run/postgresql",
    "postgresql://me:secret@host/db?password=secret",
    "postgres://me:secret@[::1]/db",
]


def refusal(url: str) -> str:
    with pytest.raises(ValueError, match=r"^storage") as refused:
        check_url(url)
    line = str(refused.value)
    assert "\n" not in line
    return line


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Say that there are mounts, each of a folder and a kind, on top of a local root."""

    def write(*mounts: tuple[Path | str, str]) -> Path:
        lines = [
            f"{number} 1 0:{number} / {point} rw,relatime shared:1 - {kind} source rw"
            for number, (point, kind) in enumerate([("/", "ext4"), *mounts])
        ]
        file = tmp_path / "mountinfo"
        file.write_text("\n".join(lines) + "\n")
        monkeypatch.setattr("storage.url.MOUNTS", file)
        return tmp_path

    return write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "outer" / "inner"
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize("url", ["", "search.db", "not a url", "sqlite"])
def test_what_is_no_url_is_refused(url: str) -> None:
    assert "expected one such as sqlite:///" in refusal(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_database_in_memory_is_refused(url: str) -> None:
    assert "names no file" in refusal(url)


@pytest.mark.parametrize("url", ["postgresql://host", "postgresql://me:secret@host/"])
def test_postgres_without_a_database_is_refused(url: str) -> None:
    line = refusal(url)
    assert "names no database; expected postgresql://user@host/database" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    "url",
    [
        "mysql+pymysql://me:secret@host:3306/db", "nosuchdriver://me:sec%72et@host/db",
        "mssql://me@host/db?Password=secret", "postgresql+psycopg2://me:secret@host/db",
    ],
)  # fmt: skip
def test_other_databases_are_refused_without_their_password(url: str) -> None:
    line = refusal(url)
    assert "only SQLite and Postgres are supported" in line
    assert "secret" not in line
    assert "sec%72et" not in line


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@host:port/db", "postgresql:/me:secret@host/db", "me:secret@host/db"]
)
def test_url_that_cannot_be_taken_apart_is_refused_without_its_password(url: str) -> None:
    assert "secret" not in refusal(url)


@pytest.mark.parametrize("name", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_is_known_by_all_its_names(name: str) -> None:
    parsed = parse(f"{name}://me@host/db")
    assert (parsed.drivername, parsed.database, is_sqlite(parsed)) == ("postgresql+psycopg", "db", False)


def test_sqlite_is_a_file(tmp_path: Path) -> None:
    parsed = parse(default_url(tmp_path))
    assert is_sqlite(parsed)
    assert sqlite_file(parsed) == tmp_path / "search.db"


def test_folder_that_does_not_exist_is_refused_and_not_made(tmp_path: Path) -> None:
    assert f"{tmp_path}/no/such does not exist" in refusal(f"sqlite:///{tmp_path}/no/such/search.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_password_is_shown_as_stars(url: str) -> None:
    line = redacted(parse(url))
    assert "secret" not in line
    assert "sec%72et" not in line
    assert "***" in line or "%2A%2A%2A" in line


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_password_is_found_in_each_of_its_places(url: str) -> None:
    assert passwords_of(parse(url)) == {"password": "secret"}


@pytest.mark.parametrize("url", ["postgresql://me@host/db", "sqlite:///search.db"])
def test_url_without_a_password_has_none(url: str) -> None:
    assert passwords_of(parse(url)) == {}
    assert without_password(parse(url)) == parse(url)


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_password_is_taken_out_and_all_else_left(url: str) -> None:
    parsed = parse(url)
    bare = without_password(parsed)
    assert "secret" not in bare.render_as_string(hide_password=False)
    assert (bare.username, bare.host, bare.port, bare.database) == (
        parsed.username, parsed.host, parsed.port, parsed.database,
    )  # fmt: skip
    assert {**bare.query, "password": ""} == {**parsed.query, "password": ""}


def test_password_of_a_key_is_taken_out() -> None:
    bare = without_password(parse("postgresql://me@host/db?sslkey=client.key&sslpassword=secret"))
    assert "secret" not in bare.render_as_string(hide_password=False)


def test_password_by_another_name_is_not_shown() -> None:
    assert "secret" not in refusal("mysql://me@host/db?passwd=secret")


def test_password_with_an_at_sign_is_refused_and_not_shown_in_part() -> None:
    """What follows the first @ would be taken for the host, and shown."""
    with pytest.raises(ValueError, match=r"must be written as %40$") as refused:
        parse("postgresql://me:very@secret@host/db")
    assert "secret" not in str(refused.value)


def test_url_said_comes_before_the_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ENVIRONMENT, "postgresql://host/environment")
    assert storage_url("postgresql://host/said", tmp_path) == "postgresql://host/said"


def test_url_of_the_environment_comes_before_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEARCH_STORAGE", "postgresql://host/environment")
    assert storage_url(None, tmp_path) == "postgresql://host/environment"


def test_empty_url_is_no_way_to_another_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEARCH_STORAGE", "postgresql://host/environment")
    with pytest.raises(ValueError, match="not a database URL"):
        parse(storage_url("", tmp_path))


def test_url_is_of_sqlite_under_the_root_where_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert storage_url(None, tmp_path) == f"sqlite:///{tmp_path}/search.db"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "lustre", "ceph", "gpfs"])
def test_sqlite_on_a_network_file_system_is_refused_with_the_reason(
    mount: Callable[..., Path], folder: Path, kind: str
) -> None:
    mount((folder, kind))
    line = refusal(f"sqlite:///{folder}/search.db")
    assert f"{folder} is on a network file system ({kind}), on which SQLite loses data" in line
    assert "use a local folder, or Postgres" in line


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs"]
)
def test_sqlite_on_a_local_file_system_is_accepted(
    mount: Callable[..., Path], folder: Path, kind: str
) -> None:
    mount((folder, kind))
    check_url(f"sqlite:///{folder}/search.db")
    assert network_file_system(folder) == ""


@pytest.mark.parametrize(("outer", "inner", "refused"), [("nfs4", "ext4", ""), ("ext4", "nfs4", "nfs4")])
@pytest.mark.parametrize("first", ["outer", "inner"])
def test_innermost_of_nested_mounts_counts(
    mount: Callable[..., Path], folder: Path, outer: str, inner: str, refused: str, first: str
) -> None:
    mounts = [(folder.parent, outer), (folder, inner)]
    mount(*(mounts if first == "outer" else mounts[::-1]))
    assert network_file_system(folder) == refused


def test_last_of_mounts_on_one_folder_counts(mount: Callable[..., Path], folder: Path) -> None:
    mount((folder, "ext4"), (folder, "nfs4"))
    assert network_file_system(folder) == "nfs4"


def test_folder_whose_name_only_begins_like_a_mount_is_not_on_it(
    mount: Callable[..., Path], folder: Path
) -> None:
    mount((str(folder)[:-1], "nfs4"))
    assert network_file_system(folder) == ""


def test_mount_with_spaces_in_its_name_is_found(mount: Callable[..., Path], tmp_path: Path) -> None:
    spaced = tmp_path / "my own studies"
    spaced.mkdir()
    mount((str(spaced).replace(" ", "\\040"), "nfs4"))
    assert network_file_system(spaced) == "nfs4"


def test_link_to_a_network_file_system_is_refused(
    mount: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    mount((folder, "nfs4"))
    (tmp_path / "link").symlink_to(folder)
    assert "network file system" in refusal(f"sqlite:///{tmp_path}/link/search.db")


def test_mount_without_optional_fields_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(f"36 35 98:0 / {folder} rw - nfs host:/export rw\n")
    monkeypatch.setattr("storage.url.MOUNTS", file)
    assert network_file_system(folder) == "nfs"


def test_system_that_lists_no_mounts_is_taken_for_local(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.url.MOUNTS", tmp_path / "none")
    check_url(f"sqlite:///{folder}/search.db")
    assert network_file_system(folder) == ""


@pytest.mark.parametrize("name", ["studies", "a b/ünï", "q?a=1", "q#1", "100%", "q%20", "q%2Fz"])
def test_default_database_lies_in_the_folder_whatever_its_name(name: str) -> None:
    url = default_url(Path(name))
    assert sqlite_file(parse(url)) == Path(name) / "search.db"
    if not {*"?%"} & {*name}:
        assert url == f"sqlite:///{name}/search.db"
