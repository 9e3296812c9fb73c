"""Jobs for the tests, run in a child of the fork server."""

import os
import signal
import sys
import time


def echo(payload, channel):
    channel.send({"kind": "done", **payload})


def converse(payload, channel):
    reply = channel.ask({"kind": "question"})
    channel.send({"kind": "done", "heard": reply})


def fail(payload, channel):
    raise RuntimeError("it broke\nin two lines")


def end_itself(payload, channel):
    raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt}[payload["kind"]]("bye")


def run_out_of_memory(payload, channel):
    raise MemoryError("no room")


def leave(payload, channel):
    os._exit(payload["status"])


def die(payload, channel):
    os.kill(os.getpid(), getattr(signal, payload["signal"]))


def sleep(payload, channel):
    channel.send({"kind": "ready"})
    time.sleep(payload.get("seconds", 120))
    channel.send({"kind": "done"})


def wait_for_stop(payload, channel):
    before = channel.stopped
    channel.send({"kind": "ready"})
    while not channel.stopped:
        time.sleep(0.01)
    channel.send({"kind": "done", "before": before, "after": channel.stopped})


def tell_environment(payload, channel):
    channel.send({"kind": "done", "values": [os.environ.get(name) for name in payload["names"]]})


def speak(payload, channel):
    print("said in the child")
    print("and to its errors", file=sys.stderr)
    os.write(1, b"past Python\n")
    channel.send({"kind": "done"})


def speak_and_linger(payload, channel):
    speak(payload, channel)
    time.sleep(60)


def count_threads(payload, channel):
    import tensorflow as tf

    channel.send({"kind": "done", "threads": tf.config.threading.get_intra_op_parallelism_threads()})


def look_at_device(payload, channel):
    """What the server left behind, before anything has run in the child."""
    from tensorflow.python.eager import context

    found = context.context_safe()
    channel.send(
        {
            "kind": "done",
            "initialized": bool(found is not None and found._initialized),
            "modules": sorted(sys.modules),
        }
    )


def train_and_list_modules(payload, channel):
    from search.training.job import train

    train(payload, channel)
    channel.send({"kind": "modules", "modules": sorted(sys.modules)})


def leave_temporary_file(payload, channel):
    import tempfile

    with tempfile.NamedTemporaryFile(delete=False) as file:
        channel.send({"kind": "done", "path": file.name})
    while not channel.stopped:
        time.sleep(0.01)
