"""``model_card.md``: the export for those who come upon it, under the headings that Hugging Face's cards have."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.balance import split_counts
from search.data.duplicates import duplicates_note
from search.evaluation.fit import percent
from search.evaluation.scores import Scores
from search.opening import load_space
from search.snapshot import duration
from search.study import compute_of
from search.templating import environment
from search.trial import recipe_of

if TYPE_CHECKING:
    from search.config import StudyConfig
    from search.study import LoadedStudy

WEAKEST, CONFUSED = 3, 3
MOST_CLASSES = 100


def write_card(path: Path, loaded: "LoadedStudy", summary: Mapping[str, Any], test: Scores) -> None:
    """Write the card; what is not known is said to be unknown, and no licence is made up.

    Args:
        path: Its file.
        loaded: The open study.
        summary: What ``summary.json`` holds.
        test: Of the exported weights.
    """
    config, dataset = loaded.config, loaded.dataset()
    trials = loaded.optuna.get_trials(deepcopy=False)
    counts = split_counts(config, dataset)
    if summary["refit"]:
        counts = {"training": list(dataset.train_counts), "test": counts["test"]}
    sizes = (sum(dataset.train_counts), sum(dataset.test_counts))
    text = (
        environment()
        .get_template("model_card.md")
        .render(
            config=config,
            summary=summary,
            # A path would tell of the machine: its last name says as much of the data.
            data=Path(config.data).name,
            preprocessing=dataset.preprocessing,
            counts=counts,
            classes=config.classes if len(config.classes) <= MOST_CLASSES else (),
            recipe=_recipe(config, summary["params"]),
            weakest=_weakest(test, config.classes),
            confused=_confused(test, config.classes),
            duplicates=duplicates_note(dataset.duplicates, *sizes).removeprefix("warning: ")
            if dataset.duplicates
            else "",
            finished=sum(one.state.name == "COMPLETE" for one in trials),
            pruned=sum(one.state.name == "PRUNED" for one in trials),
            search_flops=compute_of(trials),
            search_seconds=duration(sum(float(one.user_attrs.get("seconds", 0.0)) for one in trials)),
            seconds=duration(float(summary["seconds"])),
            percent=percent,
        )
    )
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _recipe(config: "StudyConfig", params: Mapping[str, Any]) -> dict[str, Any]:
    """How it was trained; empty where a user's own space is not on this host, which must not cost the scoring."""
    try:
        return dataclasses.asdict(recipe_of(load_space(config.space), params, config))
    except Exception:  # Of a user's own space anything may come.
        return {}


def _weakest(test: Scores, classes: tuple[str, ...]) -> list[tuple[str, float]]:
    return [(classes[index], float(test.f1[index])) for index in np.argsort(test.f1, kind="stable")[:WEAKEST]]


def _confused(test: Scores, classes: tuple[str, ...]) -> list[tuple[str, str, int]]:
    """True class, what it was taken for, and how often, the most frequent first."""
    wrong = test.confusion_matrix.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSED]
    pairs = (np.unravel_index(place, wrong.shape) for place in places)
    return [
        (classes[true], classes[said], int(wrong[true, said])) for true, said in pairs if wrong[true, said]
    ]
