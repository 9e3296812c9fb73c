"""The model card: Hugging Face's headings, only facts, words from outside as words."""

import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image, ImageOps

from search.config.study_settings import RESIZES
from search.data.decode import DEPTH, decode
from search.data.pixel_range import WHITE, WHOLE, to_pixels
from search.exporting.export import Export
from search.exporting.model_card import views_of, write_card
from search.formatting import unbroken
from search.metrics.classification import Scores
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from search.templates.loader import markdown

pytestmark = pytest.mark.slow
# Those of huggingface_hub's modelcard_template.md, but for two optional ones: glossary and more information.
HEADINGS = [
    "Model Details", "Model Description", "Model Sources", "Uses", "Direct Use", "Downstream Use", "Out-of-Scope Use",
    "Bias, Risks, and Limitations", "Recommendations", "How to Get Started with the Model", "Training Details",
    "Training Data", "Training Procedure", "Preprocessing", "Training Hyperparameters", "Speeds, Sizes, Times",
    "Evaluation", "Testing Data, Factors & Metrics", "Testing Data", "Factors", "Metrics", "Results", "Summary",
    "Model Examination", "Environmental Impact", "Technical Specifications", "Model Architecture and Objective",
    "Compute Infrastructure", "Hardware", "Software", "Citation", "Model Card Authors", "Model Card Contact",
]  # fmt: skip
ODD = "<b>a|b</b> `c` [d](e) *f* $g$\n# h"


@pytest.fixture
def card(made: Export) -> str:
    return (made.folder / "model_card.md").read_text(encoding="utf-8")


def write_odd(searched: LoadedStudy, made: Export, path: Path, **summary: Any) -> str:
    """The card of a study whose classes and images have odd names."""
    classes = tuple(f"{ODD} {number}" for number in range(10))
    config = dataclasses.replace(
        searched.config, classes=classes, data=f"/home/me/{ODD}", space="gone", metric=f"recall:{classes[0]}"
    )
    labels = np.arange(10)
    scores = Scores(labels, np.eye(10, dtype=np.float32)[np.roll(labels, 1)])
    loaded = dataclasses.replace(searched, config=config, prepared=searched.dataset().folder)
    write_card(path, loaded, {**made.summary, **summary}, scores)
    return path.read_text(encoding="utf-8")


def front_matter(card: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


def test_card_has_the_headings_that_readers_of_cards_know(card: str) -> None:
    assert re.findall(r"^##+ (.*)$", card, re.MULTILINE) == HEADINGS


def test_card_gives_the_test_figures_to_programs(card: str, made: Export) -> None:
    found = front_matter(card)
    assert (found["library_name"], found["pipeline_tag"]) == ("keras", "image-classification")
    result = found["model-index"][0]["results"][0]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values["accuracy"] == pytest.approx(made.summary["test_accuracy"], abs=1e-6)
    assert values["f1"] == pytest.approx(made.summary["macro_f1"], abs=1e-6)
    assert result["dataset"]["name"] == "digits"


def test_card_makes_up_no_licence(card: str) -> None:
    assert "license" not in front_matter(card)
    assert "**License:** not known" in card


def test_card_names_no_path_of_the_machine(
    card: str, searched: LoadedStudy, made: Export, tmp_path: Path
) -> None:
    assert str(searched.paths.root.parent) not in card
    assert "/home/me" not in write_odd(searched, made, tmp_path / "card.md")


def test_card_says_what_the_summary_says(card: str, made: Export) -> None:
    for sentence in made.summary["words"]:
        assert unbroken(markdown(sentence)) in card
    assert f"{made.summary['test_images']:,} images that were opened" in card


def test_words_from_outside_are_no_markup(searched: LoadedStudy, made: Export, tmp_path: Path) -> None:
    text = write_odd(searched, made, tmp_path / "card.md")
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE) == HEADINGS
    assert "<b>" not in text.split("---\n", 2)[2]
    assert front_matter(text)["model-index"][0]["results"][0]["dataset"]["name"] == Path(ODD).name
    rows = [line for line in text.splitlines() if line.startswith("| ") and "\\<b" in line]
    assert len(rows) == 10
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


def test_space_that_cannot_be_loaded_costs_the_recipe_alone(
    searched: LoadedStudy, made: Export, tmp_path: Path
) -> None:
    assert "its space could not be loaded here" in write_odd(searched, made, tmp_path / "card.md")


def test_refit_and_baselines_are_told(searched: LoadedStudy, made: Export, tmp_path: Path) -> None:
    baseline = {"test_accuracy": 0.5, "test_accuracy_interval": [0.4, 0.6], "macro_f1": 0.5, "how": "exact"}
    more = {"refit": True, "validation_note": "validation figures are", "baselines": {"svm": baseline}}
    text = write_odd(searched, made, tmp_path / "card.md", **more)
    assert "retrained on all training images" in text
    assert "Validation figures are." in text
    assert "| accuracy of a linear model (svm) | | 50.0\N{NO-BREAK SPACE}% |" in text


