"""The child's job: one training from plan to kept weights, which reports every epoch and can go on from any.

The folds of a trial are trained by one child, one after another: a process and a trace a fold took most of the time of
a small head. Each begins as if it were the only one, with weights, optimizer and seeds of its own.
"""

import logging
from typing import Any

import keras

from search.process import backends
from search.process.channel import Channel
from search.training.feature_cache import FeaturesAway
from search.training.plan import TrainingPlan
from search.training.training import Training
from spaces import is_model

logger = logging.getLogger(__name__)


def train(payload: dict[str, Any], channel: Channel) -> None:
    """Train as ``payload`` (a ``TrainingPlan``) has it.

    Sends ``built``; then ``epoch`` after each epoch, to whose reply ``go`` says whether to go on; then ``done``, in
    which ``stopped`` says whether it was asked to stop and left a checkpoint. Meanwhile it sends ``batch`` as a sign of
    life, with ``images_per_second`` and the ``part`` of the epoch that is done, once these are known; and
    ``checkpoint`` when one has been written or could not be.
    """
    plan = TrainingPlan.from_payload(payload)
    channel.send(_run(plan, _take_device(plan), channel)[0])


def train_folds(payload: dict[str, Any], channel: Channel) -> None:
    """Train one fold of a trial after another, each as ``train`` does, in this process.

    ``payload`` is the plan of the first. The worker replies to each fold's ``done`` with the ``plan`` of the next, or
    None. What a fold comes to does not depend on whether others were trained before it.
    """
    plan = TrainingPlan.from_payload(payload)
    device, before = _take_device(plan), None
    while True:
        done, before = _run(plan, device, channel, before)
        following = channel.ask(done)["plan"]
        if following is None:
            return
        plan = TrainingPlan.from_payload(following)


def _take_device(plan: TrainingPlan) -> str:
    device = backends.current().use_device(plan.gpu_memory)
    if not is_model(plan.space):  # A user's model computes in what it says itself.
        _set_precision(device)
    return device


def _run(
    plan: TrainingPlan, device: str, channel: Channel, before: Training | None = None
) -> tuple[dict[str, Any], Training | None]:
    """Train; return the message that ends the training, and the training, if it came to be.

    ``before`` is a training of the same trial, of which nothing is needed any more.
    """
    if plan.folds and not plan.full:
        logger.info("fold %d of %d", plan.fold + 1, plan.folds)
    try:
        training = Training(plan, device, channel, before)
    except FeaturesAway:
        return {"kind": "done", "stopped": True, "epochs": 0}, None
    logger.info("%s", training.words())
    training.resume()
    channel.send({"kind": "built", **training.facts()})
    while training.epoch < plan.epochs and not training.exhausted():
        if not training.run_epoch(channel):
            training.checkpoints.write(channel)
            return {"kind": "done", "stopped": True, "epochs": training.epoch}, training
        reply = channel.ask({"kind": "epoch", "epoch": training.epoch, **training.latest()})
        if not reply["go"]:
            return {"kind": "done", "stopped": False, **training.outcome()}, training
        if training.epoch < plan.epochs and training.checkpoints.due:
            training.hold_state()
            training.checkpoints.write(channel)
    training.keep()
    training.predict(channel)
    return {"kind": "done", "stopped": False, **training.outcome()}, training


def _set_precision(device: str) -> None:
    # bfloat16 needs no loss scaling; logits stay float32 (the spaces say so). On a CPU it is exact float32.
    keras.mixed_precision.set_dtype_policy("float32" if device == "cpu" else "mixed_bfloat16")
