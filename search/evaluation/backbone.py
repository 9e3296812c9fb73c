"""An export over a frozen backbone is whole: raw pixels in, the backbone inside."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import spaces
from search.evaluation.fit import percent
from spaces.contract import Backbone

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.child import ForkServer
    from search.evaluation.tuning import Tuned
    from search.study import LoadedStudy
    from search.training.plan import TrainingPlan

# The whole net's probabilities may differ from the cached path's by so much: features are cached in 16 bits.
TOLERANCE = 1e-2
# Of the images, whose class must be the same.
SAME_CLASS = 0.999


def plan_of(loaded: "LoadedStudy", trial: "FrozenTrial") -> "TrainingPlan":
    """The trial's own training, with neither checkpoint nor kept file."""
    from search.opening import load_space
    from search.trial import plan_training, recipe_of

    params = trial.user_attrs["params"]
    recipe = recipe_of(load_space(loaded.config.space), params, loaded.config)
    return plan_training(loaded, trial.number, params, recipe)


def join_in_child(
    server: "ForkServer", loaded: "LoadedStudy", trial: "FrozenTrial", head: Path, model: Path
) -> None:
    """Write the whole net of a kept head to ``model``.

    Raises:
        TrialFailed: The child crashed or memory ran out.
    """
    payload = {"plan": plan_of(loaded, trial).to_payload(), "head": str(head), "model": str(model)}
    log = loaded.paths.worker_log("export")
    with server.start("search.training.nets:join_job", payload, log) as child:
        child.result()


def features_here(loaded: "LoadedStudy", trial: "FrozenTrial") -> str | None:
    """The file of the cached features that the trial was trained on; None where this host has not got them whole."""
    from search.training.features import features_file

    config = loaded.config
    if not config.backbones:
        return None
    found = features_file(loaded.dataset(), chosen(loaded, trial), config.input_spec)
    return str(found) if found else None


def chosen(loaded: "LoadedStudy", trial: "FrozenTrial") -> Backbone:
    """The trial's backbone."""
    space = spaces.load(loaded.config.space)
    return space.backbone(trial.user_attrs["params"], loaded.config.input_spec)


def cached_path(cached: npt.NDArray[np.float32], whole: npt.NDArray[np.float32]) -> dict[str, Any]:
    """How far the whole net is from what the search saw, on the validation images.

    Args:
        cached: Logits ``(N, classes)`` of the head on cached features.
        whole: Of the whole net on pixels.
    """
    from search.evaluation.scores import log_probabilities

    seen, found = np.exp(log_probabilities(cached)), np.exp(log_probabilities(whole))
    return {
        "largest_probability_difference": float(np.abs(seen - found).max()),
        "same_class": float((seen.argmax(1) == found.argmax(1)).mean()),
        "images": len(seen),
    }


def differs(figures: dict[str, Any]) -> str:
    """What is wrong with ``cached_path``'s figures; empty where nothing is. One image is no fault."""
    most, same, images = (
        figures[name] for name in ("largest_probability_difference", "same_class", "images")
    )
    if most <= TOLERANCE and round((1 - same) * images) <= max(1, (1 - SAME_CLASS) * images):
        return ""
    return (
        f"the whole net's probabilities differ from the search's by up to {most:.2g}, and {percent(same)} of "
        f"{images:,} validation images keep their class; expected at most {TOLERANCE} and {100 * SAME_CLASS} %"
    )


def facts_of(loaded: "LoadedStudy", trial: "FrozenTrial", tuned: "Tuned | None") -> dict[str, Any]:
    """The backbone for ``summary.json``, with what a second phase did to it."""
    said = dataclasses.asdict(chosen(loaded, trial))
    facts = {key: said[key] for key in ("name", "digest", "features", "parameters")}
    facts |= {"size": loaded.config.image_size, "fine_tuned": None}
    if tuned is not None:
        facts["fine_tuned"] = {
            "epochs": tuned.training.epochs,
            "validation_before": tuned.before,
            "validation_after": tuned.after,
            "seconds": round(tuned.training.seconds, 1),
            "head_epochs": tuned.first.epochs,
            "head_seconds": round(tuned.first.seconds, 1),
        }
    return facts


def sentence(facts: dict[str, Any], parameters: int) -> str:
    """The net in words."""
    how, rest = "frozen", ", the only ones that were trained"
    if tuned := facts["fine_tuned"]:
        how, rest = f"its last part fine-tuned in {tuned['epochs']} epochs", ""
    return (
        f"The net is {facts['name']} ({facts['parameters']:,} parameters, {how}, at {facts['size']}x{facts['size']} "
        f"pixels) with a head of {parameters:,} parameters{rest}."
    )
