"""A space of one small net: quick to build, and with every fault that a trial can have.

The fault comes from the environment of the process that samples, and travels in the params.
"""

import os
import signal
import time
from pathlib import Path

from spaces.arithmetic import CostCounter
from spaces.contract import Cost
from spaces.recipe import Recipe


def sample(trial, input_spec):
    return {
        "width": trial.suggest_int("width", 4, 32),
        "rate": trial.suggest_float("rate", 1e-7, 1.0, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "fault": os.environ.get("SMALL_SPACE_FAULT", ""),
        # With a file named here only the first build has the fault.
        "once": os.environ.get("SMALL_SPACE_ONCE", ""),
    }


def first(input_spec):
    return [{"width": 16, "rate": 0.05, "dropout": 0.1}]


def cost(params, input_spec):
    if params["fault"] == "large":
        return Cost(10**12, 10**15)
    tally = CostCounter.of(input_spec).flatten().dense(params["width"], bias=False).batch_norm()
    return tally.dense(input_spec.classes).cost()


def recipe(params, input_spec):
    rate = 1e30 if params["fault"] == "diverge" else params["rate"]
    return Recipe(learning_rate=rate, batch_size=64)


def build(params, input_spec):
    from keras import Input, Sequential, layers

    break_as_asked(params)
    net = Sequential([Input((input_spec.height, input_spec.width, input_spec.channels))])
    net.add(layers.Rescaling(1 / 255))
    net.add(layers.Flatten())
    net.add(layers.Dense(params["width"], use_bias=False))
    net.add(layers.BatchNormalization(momentum=0.8))
    net.add(layers.ReLU())
    net.add(layers.Dropout(params["dropout"]))
    net.add(layers.Dense(input_spec.classes, dtype="float32"))
    return net


def break_as_asked(params):
    """The fault of these params, if they have one."""
    fault = params["fault"]
    if params["once"]:
        if Path(params["once"]).exists():
            return
        Path(params["once"]).touch()
    if fault == "raise":
        raise ValueError("no such layer\nand more to say")
    if fault == "memory":
        raise MemoryError("too wide")
    if fault == "leave":
        print("leaving in the middle", flush=True)
        os._exit(7)
    if fault == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "slow":
        time.sleep(120)
    if fault == "gpu":  # None: it says which one it was given.
        print("GPU", os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
