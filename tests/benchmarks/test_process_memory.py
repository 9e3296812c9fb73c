import subprocess
import sys
import time

import pytest
from process_memory import PeakMemory

MIB = 2**20
# 96 MiB, which a forked child shares until both end.
PARENT_AND_CHILD = """
import os, sys, time
pages = bytearray(os.urandom(1024)) * (96 * 1024)
child = os.fork()
if not child:
    time.sleep(60)
    os._exit(0)
print("ready", flush=True)
sys.stdin.read()
os.kill(child, 9)
os.waitpid(child, 0)
"""


def test_pages_shared_by_a_child_are_counted_once_in_pss_and_twice_in_rss() -> None:
    command = [sys.executable, "-S", "-c", PARENT_AND_CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        with PeakMemory(process.pid) as peak:
            assert process.stdout.readline() == b"ready\n"
            while peak.processes < 2:
                time.sleep(0.02)
        process.stdin.close()
    assert peak.processes == 2
    assert 96 * MIB < peak.pss < 125 * MIB
    assert 2 * 96 * MIB < peak.rss < 250 * MIB


def test_process_that_cannot_be_seen_gives_no_peak() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(RuntimeError, match="nothing of its memory"), PeakMemory(process.pid):
        pass
