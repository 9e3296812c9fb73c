import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.data.preparation import prepare
from search.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 5), dtype=np.uint8)
LABELS = np.arange(12) % 3


def save(path: Path, **changed: Any) -> Path:
    whole = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:6], "y_test": LABELS[:6]} | changed
    np.savez(path, **{name: value for name, value in whole.items() if value is not None})
    return path


def test_npz_is_prepared(tmp_path: Path, cache: Path) -> None:
    path = save(tmp_path / "data.npz")
    dataset = prepare(str(path), cache=cache)
    np.testing.assert_array_equal(dataset.train()[0][..., 0], IMAGES)
    assert (dataset.source, dataset.flip) == (str(path), False)


def test_npz_compressed_has_the_same_content(tmp_path: Path, cache: Path) -> None:
    plain = prepare(save(tmp_path / "data.npz"), cache=cache)
    np.savez_compressed(tmp_path / "small.npz", **np.load(tmp_path / "data.npz"))
    assert prepare(tmp_path / "small.npz", cache=cache).fingerprint == plain.fingerprint


def test_npz_changed_is_read_again(tmp_path: Path, cache: Path) -> None:
    before = prepare(save(tmp_path / "data.npz"), cache=cache)
    after = prepare(save(tmp_path / "data.npz", x_train=255 - IMAGES), cache=cache)
    assert before.fingerprint != after.fingerprint


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": None, "y_test": None}, r"has no x_test, y_test \(only x_train, y_train\)"),
        ({"x_train": np.array([{}] * 12, dtype=object)}, "x_train is pickled"),
        ({"y_train": LABELS + 1, "y_test": LABELS[:6] + 1}, "from 1 to 3: labels out of range"),
        ({"y_train": LABELS[:-1]}, "12 images, but y_train 11 labels"),
    ],
)
def test_npz_with_bad_arrays(tmp_path: Path, cache: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        prepare(save(tmp_path / "data.npz", **changed), cache=cache)
    assert "data.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 cut short", b"\x80\x04N."])
def test_npz_that_is_none(tmp_path: Path, cache: Path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"data\.npz: not an \.npz file"):
        prepare(tmp_path / "data.npz", cache=cache)


def test_npz_says_which_arrays_and_which_classes_it_has_too_few_of(tmp_path: Path, cache: Path) -> None:
    images, labels, said = np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2, []
    images[:] = np.arange(20)[:, None, None]
    file = tmp_path / "d.NPZ"
    with file.open("wb") as out:
        np.savez(
            out,
            x_train=images,
            y_train=labels,
            x_test=images[:4] + 99,
            y_test=[0] * 4,
            x_val=images,
            y_val=labels,
        )
    assert prepare(file, cache=cache, say=said.append).classes == ("0", "1")
    assert f"warning: x_val, y_val of {file} are not used" in said
    assert f"warning: --data {file}: y_test has no images of 1" in said


@pytest.mark.parametrize("label", ["", "nan", "None"])
def test_npz_with_labels_that_stand_for_none_is_refused(tmp_path: Path, cache: Path, label: str) -> None:
    images, labels = np.zeros((20, 8, 8), np.uint8), np.array(["cat", label] * 10)
    np.savez(tmp_path / "d.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    with pytest.raises(InputError, match=f"y_train has the label '{label}', which stands for none"):
        prepare(tmp_path / "d.npz", cache=cache)


def test_npz_that_is_an_npy(tmp_path: Path, cache: Path) -> None:
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(InputError, match="one array"):
        prepare(tmp_path / "data.npz", cache=cache)


def test_npz_of_files_that_are_no_arrays_is_refused(tmp_path: Path, cache: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as file:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            file.writestr(name, b"raw")
    with pytest.raises(
        InputError, match=r"data.npz: x_train in it is a file and no array; expected one saved"
    ):
        prepare(tmp_path / "data.npz", cache=cache)


def test_npz_damaged_inside(tmp_path: Path, cache: Path) -> None:
    path = save(tmp_path / "data.npz")
    content = bytearray(path.read_bytes())
    content[200:260] = b"\0" * 60
    path.write_bytes(content)
    with pytest.raises(InputError, match="x_train is damaged"):
        prepare(path, cache=cache)
