"""What this program says through its loggers: lines, and those that pass."""

import io
import logging
import sys
import time

import pytest

import search
from search.formatting import Passing

SAY = logging.getLogger("search.test_lines").info


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> search._Lines:
    handler = search._Lines()
    monkeypatch.setattr(logging.getLogger("search"), "handlers", [handler])
    return handler


def test_passing_line_stands_in_one_place_on_a_terminal(
    lines: search._Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    for line in (Passing("epoch 1"), Passing("epoch 2 of very very many"), "done"):
        SAY(line)
    text = sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert text == "epoch 1\r\x1b[Kepoch 2 of very ver\r\x1b[Kdone\n"


def test_passing_line_is_not_for_a_file_unless_it_was_silent_for_long(
    lines: search._Lines, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    SAY(Passing("epoch 1"))
    SAY("a line")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + lines.patience + 1)
    SAY(Passing("epoch 2"))
    SAY(Passing("epoch 3"))
    assert capsys.readouterr().out == "a line\nepoch 2\n"