@pytest.mark.parametrize("depth", WHITE)
def test_lines_to_get_started_read_deeper_images_as_training_does(
    depth: str, searched: LoadedStudy, made: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = searched.dataset()
    deeper = dataclasses.replace(dataset, preprocessing=dataset.preprocessing | {DEPTH: depth})
    monkeypatch.setattr(LoadedStudy, "dataset", lambda loaded: deeper)
    text = write_odd(searched, made, tmp_path / "card.md")
    code = re.findall(r"    image = Image.fromarray\((.*)\)  # (.*)", text)
    floats = depth not in WHOLE
    values = np.linspace(0, WHITE[depth], 999).astype(np.float32 if floats else np.uint16).reshape(27, 37)
    image = Image.fromarray(values)
    assert [said for _, said in code] == [depth]
    np.testing.assert_array_equal(eval(code[0][0], {"np": np, "image": image}), to_pixels(values, depth))
    beyond = Image.fromarray(np.full((2, 2), min(65535, WHITE[depth] * 1.3 + 1), values.dtype))
    assert (eval(code[0][0], {"np": np, "image": beyond}) == 255).all(), (
        "white, not what is left of a division"
    )


def test_card_says_of_how_many_views_the_operations_are(
    searched: LoadedStudy, made: Export, card: str, tmp_path: Path
) -> None:
    assert views_of(searched, made.summary) == 1
    assert "floating-point operations an image." in card
    config = dataclasses.replace(searched.config, flip=True)
    mirrored = dataclasses.replace(searched, config=config, prepared=searched.dataset().folder)
    assert views_of(mirrored, made.summary) == 2
    scores = Scores(np.arange(10), np.eye(10, dtype=np.float32))
    write_card(tmp_path / "card.md", mirrored, {**made.summary, "views": 2}, scores)
    assert "operations an image, the image and its mirror image." in (tmp_path / "card.md").read_text()


def test_card_names_the_files_that_prediction_alone_refuses(card: str) -> None:
    said = " ".join(card.split())
    assert "a TIFF of several pages (the first is read here)" in said
    assert "a JPEG of whose pixels a part is missing or was overwritten" in said


def test_lines_to_get_started_refuse_deeper_images_where_training_had_none(card: str) -> None:
    assert 'raise SystemExit("more than 8 bits a pixel' in card
    assert "- deeper than 8 bits: refused" in card


def odd_files(folder: Path) -> list[Path]:
    """Picture files of many kinds, none of the net's own size."""
    random = np.random.default_rng(0)

    def noise(*shape: int) -> Image.Image:
        return Image.fromarray(random.integers(0, 256, shape, "uint8"))

    turned = Image.Exif()
    turned[0x0112] = 6
    coarse = noise(6, 5, 3).resize((250, 330))
    noise(50, 40, 3).save(folder / "plain.png")
    noise(8, 8, 3).save(folder / "of its own size.png")
    noise(3, 5000, 3).save(folder / "strip.png")
    noise(5000, 3, 3).save(folder / "upright strip.png")
    noise(50, 40).save(folder / "grey.png")
    noise(50, 40, 4).save(folder / "transparent.png")
    noise(50, 40, 4).convert("LA").save(folder / "grey transparent.png")
    noise(50, 40, 3).quantize(8).save(folder / "palette.png", transparency=3)
    noise(50, 40, 3).save(folder / "turned.tif", exif=turned)
    coarse.save(folder / "large.jpg")
    coarse.save(folder / "turned.jpg", exif=turned)
    coarse.convert("CMYK").save(folder / "cmyk.jpg")
    coarse.convert("L").save(folder / "grey.jpg")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", RESIZES)
def test_lines_to_get_started_read_files_to_the_bit_as_prediction_does(
    resize: str, channels: int, searched: LoadedStudy, made: Export, tmp_path: Path
) -> None:
    loaded = dataclasses.replace(
        searched,
        config=dataclasses.replace(searched.config, resize=resize, channels=channels),
        prepared=searched.dataset().folder,
    )
    labels = np.arange(10)
    write_card(tmp_path / "card.md", loaded, made.summary, Scores(labels, np.eye(10, dtype=np.float32)))
    (lines,) = re.findall(r"(image = Image.open.*?)logits =", (tmp_path / "card.md").read_text(), re.DOTALL)
    height, width = searched.config.height, searched.config.width
    (tmp_path / "files").mkdir()
    for file in odd_files(tmp_path / "files"):
        names = {"np": np, "Image": Image, "ImageOps": ImageOps}
        exec(lines.replace('"photo.jpg"', repr(str(file))), names)
        expected = decode(file, height, width, channels, resize)
        np.testing.assert_array_equal(names["pixels"][0], expected, err_msg=file.name)


def test_batches_are_those_that_the_recipe_came_to(
    searched: LoadedStudy, made: Export, card: str, tmp_path: Path
) -> None:
    assert f"- batch size: {made.summary['batch_size']}\n" in card
    assert "least steps" not in card
    loaded = dataclasses.replace(searched, prepared=searched.dataset().folder)
    scores = Scores(np.arange(10), np.eye(10, dtype=np.float32))
    write_card(tmp_path / "card.md", loaded, {**made.summary, "batch_size": 7}, scores)
    assert "- batch size: 7\n" in (tmp_path / "card.md").read_text()


def test_lines_to_get_started_run_as_they_stand(
    card: str, made: Export, fork_server: ForkServer, tmp_path: Path
) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    for name in ("model.keras", "labels.json"):
        shutil.copy(made.folder / name, tmp_path)
    Image.new("RGB", (50, 40), "red").save(tmp_path / "photo.jpg")
    payload = {"lines": lines, "folder": str(tmp_path)}
    with fork_server.start("export_jobs:run_lines", payload, tmp_path / "log.txt") as child:
        child.result(120)
    label, confidence = child.last_lines().splitlines()[-1].split()
    assert label in made.labels
    assert 0 < float(confidence) <= 1
