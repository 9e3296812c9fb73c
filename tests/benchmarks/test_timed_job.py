from itertools import pairwise
from pathlib import Path

import recipe

from search.data import Dataset
from search.process.fork_server import ForkServer


def test_messages_carry_the_times_of_what_came_before_them(
    digits: Dataset, fork_server: ForkServer, tmp_path: Path
) -> None:
    plan = recipe.plan_of(digits, "recipe", 0, images=100, length=3e9).to_payload()
    heard = []
    with fork_server.start("timed_job:train", plan, tmp_path / "log.txt") as child:
        while (message := child.result())["kind"] != "done":
            heard.append(message)
            if message["kind"] == "epoch":
                child.send({"go": True})
    assert [message["kind"] for message in heard if message["kind"] != "batch"] == ["built", *["epoch"] * 8]
    told = [message["times"] for message in [*heard, message] if message["kind"] != "batch"]
    assert told[0]["entered"] < told[0]["build"] < told[0]["model"] < told[0]["sent"]
    assert all(earlier["sent"] < later["sent"] for earlier, later in pairwise(told))
