"""How well the values on the way rank configurations: Kendall's tau, its ceiling, and a leaning towards large nets."""

import itertools
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata
from table_rows import PARTS, Row, Table, TableError

RESAMPLES = 1000
CONFIDENCE = 0.95


def rank_statistics(table: Table) -> dict[str, Any]:
    """For each value and each eighth how well it ranks what the plain training comes to in the end.

    Returns:
        ``ceiling``: tau between the ends of two seeds of the same configurations; ``rungs``: for each value and eighth
        tau over all rows (with its interval) and among the best third by the true value, and the slope of the rank
        error on the doublings of FLOPs (with its interval): above 0 the rung prefers large nets.
    """
    chance = np.random.default_rng(0)
    samples = chance.integers(0, len(table.rows), (RESAMPLES, len(table.rows)))
    end, flops = _at(table.rows, "plain", PARTS), np.log2([row.flops for row in table.rows])
    true = np.array([row.true for row in table.rows])
    best = _best_third(true)
    rungs = [
        {
            "value": value,
            "eighth": part,
            "tau": tau(early, end),
            "tau_interval": _interval([tau(early[some], end[some]) for some in samples]),
            "tau_of_best_third": tau(early[best], end[best]),
            "slope": slope(early, end, flops),
            "slope_interval": _interval([slope(early[some], end[some], flops[some]) for some in samples]),
        }
        for value in table.values()
        for part in range(1, PARTS)
        for early in (_at(table.rows, value, part),)
    ]
    return {"ceiling": ceiling(table.rows), "rungs": rungs}


def tau(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's tau: the share of pairs in the same order minus that of pairs in the other; 0 where all is tied."""
    found = float(kendalltau(first, second).statistic)
    return 0.0 if np.isnan(found) else found


def slope(early: np.ndarray, end: np.ndarray, doublings: np.ndarray) -> float:
    """By how much of the whole ranking a rung ranks a net of twice the FLOPs higher than the end does."""
    error = (rankdata(early) - rankdata(end)) / len(end)
    spread = doublings - doublings.mean()
    return float(spread @ error / max(float(spread @ spread), 1e-12))


def ceiling(rows: Sequence[Row]) -> dict[str, float] | None:
    """Tau between two seeds at the end, the mean over all pairs of seeds; None without rows of several seeds."""
    several = [row for row in rows if len(row.runs) > 1]
    if len(several) < 3:
        return None
    seeds = min(len(row.runs) for row in several)
    ends = np.array([[row.runs[seed].curves["plain"][-1] for row in several] for seed in range(seeds)])
    best = _best_third(np.array([row.true for row in several]))
    pairs = list(itertools.combinations(range(seeds), 2))
    return {
        "rows": len(several),
        "tau": fmean(tau(ends[one], ends[other]) for one, other in pairs),
        "tau_of_best_third": fmean(tau(ends[one][best], ends[other][best]) for one, other in pairs),
    }


def lasting(table: Table, longer: Table) -> dict[str, Any]:
    """Whether a lead lasts: the true values of the same configurations after a longer training on more images.

    Returns:
        ``rows`` that both have, ``tau`` between their true values (with its interval) and among the best third of the
        shorter; ``slope`` (with its interval): above 0 the longer training prefers larger nets than the shorter does;
        ``regret_of_best``: how far the best of the shorter is behind the best of the longer, after that.

    Raises:
        TableError: They share fewer than three rows, or a row has other parameters there.
    """
    others = {row.name: row for row in longer.rows}
    shared = [row for row in table.rows if row.name in others]
    if len(shared) < 3 or any(row.params != others[row.name].params for row in shared):
        raise TableError("--longer: expected a table with three rows or more of the same configurations")
    short = np.array([row.true for row in shared])
    late = np.array([others[row.name].true for row in shared])
    flops = np.log2([row.flops for row in shared])
    best = _best_third(short)
    samples = np.random.default_rng(0).integers(0, len(shared), (RESAMPLES, len(shared)))
    return {
        "rows": len(shared),
        "tau": tau(short, late),
        "tau_interval": _interval([tau(short[some], late[some]) for some in samples]),
        "tau_of_best_third": tau(short[best], late[best]),
        "slope": slope(late, short, flops),
        "slope_interval": _interval([slope(late[some], short[some], flops[some]) for some in samples]),
        "regret_of_best": float(late.max() - late[int(short.argmax())]),
    }


def _best_third(true: np.ndarray) -> np.ndarray:
    """The numbers of the best third of some rows, of two at least, by their true values ``(N,)``."""
    return np.argsort(-true)[: max(2, len(true) // 3)]


def _at(rows: Sequence[Row], value: str, part: int) -> np.ndarray:
    return np.array([row.runs[0].curves[value][part - 1] for row in rows])


def _interval(values: Sequence[float]) -> list[float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return [float(low), float(high)]
