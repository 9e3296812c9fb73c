"""How many cores there are for this process."""

import pytest

from search.data.threads import cores


@pytest.mark.parametrize(("given", "count"), [("2", 2), ("64", 4), ("", 4), ("2(x3)", 4), ("0", 4)])
def test_cores_are_no_more_than_slurm_has_given(
    monkeypatch: pytest.MonkeyPatch, given: str, count: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", given)
    assert cores() == count
