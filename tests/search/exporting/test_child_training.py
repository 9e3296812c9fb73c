"""A training of an export that is interrupted."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.exporting import child_training
from search.exporting.child_training import train_with_retry
from search.process.fork_server import ForkServer
from search.training.plan import TrainingPlan
from storage.checkpoints import read_facts

TRIAL: Any = SimpleNamespace(user_attrs={"threads": 1})


@pytest.fixture
def plan(make_plan: Callable[..., TrainingPlan]) -> TrainingPlan:
    """More epochs than anybody waits for."""
    return make_plan(epochs=500, checkpoint_seconds=3600.0)


class Silent:
    """A child that neither ends nor answers."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def result(self) -> dict[str, Any]:
        raise KeyboardInterrupt

    def stop(self) -> None:
        self.send({"stop": True})

    def send(self, message: dict[str, Any]) -> None:
        self.told.append(message)

    def receive(self, timeout: float) -> dict[str, Any] | None:
        return None


def test_interrupted_training_leaves_a_checkpoint_of_its_last_whole_epoch(
    plan: TrainingPlan, fork_server: ForkServer, tmp_path: Path
) -> None:
    def two_epochs(message: Mapping[str, Any]) -> bool:
        if message["epoch"] == 2:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        train_with_retry(plan, TRIAL, fork_server, tmp_path / "log", two_epochs, print)
    facts = read_facts(Path(plan.checkpoint))
    assert facts is not None
    assert facts["epoch"] == 2


def test_interrupted_training_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, plan: TrainingPlan, tmp_path: Path
) -> None:
    child = Silent()

    class Server:
        @contextmanager
        def start(self, *_: Any) -> Iterator[Silent]:
            yield child

    monkeypatch.setattr(child_training, "STOP_SECONDS", 0.1)
    server: Any = Server()
    with pytest.raises(KeyboardInterrupt):
        train_with_retry(plan, TRIAL, server, tmp_path / "log", lambda message: True, print)
    assert child.told == [{"stop": True}, {"go": True}]
