"""A model in a process of its own: answers, crashes, an export that cannot be loaded."""

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data.examples import Examples, read_examples
from search.data.familiarity import FILE, measure_familiarity, write_familiarity
from search.errors import InputError
from search.exporting.export import Export
from search.metrics.inference import below_last_layer, logits
from search.prediction.predict import predict_images
from search.process.fork_server import ForkServer
from search.serving import answering
from search.serving.answering import Answerer, NoAnswer
from search.study.study import LoadedStudy


class Scripted:
    """A child of a fake server: it dies of a picture named ``deadly``, and answers while ``gate`` is open."""

    def __init__(self) -> None:
        self.started, self.together, self.killed = 0, [], 0
        self.gate = threading.Event()
        self.gate.set()

    def start(self, *_: Any) -> "Scripted":
        self.started += 1
        self._message: dict[str, Any] = {"kind": "ready"}
        return self

    def send(self, request: dict[str, Any]) -> None:
        self.together.append(len(request["pictures"]))
        names = [Path(path).name for path in request["pictures"]]
        self._message = {"answers": [{"class": name} for name in names], "dead": "deadly" in names}

    def result(self, timeout: float) -> dict[str, Any]:
        self.gate.wait(timeout)
        if self._message.get("dead"):
            raise EOFError("it is dead")
        return self._message

    def kill(self) -> None:
        self.killed += 1


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def answerer(scripted: Scripted) -> Answerer:
    server: Any = scripted
    return Answerer(Path("export"), server, Path("log.txt"))


def asked(answerer: Answerer, *names: str) -> dict[str, str]:
    """What each is answered, asked at the same time."""
    found: dict[str, str] = {}

    def ask(name: str) -> None:
        try:
            found[name] = answerer.ask(Path(name))["class"]
        except NoAnswer as error:
            found[name] = str(error)

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_pictures_that_wait_are_answered_together(answerer: Answerer, scripted: Scripted, until) -> None:
    scripted.gate.clear()
    first = threading.Thread(target=asked, args=(answerer, "a"))
    first.start()
    until(lambda: scripted.together)
    opened = threading.Timer(0.3, scripted.gate.set)
    opened.start()
    assert asked(answerer, "b", "c", "d") == {"b": "b", "c": "c", "d": "d"}
    first.join()
    assert scripted.together == [1, 3]


def test_picture_that_kills_the_model_costs_its_own_answer_alone(
    answerer: Answerer, scripted: Scripted, until
) -> None:
    scripted.gate.clear()
    first = threading.Thread(target=asked, args=(answerer, "a"))
    first.start()
    until(lambda: scripted.together)
    threading.Timer(0.3, scripted.gate.set).start()
    found = asked(answerer, "b", "deadly", "c")
    first.join()
    assert (found["b"], found["c"]) == ("b", "c")
    assert found["deadly"] == "the model gave no answer (it is dead)"
    assert asked(answerer, "d") == {"d": "d"}
    assert scripted.started > 1


def test_answer_that_does_not_come_is_not_waited_for(
    answerer: Answerer, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "WAIT_SECONDS", 0.2)
    scripted.gate.clear()
    assert "no answer in 0 s" in asked(answerer, "a")["a"]
    scripted.gate.set()


@pytest.fixture(scope="module")
def photos(searched: LoadedStudy, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    images, _ = searched.dataset().test()
    for index in range(3):
        Image.fromarray(np.asarray(images[index])[:, :, 0]).save(folder / f"{index}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def with_examples(export: Any, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return export(tmp_path_factory.mktemp("exports") / "tiny", with_examples=True)


@pytest.mark.slow
def test_answers_are_those_of_predict_with_the_most_alike_training_pictures(
    with_examples: Export, photos: list[Path], fork_server: ForkServer, tmp_path: Path, searched: LoadedStudy
) -> None:
    folder = Path(shutil.copytree(with_examples.folder, tmp_path / "export"))
    examples = read_examples(folder, 10)
    assert examples is not None
    familiarity = measure_familiarity(examples.features)
    assert familiarity is not None
    write_familiarity(folder / FILE, familiarity)
    answerer = Answerer(folder, fork_server, tmp_path / "log.txt")
    expected = predict_images(folder, photos)
    found = [answerer.ask(photo) for photo in photos]
    assert [one["class"] for one in found] == [one.label for one in expected]
    assert [one["error"] for one in found] == [one.error for one in expected]
    assert [one["unlike"] for one in found] == [one.unlike for one in expected]
    assert [one["unlike"] is None for one in found] == [False, False, False, True]
    for answer, prediction in zip(found[:3], expected[:3], strict=True):
        top = {one["class"]: one["confidence"] for one in answer["top"]}
        assert top == pytest.approx(prediction.by_class(), abs=1e-6)
        cosines = [one["similarity"] for one in answer["alike"]]
        assert len(cosines) == 4
        assert cosines == sorted(cosines, reverse=True)
    assert found[3]["alike"] == []


@pytest.mark.slow
def test_examples_are_training_images_with_their_features(
    with_examples: Export, searched: LoadedStudy
) -> None:
    from search.data.examples import read_examples

    examples = read_examples(with_examples.folder, 10)
    assert isinstance(examples, Examples)
    assert len(examples.labels) == 300  # --images
    net = with_examples.model()
    images, labels = searched.dataset().train()
    place = next(index for index in range(len(labels)) if labels[index] == examples.labels[0])
    features = logits(below_last_layer(net), images[place : place + 1])[0]
    assert examples.nearest(features, 1)[0][1] > 0.5


@pytest.mark.slow
def test_export_that_cannot_be_loaded_is_refused(
    made: Export, fork_server: ForkServer, tmp_path: Path
) -> None:
    spoilt = shutil.copytree(made.folder, tmp_path / "spoilt")
    (spoilt / "model.keras").write_bytes(b"no model")
    with pytest.raises(InputError, match=r"model\.keras cannot be loaded"):
        Answerer(spoilt, fork_server, tmp_path / "log.txt")
