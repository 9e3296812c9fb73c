"""The whole net of a head on a frozen backbone, as it is exported: raw pixels in, the backbone inside."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import spaces
from search.data.familiarity import MOST, measure_familiarity, write_familiarity
from search.data.joined_backbones import told_apart
from search.exporting.fine_tuning import tuned_words
from search.exporting.training_plans import trial_plan
from search.formatting import count, percent
from search.metrics.baselines import evenly_spaced
from search.metrics.classification import Integers
from search.study.backbones import COMPARED
from search.training.feature_cache import features_file
from spaces.contract import Backbone, sides

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.exporting.fine_tuning import FineTuned
    from search.exporting.request import ExportRequest
    from search.process.fork_server import ForkServer
    from search.study.study import LoadedStudy


def write_whole_net(
    server: "ForkServer", loaded: "LoadedStudy", trial: "FrozenTrial", head: Path, model: Path
) -> None:
    """Write the kept head with its backbone below it to ``model``, in a child.

    Raises:
        TrialFailed: The child crashed, or memory ran out.
    """
    payload = {"plan": trial_plan(loaded, trial).to_payload(), "head": str(head), "model": str(model)}
    log = loaded.paths.worker_log("export")
    with server.start("search.training.models:join_job", payload, log) as child:
        child.result()


def cached_features(request: "ExportRequest") -> str | None:
    """The file of the cached features that the head was trained on; None where this host does not have them whole."""
    loaded, trial = request.loaded, request.trial
    dataset, plan = loaded.dataset(), dataclasses.replace(trial_plan(loaded, trial), full=request.refit)
    chosen = plan.wanted(plan.split(dataset))
    file = features_file(dataset, backbone_of(loaded, trial), loaded.config.input_spec, chosen)
    return str(file) if file else None


def keep_familiarity(path: Path, features: str, fitted: Integers) -> None:
    """Write what tells images that are nothing like the training images; see ``search.data.familiarity``.

    Args:
        path: The file.
        features: The file of the training images' cached features.
        fitted: Indices of the training images that the weights were fitted on, ``(N,)``.
    """
    chosen = evenly_spaced(np.sort(fitted), MOST)
    found = measure_familiarity(np.load(features, mmap_mode="r")[chosen])
    if found is not None:
        write_familiarity(path, found)


def backbone_of(loaded: "LoadedStudy", trial: "FrozenTrial") -> Backbone:
    """The trial's backbone."""
    space = spaces.load(loaded.config.space)
    return space.backbone(trial.user_attrs["params"], loaded.config.input_spec)


def backbone_facts(request: "ExportRequest", tuned: "FineTuned | None") -> dict[str, Any] | None:
    """The backbone for ``summary.json``, with what a second phase did to it; None of a net without one.

    Args:
        request: What is exported.
        tuned: What the second phase did; None where there was none, or where it gained nothing.
    """
    loaded = request.loaded
    if not loaded.config.backbones:
        return None
    backbone = backbone_of(loaded, request.trial)
    facts = {key: getattr(backbone, key) for key in ("name", "digest", "features", "parameters")}
    facts |= {"size": loaded.config.image_size, "fine_tuned": None}
    if backbone.parts:
        facts["joined"] = [
            {"name": part.name, "digest": part.digest, "size": part.at} for part in backbone.parts
        ]
    if compared := loaded.optuna.user_attrs.get(COMPARED):
        facts["chosen_by_logistic_regression"] = compared
    if tuned is None and request.options.fine_tune is not None:
        facts["fine_tuned_in_vain"] = request.options.fine_tune
    if tuned is not None:
        facts["fine_tuned"] = {
            "epochs": tuned.training.epochs,
            **tuned.training.facts.get("tuned", {}),
            "validation_before": tuned.value_before,
            "validation_after": tuned.value_after,
            "seconds": round(tuned.training.seconds, 1),
            "head_epochs": tuned.head_training.epochs,
            "head_seconds": round(tuned.head_training.seconds, 1),
        }
    return facts


def whole_parameters(known: Mapping[str, Any]) -> int:
    """The parameters of a whole net, its backbone among them, by what is known of it as in ``summary.json``."""
    return int(known["parameters"]) + int((known.get("backbone") or {}).get("parameters", 0))


def backbone_sentence(facts: Mapping[str, Any], parameters: int) -> str:
    """The net in words.

    Args:
        facts: Of its backbone, see ``backbone_facts``.
        parameters: Of its head.
    """
    size = "x".join(map(str, sides(facts["size"])))
    where = f"given {size} pixels" if facts.get("joined") else f"at {size} pixels"
    state, rest = "frozen", ", the only ones that were trained"
    if tuned := facts["fine_tuned"]:
        part = tuned_words(tuned if "layers" in tuned else None)
        state, rest = f"{part} fine-tuned in {count(tuned['epochs'], 'epoch')}", ""
    return (
        f"The net is {facts['name']} ({facts['parameters']:,} parameters, {state}, {where}) "
        f"with a head of {parameters:,} parameters{rest}.{_chosen(facts)}"
    )


def _chosen(facts: Mapping[str, Any]) -> str:
    """How the backbone was chosen, where there were several."""
    compared = facts.get("chosen_by_logistic_regression")
    if not compared:
        return ""
    told = ", ".join(
        f"{name}: {percent(accuracy)}"
        for name, accuracy in zip(told_apart(compared), compared.values(), strict=True)
    )
    return f" It was chosen before the search, by logistic regression on each backbone's features ({told})."
