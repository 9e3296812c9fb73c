"""A user's function that makes a model, as a space: what it samples and costs is told by a child, which calls it.

The function needs Keras and its values need the study, and no process has both. So a child builds the model and asks
for each value as the function comes to it, and this process answers from the trial. What a model costs is then counted
on the net that was built. A child that trains later makes the same model from the values that were stored.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import optuna

from search.errors import (
    DiskFull,
    InputError,
    SpaceFailed,
    TrialCrashed,
    TrialFailed,
    TrialInterrupted,
    is_disk_full,
)
from search.process.child import error_of
from search.study.proposal import PASSED_ON, Proposal, propose_some
from spaces import UserModel
from spaces.contract import Cost, InputSpec, Params, Space
from spaces.recipe import Recipe

if TYPE_CHECKING:
    from search.process.child import Child
    from search.process.fork_server import ForkServer

JOB = "search.training.user_model:describe"
POLL_SECONDS = 0.25
# A net is built in a second; a module may load something first.
PATIENCE_SECONDS = 600.0
PROBES = 3
# On torch a child imports Keras itself, which takes a GPU that it sees; on others the job leaves it (``use_cpu``).
NO_GPU = {"torch": {"CUDA_VISIBLE_DEVICES": ""}}
ANSWERS = {"int": "suggest_int", "float": "suggest_float", "categorical": "suggest_categorical"}


class ServedModel:
    """A space whose configurations are sampled in children.

    Args:
        model: The user's function.
        server: Starts the children.
        log: The file to which all that they print is appended.
        threads: CPU threads of a child; 0 leaves the choice to the backend.
        environment: Environment variables of a child.
        check: Called several times a second while a child works; what it raises ends the child.
    """

    def __init__(
        self,
        model: UserModel,
        server: "ForkServer",
        log: Path,
        *,
        threads: int = 0,
        environment: Mapping[str, str] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.model = model
        self._server, self._log, self._threads, self._check = server, log, threads, check
        self._environment = {**(environment or {}), **NO_GPU.get(server.backend, {})}
        self._cost = Cost(0, 0)
        self._built: Mapping[str, Any] = {}

    def sample(self, trial: optuna.trial.BaseTrial, input_spec: InputSpec) -> dict[str, Any]:
        """Sample one configuration, as the function asks for its values.

        Raises:
            SpaceFailed: The function raises something, or its model cannot be trained on these images.
            TrialInterrupted, TrialOutOfMemory, TrialCrashed: The child ended without an answer.
        """
        size = (input_spec.height, input_spec.width, input_spec.channels)
        payload = {
            "model": self.model.name,
            "code": self.model.code,
            "size": size,
            "classes": input_spec.classes,
        }
        start = self._server.start
        with start(JOB, payload, self._log, self._threads, self._environment, patient=False) as child:
            built = self._answer_until_built(child, trial)
        self._cost, self._built = Cost(built["parameters"], built["flops"]), built
        return {name: trial.params[name] for name in trial.distributions}

    def cost(self, params: Params, input_spec: InputSpec) -> Cost:
        """What the net that was built last costs."""
        return self._cost

    def recipe(self, params: Params, input_spec: InputSpec) -> Recipe:
        """See ``UserModel``."""
        return self.model.recipe(params, input_spec)

    @property
    def monitoring(self) -> str:
        """Which callback of the model that was built last monitors what of the validation images; empty for none."""
        return str(self._built["monitoring"])

    def words(self) -> str:
        """How the model that was built last is trained, and which pixels it gets."""
        how = (
            "is trained as it is compiled"
            if self._built["compiled"]
            else "comes uncompiled, so by Adam at 0.001"
        )
        scaled = self._built["scaled"]
        beyond = ", ".join(self._built["uncounted"])
        return f"{how}; gets pixels from 0 to {'1, for it scales none itself' if scaled else '255'}" + (
            f"; what is counted as its cost leaves out the operations of {beyond}" if beyond else ""
        )

    def _answer_until_built(self, child: "Child", trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        wrong: Exception | None = None
        while (message := self._next(child))["kind"] == "suggest":
            try:
                suggest = getattr(trial, ANSWERS[message["how"]])
                child.send({"value": suggest(message["name"], **message["arguments"])})
            except PASSED_ON:
                raise
            except Exception as error:  # Of Optuna, about what was asked: the function's line is to be told.
                if is_disk_full(error):
                    raise DiskFull(error) from None
                wrong = error
                child.send({"error": str(error)})
        if message["kind"] == "error":
            failure = error_of(message)
            if not isinstance(failure, TrialCrashed):
                raise failure
            raise SpaceFailed(failure.reason.removeprefix("ModelUnfit: "), message["type"]) from wrong
        return message

    def _next(self, child: "Child") -> dict[str, Any]:
        """The child's next message, which is waited for as long as ``PATIENCE_SECONDS``."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            self._check()
            try:
                message = child.receive(POLL_SECONDS)
            except EOFError:
                raise child.ending() from None
            if message is not None:
                return message
        child.kill()
        raise TrialCrashed(f"{self.model.name} was not built in {PATIENCE_SECONDS:.0f} s", child.last_lines())


def proposal_of(model: UserModel, attributes: Mapping[str, Any], input_spec: InputSpec) -> Proposal | None:
    """What was proposed for a trial that goes on; None where it has only begun."""
    if not {"params", "parameters", "flops"} <= attributes.keys():
        return None
    params = dict(attributes["params"])
    cost = Cost(attributes["parameters"], attributes["flops"])
    return Proposal(params, cost, model.recipe(params, input_spec))


def check_served(space: ServedModel, input_spec: InputSpec, *, on_all: str = "") -> None:
    """Build one model before there is a study, so that what cannot work is said at once.

    Of the first few configurations, which are random, one must do: another may be too deep for these images.

    Args:
        space: The user's function.
        input_spec: Of the study.
        on_all: What asks for a final training on all images, which leaves none to validate on; empty for nothing.

    Raises:
        InputError: None does.
    """
    failed = ""
    try:
        for _, found in propose_some(cast(Space, space), input_spec, PROBES):
            if isinstance(found, SpaceFailed):
                failed = failed or str(found)
                continue
            if on_all and space.monitoring:
                raise InputError(
                    f"--model {space.model.name}: its callback {space.monitoring}, and {on_all} ends with a training "
                    "on all images, which leaves none to validate on; monitor loss, or hold images out with "
                    "--validation and leave --refit out"
                )
            return
    except (TrialFailed, TrialInterrupted) as error:
        failed = str(error)
    raise InputError(f"--model {space.model.name}: {failed}; mend it, then run the same command again")
