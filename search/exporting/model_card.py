"""``model_card.md``: what a stranger must know of the exported model, under the headings of Hugging Face's cards."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from search.data.decode import DEPTH, draft_side
from search.data.duplicates import duplicate_notes
from search.data.pixel_range import WHITE, WHOLE
from search.exporting.fine_tuning import tuned_words
from search.exporting.summary import how_trained
from search.exporting.training_plans import FINE_TUNING_RATE
from search.formatting import duration
from search.metrics.class_figures import confusions
from search.metrics.classification import Scores
from search.study.class_balance import split_counts
from search.study.compute import compute_of
from search.study.proposal import recipe_of
from search.study.request import load_space
from search.study.space_version import check_code
from search.study.study import LoadedStudy
from search.templates.loader import environment
from spaces import UserModel
from storage.claims import is_refused

# Shown: the classes with the lowest F1, and the pairs of classes that are confused most often.
WEAKEST, CONFUSED = 3, 3
# With more classes they are not listed.
MOST_CLASSES = 100
# How a reader's own program resizes a picture, as ``search.data.resizing`` does.
RESIZED = {
    "stretch": "image = image.resize(({width}, {height}), Image.Resampling.BILINEAR)",
    "fit": """\
if min(round({width} * image.height / image.width), round({height} * image.width / image.height)) == 0:  # a strip
    line = ({width}, 1) if image.width > image.height else (1, {height})
    image = image.resize(line, Image.Resampling.BILINEAR)
image = ImageOps.pad(image, ({width}, {height}), Image.Resampling.BILINEAR, color="black")""",
    "crop": "image = ImageOps.fit(image, ({width}, {height}), Image.Resampling.BILINEAR)",
}


def write_card(path: Path, loaded: LoadedStudy, summary: Mapping[str, Any], test: Scores) -> None:
    """Write the card. What is not known is called unknown, and no licence is made up.

    Args:
        path: The card's file.
        loaded: The open study.
        summary: What ``summary.json`` holds.
        test: Scores of the exported weights on the test images.
    """
    config, dataset = loaded.config, loaded.dataset()
    trials = loaded.optuna.get_trials(deepcopy=False)
    counts = split_counts(config, dataset)
    if summary["refit"]:
        counts = {"training": list(dataset.train_counts), "test": counts["test"]}
    sizes = (sum(dataset.train_counts), sum(dataset.test_counts))
    fine_tuned = (summary.get("backbone") or {}).get("fine_tuned")
    text = (
        environment()
        .get_template("model_card.md")
        .render(
            config=config,
            summary=summary,
            # A path would tell of the machine; its last name says as much of the data.
            data=Path(config.data).name,
            how_trained=how_trained(summary),
            preprocessing=dataset.preprocessing,
            depth=dataset.preprocessing.get(DEPTH),
            depth_code=_depth_code(dataset.preprocessing.get(DEPTH)),
            draft=draft_side(config.height, config.width),
            resized=RESIZED[config.resize].format(height=config.height, width=config.width),
            counts=counts,
            classes=config.classes if len(config.classes) <= MOST_CLASSES else (),
            recipe=_recipe(loaded, summary),
            tuned=tuned_words(fine_tuned),
            tuning_rate=FINE_TUNING_RATE if fine_tuned else None,
            weakest=_weakest(test, config.classes),
            confused=[
                (config.classes[true], config.classes[predicted], times)
                for true, predicted, times in confusions(test.confusion_matrix)[:CONFUSED]
            ],
            # Names of files may tell of people.
            duplicates=[
                note.removeprefix("warning: ")
                for note in (duplicate_notes(dataset.duplicates, *sizes) if dataset.duplicates else ())
            ],
            finished=sum(trial.state.name == "COMPLETE" for trial in trials),
            pruned=sum(trial.state.name == "PRUNED" and not is_refused(trial) for trial in trials),
            search_flops=compute_of(trials),
            search_seconds=duration(sum(float(trial.user_attrs.get("seconds", 0.0)) for trial in trials)),
            seconds=duration(float(summary["seconds"])),
        )
    )
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def views_of(loaded: LoadedStudy, summary: Mapping[str, Any]) -> int:
    """Of how many views of an image the exported net's answer is the mean; 1 where the recipe is not known here."""
    return 2 if loaded.config.flip and _recipe(loaded, summary).get("both_views") else 1


def _recipe(loaded: LoadedStudy, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe, with the batches that it came to for so many images.

    It is empty where the study's space is not here as it was, which must not cost the scoring.
    """
    try:
        space = load_space(loaded.config.space)
        check_code(loaded, space)
        if isinstance(space, UserModel):
            return {
                "recipe": "the model's own, as it is compiled, else Adam at 0.001",
                "batch_size": summary["batch_size"],
            }
        found = dataclasses.asdict(recipe_of(space, summary["params"], loaded.config.input_spec))
    except Exception:  # A user's own space may raise anything.
        return {}
    if summary.get("batch_size"):  # Not recorded by older versions.
        found["batch_size"] = summary["batch_size"]
        del found["least_steps"], found["most_steps"]  # These have had their say.
    return found


def _depth_code(depth: str | None) -> str:
    """How a reader's own program brings an image of more than 8 bits to 8; empty where the training images had 8."""
    if depth in WHOLE:
        return f"(np.asarray(image) >> {int(WHITE[depth]).bit_length() - 8}).clip(0, 255).astype('uint8')"
    if depth in WHITE:
        return f"np.rint(np.asarray(image) * {255 // WHITE[depth]}).clip(0, 255).astype('uint8')"
    return ""


def _weakest(test: Scores, classes: tuple[str, ...]) -> list[tuple[str, float]]:
    """Those with the lowest F1; NaN, of a class without an image, sorts last and is left out."""
    lowest = [int(index) for index in np.argsort(test.f1, kind="stable") if not np.isnan(test.f1[index])]
    return [(classes[index], float(test.f1[index])) for index in lowest[:WEAKEST]]
