"""Where pages are served, and who is let in."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from search.errors import InputError
from search.web.listening import check_address, is_loopback, names_of, read_password, serve

PASSWORD = "a good password"


@pytest.mark.parametrize(("host", "own"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)])
def test_loopback_is_told_from_other_addresses(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_names_of_another_address_are_its_own_and_this_hosts() -> None:
    assert {"0.0.0.0", "localhost", os.uname().nodename.lower()} <= names_of("0.0.0.0")
    assert names_of("127.0.0.1") == {"127.0.0.1", "localhost", "::1"}


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [("", 0o600, "0 characters"), ("short\n", 0o600, "5 characters"), (PASSWORD, 0o644, "chmod 600")],
)
def test_password_file_that_is_none_is_refused(tmp_path: Path, text: str, mode: int, expected: str) -> None:
    path = tmp_path / "password"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(InputError, match=expected):
        read_password(path)


def test_password_is_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\nand a remark\n")
    path.chmod(0o600)
    assert read_password(path) == PASSWORD


def test_address_of_other_hosts_wants_a_password() -> None:
    with pytest.raises(InputError, match="could use the model; pass --password-file"):
        check_address("0.0.0.0", 80, None, "use the model")
    assert check_address("127.0.0.1", 0, None, "use the model") is None


@pytest.mark.parametrize("at_work", [True, False])
def test_server_with_a_thread_at_work_is_left_open(at_work: bool) -> None:
    closed: list[bool] = []
    server = SimpleNamespace(
        run=lambda: None,
        effective_port=80,
        task_dispatcher=SimpleNamespace(threads={0} if at_work else set()),
        close=lambda: closed.append(True),
    )
    serve(server, "127.0.0.1", "/", lambda line: None)
    assert bool(closed) is not at_work
