"""A long command whose reader is gone (``run | head -1``) goes on, and says so once."""

import subprocess
import sys

WORK = """
import os, sys, time
from search.cli.app import main, make_app
from search.cli.verbosity import print_result

def work() -> None:
    "Work."
    print("line 0", flush=True)
    while not os.path.exists(sys.argv[0] + ".alone"):
        time.sleep(0.01)
    for number in range(1, 3000):
        print("line", number, flush=number % 100 == 0)
    print_result("done")
    open(sys.argv[0] + ".done", "w").close()

main(make_app(work, example="work", chatty=True), [])
"""


def ending_of(tmp_path, streams: str = "") -> "subprocess.CompletedProcess[str]":
    """What is left of the work whose only reader takes one line and is gone before the second is written."""
    work = tmp_path / "work.py"
    work.write_text(WORK)
    reader = f"{{ head -1; exec <&-; touch {work}.alone; }}"
    command = f"{sys.executable} {work} {streams} | {reader}; echo ${{PIPESTATUS[0]}}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)


def test_command_whose_reader_is_gone_goes_on_to_its_end(tmp_path) -> None:
    ended = ending_of(tmp_path)
    assert ended.stdout == "line 0\n0\n"
    assert (tmp_path / "work.py.done").exists()
    assert ended.stderr.splitlines() == [
        "warning: nobody reads the output any more (its pipe is closed); the work goes on"
    ]


def test_command_whose_errors_nobody_reads_either_goes_on(tmp_path) -> None:
    ended = ending_of(tmp_path, "2>&1")
    assert ended.stdout == "line 0\n0\n"
    assert (tmp_path / "work.py.done").exists()
