"""How many cores there are for this process."""

from pathlib import Path

import pytest

from search.data.threads import cores


@pytest.mark.parametrize(("given", "count"), [("2", 2), ("64", 4), ("", 4), ("2(x3)", 4), ("0", 4)])
def test_cores_are_no_more_than_slurm_has_given(
    monkeypatch: pytest.MonkeyPatch, given: str, count: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", given)
    assert cores() == count


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "250000 100000"}, 3),
        ({"cpu.max": "max 100000"}, 4),
        ({"quota": "50000", "period": "100000"}, 1),
        ({"quota": "-1", "period": "100000"}, 4),
        ({"cpu.max": "6400000 100000"}, 4),
        ({}, 4),
    ],
)
def test_cores_are_no_more_than_a_container_may_keep_busy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str], count: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    places = ((str(tmp_path / "cpu.max"),), (str(tmp_path / "quota"), str(tmp_path / "period")))
    monkeypatch.setattr("search.data.threads.QUOTAS", places)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.delenv("SLURM_CPUS_ON_NODE", raising=False)
    assert cores() == count
