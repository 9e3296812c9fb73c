"""Minds the worker of one seat on a Ray cluster: starts it again where it dies, and ends it when the seat is gone.

    ray_task.py LOG RECORD first|again COMMAND...

What it and the worker say goes to LOG. RECORD says that the workers are wanted; it is looked at before a worker begins
again. COMMAND is the worker, which gives its trial back and ends on SIGTERM. It gets that once this process's standard
input ends, as it does when the seat closes it, and when the seat's process dies, however it does.

Ray kills the children of a process that it ends, with SIGKILL; so this is none: it leaves its parent at once. The end
of its standard output tells the seat that this process has ended. A last word there says that the worker has ended for
good. Without it, this process was killed: the worker is asked to end, and the seat is to begin again.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import FrameType

# A worker that dies sooner than this after its start, so often in a row, will do so for ever.
SOON_SECONDS, MOST_EARLY_DEATHS = 10.0, 5
# A worker gives its trial back within twenty seconds.
KILL_SECONDS = 30
PR_SET_PDEATHSIG = 1
LIBRARY = ctypes.CDLL(None)
LAST_WORD = b"ended"


class Task:
    """One worker after the other, until one has said by itself why it ends, or a signal asks to end."""

    def __init__(self, command: Sequence[str], log: FileIO, record: Path) -> None:
        self._command, self._log, self._record = command, log, record
        self._asked = False
        self._worker: subprocess.Popen[bytes] | None = None

    def on_term(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Have the worker end; kill it where it does not."""
        self._asked = True
        if self._worker is not None:
            self._worker.terminate()
        signal.alarm(KILL_SECONDS)

    def on_alarm(self, number: int, frame: FrameType | None) -> None:
        """Kill the worker."""
        if self._worker is not None:
            self._worker.kill()

    def run(self, again: bool) -> None:
        """Mind the workers, the first of which is one that begins ``again`` or not."""
        deaths = 0
        while not self._asked:
            if again and not self._record.exists():
                return self._note("the workers are not wanted any more")
            began = time.monotonic()
            self._worker = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                preexec_fn=_end_with_the_task if sys.platform == "linux" else None,
            )
            if self._asked:  # Before there was a worker to tell it.
                self._worker.terminate()
            status = self._worker.wait()
            if self._asked or status >= 0:
                return None  # It has had the last word.
            deaths = deaths + 1 if time.monotonic() - began < SOON_SECONDS else 0
            if deaths >= MOST_EARLY_DEATHS:
                return self._note(f"the worker has died {deaths} times in a row, last with status {status}")
            self._note(f"the worker has died with status {status} and is started again")
            again = True
        return None

    def _note(self, words: str) -> None:
        self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {words}\n".encode())


def _end_with_the_task() -> None:
    LIBRARY.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main(log: str, record: str, turn: str, *command: str) -> None:
    """Mind the worker of ``command``, in a process that is nobody's child."""
    if os.fork():
        os._exit(0)
    os.setsid()
    try:
        with Path(log).open("ab", buffering=0) as said:
            task = Task(command, said, Path(record))
            signal.signal(signal.SIGTERM, task.on_term)
            signal.signal(signal.SIGALRM, task.on_alarm)
            threading.Thread(target=_listen, name="seat", daemon=True).start()
            task.run(again=turn == "again")
    finally:
        with suppress(BrokenPipeError):  # The seat is gone.
            os.write(1, LAST_WORD)


def _listen() -> None:
    """Take the end of the input for the request to end."""
    while os.read(0, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(*sys.argv[1:])
