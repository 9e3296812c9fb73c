"""A space of twelve configurations, one parameter of which is sampled only where another asks for it."""

from spaces.arithmetic import CostCounter


def sample(trial, input_spec):
    kind = trial.suggest_categorical("kind", ["dense", "wide"])
    width = trial.suggest_int("width", 8, 16, step=4)
    if kind == "wide":
        return {"kind": kind, "width": width, "dropout": trial.suggest_float("dropout", 0.0, 0.2, step=0.1)}
    return {"kind": kind, "width": width, "dropout": 0.0}


def first(input_spec):
    return [{"kind": "dense", "width": 12}]


def cost(params, input_spec):
    return CostCounter.of(input_spec).flatten().dense(params["width"]).dense(input_spec.classes).cost()


def build(params, input_spec):
    from keras import Input, Sequential, layers

    net = Sequential([Input((input_spec.height, input_spec.width, input_spec.channels))])
    net.add(layers.Rescaling(1 / 255))
    net.add(layers.Flatten())
    net.add(layers.Dense(params["width"], activation="relu"))
    net.add(layers.Dropout(params["dropout"]))
    net.add(layers.Dense(input_spec.classes, dtype="float32"))
    return net
