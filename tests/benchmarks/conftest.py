"""What the small runs of the benchmarks train on."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image
from three_layers import SIDES, Run, Task, train

from search.data import Dataset
from search.data.preparation import prepare
from search.process.fork_server import ForkServer

# The space of one small net.
sys.path.append(str(Path(__file__).parents[1] / "search" / "in_child"))


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> pytest.MonkeyPatch:
    """Images are prepared in a folder of the tests'."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield patched


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return prepare("digits", say=lambda line: None)


@pytest.fixture(scope="session")
def noise() -> Dataset:
    """Random images of the size of CIFAR-10's, 60 of each of ten classes."""
    random = np.random.default_rng(0)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        return random.integers(0, 256, (count, 32, 32, 3), "uint8"), np.arange(count) % 10

    return prepare((*part(600), *part(20)), say=lambda line: None)


@pytest.fixture(scope="session")
def task(noise: Dataset) -> Task:
    """Four steps an epoch, three epochs."""
    return Task(str(noise.folder), images=256, epochs=3)


@pytest.fixture(scope="session")
def runs(task: Task, fork_server: ForkServer) -> dict[str, Run]:
    """Both sides of the benchmark of throughput, really trained."""
    return {side: train(side, task, fork_server) for side in SIDES}


@pytest.fixture(scope="session")
def lend_server(fork_server: ForkServer) -> Callable[[ModuleType], AbstractContextManager[object]]:
    """Within ``lend_server(benchmark)`` the benchmark uses the tests' server instead of starting its own."""
    return lambda benchmark: patch.object(benchmark, "ForkServer", lambda *backend: nullcontext(fork_server))


@pytest.fixture(scope="session")
def draw_pictures() -> Callable[..., Path]:
    """Fill a folder with dark and bright pictures of some noise, which any net can tell apart."""

    def draw(place: Path, training: int, test: int, size: tuple[int, int] = (20, 24)) -> Path:
        random = np.random.default_rng(0)
        for part, count in (("train", training), ("test", test)):
            for name, low in (("bright", 150), ("dark", 0)):
                (place / part / name).mkdir(parents=True)
                for number in range(count):
                    pixels = random.integers(low, low + 100, (*size, 3), "uint8")
                    Image.fromarray(pixels).save(place / part / name / f"{number}.png")
        return place

    return draw
