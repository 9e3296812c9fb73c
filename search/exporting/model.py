"""The exported net: its weights trained or copied, and put together with a backbone where it has one."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from search.exporting.backbone import write_whole_net
from search.exporting.child_training import TrainingResult
from search.exporting.fine_tuning import FineTuned, fine_tune, fine_tuning_sentence, improved
from search.exporting.weights import copy_weights, find_weights, kept_weights, refit
from search.formatting import Passing

if TYPE_CHECKING:
    from search.exporting.request import ExportRequest
    from search.process.fork_server import ForkServer


class ModelFiles(NamedTuple):
    """The files of the exported net.

    Attributes:
        model: The whole net.
        unseen: A whole net of the same configuration that has not seen the validation images: the exported one itself,
            but after a refit the search's; None where none is kept.
        head: The head alone, where the rest of the net is a frozen backbone.
    """

    model: Path
    unseen: Path | None
    head: Path | None = None


def make_model(
    request: "ExportRequest", model: Path, scratch: Path, server: "ForkServer"
) -> tuple[TrainingResult, ModelFiles, FineTuned | None]:
    """Train or copy the weights, and make a whole net of them.

    Args:
        request: What to export.
        model: File for the whole net.
        scratch: A folder for files that nobody keeps.
        server: Starts the children.

    Returns:
        The training whose weights these are, the files, and the fine-tuning, where one was asked for and was a gain.

    Raises:
        TrialFailed: A child crashed, or memory ran out.
        StudyStopped: A loss became NaN or infinite.
    """
    loaded, trial = request.loaded, request.trial
    unseen: Path | None = model
    if request.refit:
        training = refit(request, model, server)
        # In folds none are kept, of a race either: they have seen images of the other folds' dealing.
        raced = request.race.weights if request.race and not loaded.config.folds else None
        unseen = raced or find_weights(loaded, trial)
    else:
        scored = request.race.weights if request.race else kept_weights(loaded, trial)
        training = copy_weights(loaded, scored, trial, model)
    if not loaded.config.backbones:
        return training, ModelFiles(model, unseen), None
    head = Path(shutil.move(model, scratch / "head.keras"))  # Perhaps on another disk.
    if request.refit and unseen is not None:
        unseen_head, unseen = unseen, scratch / "unseen.keras"
        write_whole_net(server, loaded, trial, unseen_head, unseen)
    if request.options.fine_tune:
        tuned = fine_tune(request, request.options.fine_tune, training, head, model, server)
        taken = improved(tuned, loaded.config.direction)
        request.say(fine_tuning_sentence(tuned, loaded.config.metric, taken))
        if taken:
            # After a refit the search's net says nothing of this one, because it was not tuned.
            return tuned.training, ModelFiles(model, None if request.refit else model), tuned
    request.say(Passing("putting the head on its backbone"))
    write_whole_net(server, loaded, trial, head, model)
    return training, ModelFiles(model, unseen, head), None
