"""A page of a model that answers by the brightness of a picture, served in threads of this process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data.examples import Examples, read_examples, write_examples
from search.serving.application import MOST_BYTES, DemoApplication, Served
from search.serving.rate import Rate
from search.web.guard import Guard, Rules
from search.web.listening import listen, port_of
from tests.serving import Serving

CLASSES = ("dark", "<b>bright</b>")


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """A dark and a bright training picture."""
    folder = tmp_path_factory.mktemp("examples")
    pictures = [np.full((8, 8, 1), value, np.uint8) for value in (10, 240)]
    features = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    write_examples(folder / "examples.npz", features, np.array([0, 1]), ["a/dark.png", "b/<i>.png"], pictures)
    found = read_examples(folder, 2)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def served(examples: Examples) -> Served:
    return Served("pair", CLASSES, "8x8 pixels, grey", "Test: 75.0 % of 4 images are right.", 0.6, examples)


def by_brightness(file: Path) -> dict[str, Any]:
    """What ``Answerer.ask`` gives, by the mean of the pixels: 0 is dark, 255 is bright."""
    try:
        mean = float(np.asarray(Image.open(file).convert("L")).mean()) / 255
    except OSError:
        return {
            "class": None,
            "confidence": None,
            "error": "not an image",
            "unlike": None,
            "top": [],
            "alike": [],
        }
    top = sorted(zip(CLASSES, (1 - mean, mean), strict=True), key=lambda one: -one[1])
    return {
        "class": top[0][0],
        "confidence": top[0][1],
        "error": "",
        "unlike": mean > 0.99,  # A picture that is all white.
        "top": [{"class": name, "confidence": p} for name, p in top],
        "alike": [
            {"class": CLASSES[1], "image": "b/<i>.png", "similarity": 0.5, "picture": "/examples/1.jpg"}
        ],
    }


@pytest.fixture
def address(served: Served, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serve the page, and give its address; ``rate`` bounds the pictures, ``password`` is asked for."""
    started: list[Serving] = []

    def start(
        ask: Callable[[Path], dict[str, Any]] = by_brightness,
        rate: Rate | None = None,
        password: str | None = None,
    ) -> str:
        names = frozenset({"127.0.0.1", "localhost"})
        application = DemoApplication(served, ask, tmp_path, rate)
        rules = Rules(names, password, allow_changes=True, most_bytes=MOST_BYTES)
        server = listen(Guard(application, rules), "127.0.0.1", 0, 8, MOST_BYTES)
        started.append(Serving(server))
        return f"http://127.0.0.1:{port_of(server)}"

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dark, a bright, a grey and a white picture, one that is broken, and a text."""
    folder = tmp_path_factory.mktemp("shots")
    for name, value in (("dark", 5), ("bright", 250), ("grey", 130), ("white", 255)):
        Image.new("L", (40, 30), value).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    (folder / "notes.txt").write_text("no picture")
    return folder
