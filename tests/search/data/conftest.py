import struct
import tarfile
import zlib
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
def make_bomb() -> Callable[[Path], Path]:
    """Save a whole PNG of 20,000 by 20,000 pixels in 48 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def make(path: Path, side: int = 20_000) -> Path:
        packer = zlib.compressobj()
        rows = b"".join(packer.compress(bytes(1 + side // 8)) for _ in range(side)) + packer.flush()
        header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks))
        return path

    return make


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
