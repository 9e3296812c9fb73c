from pathlib import Path

import pytest

from storage.atomic import atomic_write


def test_file_that_is_whole_takes_the_others_place(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with atomic_write(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
        assert aside.suffix == ".json"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def fail_halfway(path: Path) -> None:
    with atomic_write(path) as aside:
        aside.write_text("ne")
        raise OSError("full")


def test_file_that_fails_leaves_the_other_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(OSError, match="full"):
        fail_halfway(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
