import os
import tempfile
import threading
import time
from pathlib import Path

import pytest

from search.errors import InputError
from search.exporting.folder import FILES, SWEEP_FILES, atomic_folder, check_target, reserved
from storage.atomic import LEFT_SECONDS


def test_folder_is_absent_when_the_filling_fails(tmp_path: Path) -> None:
    def fill_half() -> None:
        with atomic_folder(tmp_path / "deep" / "out") as folder:
            (folder / "summary.json").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill_half()

    assert list((tmp_path / "deep").iterdir()) == []


def test_folder_is_not_there_before_it_is_whole(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "summary.json").write_text("{}")
        assert not (tmp_path / "out").exists()

    assert [path.name for path in tmp_path.rglob("*")] == ["out", "summary.json"]


def test_folder_replaces_an_earlier_export_whole(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "curves.png").write_text("old")
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "summary.json").write_text("new")

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["summary.json"]
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_earlier_export_stays_where_the_new_one_is_interrupted_as_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "curves.png").write_text("old")
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "curves.png").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def left_by_a_killed_export(target: Path, age: float) -> Path:
    left = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    (left / "new").mkdir()
    (left / "new" / "model.keras").write_text("half")
    for path in (left / "new" / "model.keras", left / "new", left):
        os.utime(path, (time.time() - age,) * 2)
    return left


def test_what_a_killed_export_left_is_removed_a_day_later(tmp_path: Path) -> None:
    target = tmp_path / "out"
    old, fresh = left_by_a_killed_export(target, 1.1 * LEFT_SECONDS), left_by_a_killed_export(target, 60.0)
    longer_name = left_by_a_killed_export(tmp_path / "out.other", 1.1 * LEFT_SECONDS)
    with atomic_folder(target):
        pass
    assert not old.exists()
    assert fresh.exists()
    assert longer_name.exists()


def test_folder_that_a_long_export_still_fills_stays(tmp_path: Path) -> None:
    target = tmp_path / "out"
    filled = left_by_a_killed_export(target, 1.1 * LEFT_SECONDS)
    (filled / "new" / "model.keras").write_text("whole")
    with atomic_folder(target):
        pass
    assert filled.exists()


def test_earlier_export_that_a_killed_one_had_moved_aside_stays(tmp_path: Path) -> None:
    target = tmp_path / "out"
    left = left_by_a_killed_export(target, 1.1 * LEFT_SECONDS)
    (left / "old").mkdir()
    os.utime(left, (time.time() - 1.1 * LEFT_SECONDS,) * 2)
    with atomic_folder(target):
        pass
    assert left.exists()


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("")

    with pytest.raises(InputError, match=r"holiday\.jpg"):
        check_target(tmp_path)


def test_folder_of_a_sweep_is_refused_to_an_export_with_another_name(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "sweep.csv").write_text("")

    with pytest.raises(InputError, match=r"holds a sweep's report \(sweep\.csv\).*such as --out .*/s_model$"):
        check_target(tmp_path / "s")


def test_folder_of_an_export_is_refused_to_a_sweep_with_another_name(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "model.keras").write_text("")

    with pytest.raises(InputError, match=r"holds an export \(model\.keras\).*such as --out .*/s_sweep$"):
        check_target(tmp_path / "s", SWEEP_FILES)


@pytest.mark.parametrize("name", [".git", ".env", ".ssh"])
def test_folder_with_a_hidden_file_is_refused_beside_an_export_too(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    for whose in ("somebody's", "an export's"):
        if whose == "an export's":
            (tmp_path / "summary.json").write_text("{}")
        with pytest.raises(InputError, match=rf"holds '\{name}', which no export wrote"):
            check_target(tmp_path)


@pytest.mark.parametrize("summary", [None, "no JSON", "[1]"])
def test_folder_of_files_that_are_called_as_an_exports_is_refused(
    tmp_path: Path, summary: str | None
) -> None:
    (tmp_path / "model.keras").write_text("precious")
    if summary is not None:
        (tmp_path / "summary.json").write_text(summary)
    with pytest.raises(InputError, match=r"holds 'model\.keras', but no summary\.json by which"):
        check_target(tmp_path)


def test_folder_of_an_earlier_export_or_report_is_taken_whatever_the_file_manager_left(
    tmp_path: Path,
) -> None:
    for name in (".DS_Store", "._model.keras"):
        (tmp_path / name).write_text("")
    assert check_target(tmp_path) == tmp_path
    for name, files in (("summary.json", FILES), ("sweep.json", SWEEP_FILES)):
        (tmp_path / name).write_text("{}")
        assert check_target(tmp_path, files) == tmp_path
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    ("names", "whose"),
    [
        ([".study-0abc.json"], "a study, with which it would be deleted"),
        (FILES, "an export, which nothing could replace then"),
        (SWEEP_FILES, "a sweep's report, which nothing could replace then"),
    ],
)
def test_folder_inside_one_of_ours_is_refused(tmp_path: Path, names: tuple[str, ...], whose: str) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=f"^--out {tmp_path}/a/b: {tmp_path} is the folder of {whose}; name"):
        check_target(tmp_path / "a" / "b")


def test_folder_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="not a folder that can be written to"):
        check_target(tmp_path / "file" / "out")


def test_second_writer_of_a_folder_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    """13 of 200 pairs of exports failed when both had scored the test images."""
    target, order, said = tmp_path / "deep" / "out", [], []
    waits = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waits.set()

    def write_second() -> None:
        with reserved(target, say):
            order.append("second begins")

    with reserved(target, said.append):
        second = threading.Thread(target=write_second)
        second.start()
        assert waits.wait(20)
        with atomic_folder(target) as folder:
            (folder / "summary.json").write_text("first")
        order.append("first is there")
    second.join(20)
    assert order == ["first is there", "second begins"]
    assert said == [f"another process writes to {target}: waiting for its end"]
    assert list(target.parent.iterdir()) == [target], "no lock file lies beside it"


def test_writers_of_other_folders_do_not_wait(tmp_path: Path) -> None:
    said: list[str] = []
    with reserved(tmp_path / "one", said.append), reserved(tmp_path / "two", said.append):
        assert said == []


def test_folder_of_a_writer_that_failed_is_free(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(KeyError), reserved(tmp_path / "out", said.append):
        raise KeyError
    with reserved(tmp_path / "out", said.append):
        assert said == []
