import os
import time
from pathlib import Path

import pytest

from storage.atomic import LEFT_SECONDS, atomic_write


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


def test_writers_of_one_process_id_do_not_share_a_file(tmp_path: Path) -> None:
    """Two containers share a folder, and each has a process of this id."""
    path = tmp_path / "a.json"
    with atomic_write(path) as one, atomic_write(path) as two:
        one.write_text("one")
        two.write_text("two")
        assert one.read_text() == "one"
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_has_left_is_removed_a_day_later(tmp_path: Path) -> None:
    path = tmp_path / "a[1].json"
    old, young, another = (
        tmp_path / f".{name}" for name in ("0123abcd.a[1].json", "4567cdef.a[1].json", "b.json")
    )
    for left in (old, young, another):
        left.write_text("half")
    long_ago = time.time() - LEFT_SECONDS - 60
    for left in (old, another):
        os.utime(left, (long_ago, long_ago))
    with atomic_write(path) as aside:
        aside.write_text("new")
    assert sorted(tmp_path.iterdir()) == sorted([path, young, another])
