"""The model of an export: its weights trained or copied, and whole nets made of them."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from search.evaluation.backbone import join_in_child
from search.evaluation.summary import Training
from search.evaluation.tuning import Tuned, fine_tune, gained
from search.evaluation.tuning import sentence as tuning_sentence
from search.evaluation.weights import copy_weights, find_weights, kept_weights, refit

if TYPE_CHECKING:
    from search.child import ForkServer
    from search.evaluation.make import Wanted


class ModelFiles(NamedTuple):
    """Where the weights lie.

    Attributes:
        model: The whole net that is exported.
        unseen: One that was not trained on the validation images: the same, but for a refit; None where none is kept.
        head: The exported net's head alone, if the rest of it is a frozen backbone.
    """

    model: Path
    unseen: Path | None
    head: Path | None = None


def make_model(
    wanted: "Wanted", model: Path, scratch: Path, server: "ForkServer"
) -> tuple[Training, ModelFiles, Tuned | None]:
    """Train or copy the weights, and have whole nets of them; fine-tuned ones where that was asked for, and gained."""
    loaded, trial = wanted.loaded, wanted.trial
    if wanted.refit:
        training = refit(loaded, trial, wanted.refit_epochs, model, server, wanted.say, wanted.gpu_memory)
    else:
        kept = wanted.race.weights if wanted.race else kept_weights(loaded, trial)
        training = copy_weights(kept, trial, model)
    unseen: Path | None = model
    if wanted.refit:  # It was trained on the validation images too: they can tell nothing of it any more.
        unseen = wanted.race.weights if wanted.race else find_weights(loaded, trial)
    if not loaded.config.backbones:
        return training, ModelFiles(model, unseen), None
    head = Path(shutil.move(model, scratch / "head.keras"))  # Perhaps on another disk.
    if wanted.refit and unseen is not None:
        alone, unseen = unseen, scratch / "unseen.keras"
        join_in_child(server, loaded, trial, alone, unseen)
    if wanted.fine_tune:
        tuned = fine_tune(
            loaded,
            trial,
            wanted.fine_tune,
            training,
            head,
            model,
            refit=wanted.refit,
            server=server,
            gpu_memory=wanted.gpu_memory,
            say=wanted.say,
        )
        taken = gained(tuned, loaded.config.direction)
        wanted.say(tuning_sentence(tuned, loaded.config.metric, taken))
        if taken:
            # After a refit the search's net can say nothing of it: it was not tuned.
            return tuned.training, ModelFiles(model, None if wanted.refit else model), tuned
    join_in_child(server, loaded, trial, head, model)
    return training, ModelFiles(model, unseen, head), None
