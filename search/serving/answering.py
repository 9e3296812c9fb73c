"""A loaded model in a process of its own, which answers about one picture or several that wait at the same time.

A picture that crashes it, or that it cannot answer in time, costs that picture's answer alone: another process takes
its place.
"""

import contextlib
import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

from search.errors import InputError, StudyStopped
from search.process.child import Child
from search.process.fork_server import ForkServer

logger = logging.getLogger(__name__)

JOB = "search.prediction.answers:answer"
# For a large net from a slow disk; for the pictures that are answered together; and for one that waits for its turn.
LOAD_SECONDS, ANSWER_SECONDS, WAIT_SECONDS = 300.0, 30.0, 60.0
MOST_TOGETHER = 16


class NoAnswer(Exception):
    """There is no answer about a picture; the message says why, and what to do.

    Attributes:
        busy: Whether it is only that too many wait.
    """

    def __init__(self, why: str, busy: bool = False) -> None:
        super().__init__(why)
        self.busy = busy


class Waiting(NamedTuple):
    """A picture that waits for its answer."""

    file: Path
    answer: "Future[dict[str, Any]]"


class Answerer:
    """Answers about pictures by an export's model.

    Args:
        model: The folder of the export.
        server: Starts the processes.
        log: The file to which these print.

    Raises:
        InputError: The export cannot be loaded.
        StudyStopped: Its process ended before it had loaded it.
    """

    def __init__(self, model: Path, server: ForkServer, log: Path) -> None:
        self._model, self._server, self._log = model, server, log
        self._waiting: queue.Queue[Waiting] = queue.Queue()
        self._child: Child | None = self._start()
        threading.Thread(target=self._work, daemon=True).start()

    def ask(self, file: Path) -> dict[str, Any]:
        """Wait for the answer about a picture; may be called from several threads.

        Args:
            file: The picture's, which has to stay until there is an answer.

        Returns:
            See ``search.prediction.answers.answer_of``.

        Raises:
            NoAnswer: There is none.
        """
        waiting = Waiting(file, Future())
        self._waiting.put(waiting)
        try:
            return waiting.answer.result(WAIT_SECONDS)
        except TimeoutError:
            waiting.answer.cancel()
            why = f"no answer in {WAIT_SECONDS:.0f} s: too many pictures wait; try again"
            raise NoAnswer(why, busy=True) from None

    def _start(self) -> Child:
        child = self._server.start(JOB, {"model": str(self._model)}, self._log)
        try:
            message = child.result(LOAD_SECONDS)
        except Exception as error:
            child.kill()
            raise StudyStopped(f"--model {self._model}: the model cannot be loaded: {error}") from error
        if message["kind"] == "refused":
            child.kill()
            raise InputError(message["reason"])
        return child

    def _work(self) -> None:
        while True:
            together = [self._waiting.get()]
            with contextlib.suppress(queue.Empty):
                while len(together) < MOST_TOGETHER:
                    together.append(self._waiting.get_nowait())
            self._answer([one for one in together if one.answer.set_running_or_notify_cancel()])

    def _answer(self, together: Sequence[Waiting]) -> None:
        if not together:
            return
        try:
            self._child = self._child or self._start()
            self._child.send({"pictures": [str(one.file) for one in together]})
            answers = self._child.result(ANSWER_SECONDS)["answers"]
        except Exception as error:  # Whatever it is, the next picture shall be answered.
            if self._child is not None:
                self._child.kill()
                self._child = None
            if len(together) > 1:  # One of them is at fault: each by itself.
                for one in together:
                    self._answer([one])
                return
            logger.warning(f"a picture has no answer: {error}"[:300])
            together[0].answer.set_exception(NoAnswer(f"the model gave no answer ({error})"))
            return
        for one, found in zip(together, answers, strict=True):
            one.answer.set_result(found)
