"""Whether what a user's space says that a net costs is what the net that it builds costs."""

import logging
from collections.abc import Mapping
from typing import Any

import spaces
from search.config.study_config import StudyConfig
from search.formatting import si_units

logger = logging.getLogger(__name__)

# Of a trial: what its built net costs, as its child counted it (``search.training.model_flops.built_cost``).
BUILT_COST = "built_cost"
# By how much both may differ: a user may count what is left out, such as the operations of biases.
TOLERANCE = 0.01
_warned: set[str] = set()


def is_to_compare(config: StudyConfig, trials: list[Any]) -> bool:
    """Whether the next trial of a study shall have its built net counted: the first of a user's space."""
    # A registered space is compared by the tests of this program; of a user's model the built net is what is counted.
    own = config.space not in spaces.REGISTERED and not spaces.is_model(config.space)
    return own and not any(BUILT_COST in trial.user_attrs for trial in trials)


def warn_of_cost(space: str, number: int, recorded: Mapping[str, Any]) -> None:
    """Warn, once a process, of a trial whose built net costs something else than its space says.

    Args:
        space: Its name.
        number: The trial's number.
        recorded: The trial's attributes.
    """
    if space in _warned or BUILT_COST not in recorded:
        return
    if why := difference(recorded, recorded[BUILT_COST]):
        _warned.add(space)
        logger.warning(f"space {space}, trial {number}: {why}")


def difference(said: Mapping[str, Any], built: Mapping[str, Any]) -> str:
    """How both costs differ, in a sentence; empty where they do not.

    Args:
        said: With ``parameters`` and ``flops``, as the space says them.
        built: See ``search.training.model_flops.built_cost``.
    """
    found = []
    if _differ(said["parameters"], built["built_parameters"]):
        found.append(
            f"{said['parameters']:,} trainable parameters, and the built net has {built['built_parameters']:,}"
        )
    if not built["uncounted"] and _differ(said["flops"], built["built_flops"]):
        words = [si_units(number, "FLOP") for number in (said["flops"], built["built_flops"])]
        found.append(f"{words[0]} an image, and the built net takes {words[1]}")
    if found:
        return (
            f"cost says {'; and '.join(found)}; bounds, lengths of trials and reports go by what cost says, so mend it "
            "and begin another study"
        )
    if built["uncounted"]:
        return (
            f"the operations that cost says were not compared with the built net's, since those of "
            f"{', '.join(built['uncounted'])} cannot be counted; bounds, lengths and reports go by what it says"
        )
    return ""


def _differ(said: float, built: float) -> bool:
    return abs(said - built) > TOLERANCE * max(said, built)
