"""An export over a frozen backbone is whole: raw pixels in, the backbone inside."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spaces
from search.evaluation.plans import plan_of
from spaces.contract import Backbone

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.child import ForkServer
    from search.evaluation.tuning import Tuned
    from search.study import LoadedStudy


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


def features_here(loaded: "LoadedStudy", trial: "FrozenTrial", refit: bool) -> str | None:
    """The file of the cached features that it was trained on; None where this host has not got them whole.

    Args:
        loaded: The open study.
        trial: The trial.
        refit: Whether the trial was trained anew, on all training images.
    """
    from search.training.features import features_file

    config = loaded.config
    if not config.backbones:
        return None
    dataset, plan = loaded.dataset(), dataclasses.replace(plan_of(loaded, trial), full=refit)
    wanted = plan.wanted(plan.split(dataset.train()[1]))
    found = features_file(dataset, chosen(loaded, trial), config.input_spec, wanted)
    return str(found) if found else None


def chosen(loaded: "LoadedStudy", trial: "FrozenTrial") -> Backbone:
    """The trial's backbone."""
    space = spaces.load(loaded.config.space)
    return space.backbone(trial.user_attrs["params"], loaded.config.input_spec)


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
