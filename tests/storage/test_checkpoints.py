"""Checkpoint files: all of it or none, and the old one until the new one is whole."""

import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from storage.checkpoints import read_checkpoint, read_facts, read_furthest, write_checkpoint

ROOT = Path(__file__).parents[2]
# Large enough to be caught in the middle of.
WRITING = """
import sys
from pathlib import Path
import numpy as np
from storage.checkpoints import write_checkpoint
while True:
    write_checkpoint(Path(sys.argv[1]), [np.zeros(20_000_000)] * 4, {"epoch": 2})
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.npz"


def test_checkpoint_comes_back_as_it_was(path: Path) -> None:
    arrays = [
        np.random.default_rng(0).random((3, 4)).astype("float32"),
        np.array(7, np.int64),
        np.zeros((0, 2), np.uint8),
        np.array([np.nan, np.inf]),
    ]
    facts = {"epoch": 3, "history": {"loss": [0.1, 1 / 3]}, "best": None}
    write_checkpoint(path, arrays, facts)
    stored = read_checkpoint(path)
    assert stored is not None
    assert stored[1] == facts
    for array, again in zip(arrays, stored[0], strict=True):
        assert (again.dtype, again.shape) == (array.dtype, array.shape)
        assert np.array_equal(again, array, equal_nan=array.dtype.kind == "f")


def test_arrays_keep_their_order_where_there_are_many(path: Path) -> None:
    write_checkpoint(path, [np.array(index) for index in range(120)], {})
    stored = read_checkpoint(path)
    assert stored is not None
    assert [int(array) for array in stored[0]] == list(range(120))


def test_no_checkpoint_is_none(path: Path) -> None:
    assert read_checkpoint(path) is None


def test_newer_checkpoint_replaces_the_older_and_leaves_nothing_beside(path: Path) -> None:
    for epoch in (1, 2):
        write_checkpoint(path, [np.ones(3)], {"epoch": epoch})
    stored = read_checkpoint(path)
    assert stored is not None
    assert stored[1] == {"epoch": 2}
    assert list(path.parent.iterdir()) == [path]


def test_write_that_fails_leaves_the_old_checkpoint(path: Path) -> None:
    write_checkpoint(path, [np.ones(3)], {"epoch": 1})
    with pytest.raises(TypeError):
        write_checkpoint(path, [np.ones(3)], {"epoch": object()})
    stored = read_checkpoint(path)
    assert stored is not None
    assert stored[1] == {"epoch": 1}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_writer_killed_midway_leaves_the_old_checkpoint(path: Path) -> None:
    write_checkpoint(path, [np.ones(3)], {"epoch": 1})
    process = subprocess.Popen([sys.executable, "-c", WRITING, str(path)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size > 1_000_000 for file in path.parent.glob(".*")):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = read_checkpoint(path)
    assert stored is not None
    assert stored[1]["epoch"] in (1, 2)  # 2: killed in the middle of a later one.
    assert stored[0][0].sum() == (3 if stored[1]["epoch"] == 1 else 0)


def test_facts_are_those_that_were_written(path: Path) -> None:
    write_checkpoint(path, [np.ones(3)], {"epoch": 4, "best": None})
    assert read_facts(path) == {"epoch": 4, "best": None}


def test_facts_of_no_checkpoint_are_none(path: Path) -> None:
    assert read_facts(path) is None


@pytest.mark.parametrize("length", [0, 1, 60, -200, -1])
def test_facts_of_a_checkpoint_cut_short_are_none(path: Path, length: int) -> None:
    write_checkpoint(path, [np.ones(30)], {"epoch": 4})
    path.write_bytes(path.read_bytes()[:length])
    assert read_facts(path) is None


def test_facts_of_a_file_that_is_no_checkpoint_are_none(path: Path) -> None:
    np.savez(path, weights=np.ones(3))
    assert read_facts(path) is None


def test_facts_that_no_longer_are_what_was_written_are_none(path: Path) -> None:
    write_checkpoint(path, [np.ones(3)], {"epoch": 4, "words": "x" * 200})
    path.write_bytes(path.read_bytes().replace(b"x\0\0\0x", b"y\0\0\0y"))
    assert read_facts(path) is None


def damage(path: Path, how: str) -> None:
    """Harm an array in the middle of the file; the facts stay as they were."""
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("array00000.npy").header_offset
        names = archive.namelist()
    if how == "one bit":
        place += 300
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    elif how == "zeros":
        path.write_bytes(whole[: place + 150] + bytes(500) + whole[place + 650 :])
    elif how == "no local header":
        path.write_bytes(whole[:place] + b"XXXX" + whole[place + 4 :])
    elif how == "a hole":
        path.write_bytes(whole[: place + 150] + whole[place + 350 :])
    else:
        arrays = {name.removesuffix(".npy"): np.ones(300) for name in names if name != "facts.npy"}
        np.savez_compressed(path, facts=np.array(json.dumps({"epoch": 4})), **arrays)
        packed = path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            place = archive.getinfo("array00000.npy").header_offset + 60
        path.write_bytes(packed[:place] + bytes(8) + packed[place + 8 :])


DAMAGES = ("one bit", "zeros", "no local header", "a hole", "deflated")


@pytest.mark.parametrize("how", DAMAGES)
def test_checkpoint_damaged_inside_is_none(path: Path, how: str) -> None:
    """Its facts alone read well; its arrays raised BadZipFile, zlib.error or ValueError once somebody wanted them."""
    write_checkpoint(path, [np.ones(300), np.ones(300)], {"epoch": 4})
    damage(path, how)
    assert read_facts(path) is None
    assert read_checkpoint(path) is None


def test_furthest_is_the_furthest_that_is_whole_and_of_this_training(path: Path) -> None:
    names = ("first", "second", "third", "damaged", "other")
    places = [path.with_name(f"{name}.npz") for name in (*names, "absent")]
    for epoch, place in enumerate(places[:-1], start=1):
        identity = "another" if place.stem == "other" else "this"
        write_checkpoint(place, [np.full(300, epoch)], {"epoch": epoch, "identity": identity})
    damage(places[3], "one bit")
    stored, passed_over = read_furthest([*places, places[3]], "this")
    assert stored is not None
    assert (stored[1]["epoch"], stored[0][0][0]) == (3, 3)
    assert passed_over == [
        "checkpoint damaged.npz is damaged",
        "checkpoint other.npz is of another training, or of another Keras",
    ]


def test_no_furthest_of_none(path: Path) -> None:
    assert read_furthest([path], "this") == (None, [])
