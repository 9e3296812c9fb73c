"""How good a backbone is for a study's images: logistic regression on its features, in the study's own folds.

A child's job. It computes the features, which the trials over this backbone then find in the cache, and fits no net.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.data import open_dataset
from search.data.base import Labels
from search.data.folds import read_folds
from search.process import backends
from search.process.channel import Channel
from search.training.logistic import fit_logistic
from search.training.models import Head
from search.training.plan import TrainingPlan

# That of the default configuration of ``spaces.transfer``, which says why.
PENALTY = 30.0


def probe(payload: dict[str, Any], channel: Channel) -> None:
    """Predict each training image by logistic regression, fitted on the folds that it is not in.

    Args:
        payload: A ``TrainingPlan`` with folds, whose params choose the backbone.
        channel: Gets ``features`` while they are computed, then ``done`` with ``predicted``, a class an image.
    """
    plan = TrainingPlan.from_payload(payload)
    backends.current().use_device(plan.gpu_memory)
    dataset = open_dataset(Path(plan.dataset))
    _, labels = dataset.train()
    features, _ = Head(plan).inputs(dataset, plan.split(dataset), channel)
    predicted = predict_out_of_fold(features, labels, read_folds(plan.fold_of), channel)
    channel.send({"kind": "done", "predicted": predicted.tolist()})


def predict_out_of_fold(
    features: npt.NDArray[Any], labels: Labels, fold_of: Labels, channel: Channel | None = None
) -> Labels:
    """The class of each image ``(N,)`` by logistic regression on the features of the images in other folds.

    Args:
        features: Of all images, ``(N, F)``.
        labels: Class numbers ``(N,)``.
        fold_of: The fold of each image ``(N,)``.
        channel: Gets a sign of life a fold.
    """
    predicted = np.empty(len(labels), np.int64)
    for fold in np.unique(fold_of):
        held = fold_of == fold
        head, _ = fit_logistic(features[~held], labels[~held], int(labels.max()) + 1, PENALTY)
        predicted[held] = head.logits(features[held]).argmax(axis=1)
        if channel is not None:
            channel.pulse()
    return predicted
