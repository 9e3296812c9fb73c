import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def paint(path: Path, number: int = 0, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Path:
    """Save a picture of noise that differs for each number; size is (width, height) as in Pillow."""
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    pixels = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(name="paint")
def paint_fixture() -> Callable[..., Path]:
    return paint


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of images from {"class or part/class": count}."""

    def make(counts: Mapping[str, int], name: str = "images", mode: str = "RGB") -> Path:
        number = 0
        for inside, count in counts.items():
            (tmp_path / name / inside).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                number += 1
                paint(tmp_path / name / inside / f"{index:03}.png", number, mode=mode)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def ants_bees(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    with tarfile.open(shared_data / "ants_bees.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "ants_bees"
