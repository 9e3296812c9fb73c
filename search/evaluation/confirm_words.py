"""What a race came to: figures for ``summary.json``, and sentences."""

from typing import Any

from search.evaluation.fit import percent
from search.evaluation.race import ROUNDS, SHARE
from search.evaluation.racers import Race, Racer

# Why a race that was not decided ended.
ENDS = {
    "rounds": f"a race has at most {ROUNDS}",
    "compute": f"another would take more than {percent(SHARE)} of the search's compute",
}


def race_figures(race: Race) -> dict[str, Any]:
    """The race for ``summary.json``."""
    winner = race.winner
    return {
        "winner": winner.trial.number,
        "decided": race.why == "decided",
        "ended_because": race.why,
        "metric": race.config.metric,
        "mean": winner.mean,
        "standard_deviation": winner.deviation,
        "rounds": len(race.seeds),
        "seeds": list(race.seeds),
        "seed_of_the_weights": race.seeds[0],
        "compute": race.compute,
        "search_compute": race.search_compute,
        "share_of_search_compute": race.compute / race.search_compute,
        "configurations": [racer_figures(race, racer) for racer in race.racers],
    }


def racer_figures(race: Race, racer: Racer) -> dict[str, Any]:
    """One configuration."""
    return {
        "trial": racer.trial.number,
        "values": [run.value for run in racer.runs],
        "mean": racer.mean,
        "standard_deviation": racer.deviation,
        "search_value": racer.trial.value,
        "shrinkage": shrinkage(race, racer),
        "dropped_after_round": len(racer.runs) if racer.dropped else None,
        "why_dropped": racer.dropped or None,
        "params": racer.trial.user_attrs["params"],
    }


def shrinkage(race: Race, racer: Racer) -> float | None:
    """How much better its own value in the search was than the mean of its fresh trainings; below zero where worse."""
    if racer.mean is None or racer.trial.value is None:
        return None
    more = racer.trial.value - racer.mean
    return -more if race.config.metric == "loss" else more


def race_words(race: Race, refit: bool) -> list[str]:
    """The sentences.

    Args:
        race: Over.
        refit: Whether the winner was then trained anew on all training images.
    """
    return [won(race), open_or_not(race), promised(race), spent(race, refit)]


def won(race: Race) -> str:
    """Who, of whom, by what."""
    winner, best = race.winner, race.racers[0]
    spread = "" if winner.deviation is None else f" (standard deviation {winner.deviation:.4f})"
    text = (
        f"Race: of the search's best {len(race.racers)} configurations, trained anew with the same seeds in "
        f"{rounds(len(race.seeds))}, trial {winner.trial.number} has the best mean validation {race.config.metric}, "
        f"{winner.mean:.4f}{spread}"
    )
    if best is winner:
        return f"{text}; it was the search's best, too."
    before = "whose training diverged" if best.mean is None else f"which has {best.mean:.4f}"
    return f"{text}; the search's best was trial {best.trial.number}, {before}."


def open_or_not(race: Race) -> str:
    """Whether others may be as good."""
    winner = race.winner
    others = [racer for racer in race.racing if racer is not winner]
    if not others:
        return f"The race is decided after {rounds(len(race.seeds))}: all others have dropped out."
    *most, last = (f"trial {racer.trial.number} ({racer.mean:.4f})" for racer in others)
    named = f"{', '.join(most)} and {last}" if most else last
    return (
        f"The race is not decided: {named} may be as good; it ended after {rounds(len(race.seeds))} because "
        f"{ENDS[race.why]}."
    )


def promised(race: Race) -> str:
    """What the search's own value was worth."""
    winner = race.winner
    more = shrinkage(race, winner) or 0.0
    better = "better" if more >= 0 else "worse"
    return (
        f"In the search trial {winner.trial.number} had scored {winner.trial.value:.4f}, {abs(more):.4f} {better} than "
        "this mean; the search's values were selected for being good and do not count."
    )


def spent(race: Race, refit: bool) -> str:
    """What is exported, and what the race took."""
    what = f"Exported are the weights of its first seed, {race.seeds[0]}, as fixed before the race"
    if refit:
        what = "Exported is its configuration, trained once more on all training images"
    return f"{what}; the race took {percent(race.compute / race.search_compute)} of the search's compute."


def rounds(count: int) -> str:
    """A number of rounds in words."""
    return "one round" if count == 1 else f"{count} rounds"
