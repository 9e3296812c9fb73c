"""What a race came to in sentences, and that there was none."""

from functools import partial

from search.exporting.preference import gap_words
from search.exporting.race import Race
from search.exporting.race_rule import COMPUTE_SHARE
from search.formatting import count, figure, percent
from search.metrics.preference import ACCURATE
from search.study.ending import can_race

# Why a race that was not decided ended.
ENDS = {
    "rounds": "it had all of its rounds",
    "compute": f"another would take more than {percent(COMPUTE_SHARE)} of the search's compute",
}


def race_sentences(race: Race, refit: bool) -> list[str]:
    """Who won the race, whether others may be as good, what the search had promised, and what the race took.

    Args:
        race: The race.
        refit: Whether its winner was then trained on all training images.
    """
    decided = _decision(race) if race.course.default is None else _beside_default(race)
    return [words for words in (_winner(race), decided, _promise(race), _expense(race, refit)) if words]


def no_race_sentence(why: str, *, is_default: bool) -> str:
    """That the exported configuration has not been compared with the default, and why."""
    what = (
        "Exported is the default configuration" if is_default else "What is exported may be no better than it"
    )
    return f"No race was run against the default configuration: {why}. {what}."


def _winner(race: Race) -> str:
    winner, metric = race.winner, race.config.metric
    spread = (
        "" if winner.deviation is None else f" (standard deviation {gap_words(metric, winner.deviation)})"
    )
    who, mean = f"the search's best {len(race.racers)} configurations", f"mean validation {metric}"
    if race.course.default is not None:
        who = f"{len(race.racers)} configurations, the default (trial {race.course.default}) among them"
    if can_race(race.config):
        images = "in folds dealt anew" if race.config.folds else "on images that no trial was ranked by"
        mean = f"mean {metric} {images}"
    by = f"has the best {mean}," if winner is race.most_accurate else f"is preferred, with a {mean} of"
    if race.course.default is not None:
        by = f"is chosen, with a {mean} of"
    long = f", {race.course.times:.2g} times as long as a trial," if race.course.times > 1 else ""
    text = (
        f"Race: of {who}, trained again{long} with the same seeds in {_rounds(race)}, trial {winner.trial.number} {by} "
        f"{figure(metric, winner.mean or 0.0)}{spread}"
    )
    if race.course.best is None:
        return f"{text}."
    if race.course.best == winner.trial.number:
        return f"{text}; it was the search's best, too."
    best = next((racer for racer in race.racers if racer.trial.number == race.course.best), None)
    before = "which did not race"
    if best is not None:
        before = "whose training diverged" if best.mean is None else f"which has {figure(metric, best.mean)}"
    return f"{text}; the search's best was trial {race.course.best}, {before}."


def _beside_default(race: Race) -> str:
    """Whether the default is exported; else by how much the exported configuration beats it, and how surely."""
    winner, gap = race.winner.trial.number, partial(gap_words, race.config.metric)
    if race.course.prefer != ACCURATE:
        ahead = race.advantage_of(winner)
        if winner == race.course.default or ahead is None:
            return "It is the default configuration." if winner == race.course.default else ""
        where = "ahead of" if ahead.gap >= 0 else "behind"
        return f"It is {gap(abs(ahead.gap))} {where} the default configuration (standard error {gap(ahead.error)})."
    if winner != race.course.default:
        ahead = race.advantage_of(winner)
        if ahead is None:
            return "The default configuration dropped out of the race."
        return (
            f"It is ahead of the default configuration by {gap(ahead.gap)} (standard error {gap(ahead.error)}), and by "
            f"{gap(ahead.shrunk)} when that is shrunk by its noise; the probability that it is better is "
            f"{percent(ahead.probability)}."
        )
    rivals = {racer.trial.number: race.advantage_of(racer.trial.number) for racer in race.racing}
    known = {number: ahead for number, ahead in rivals.items() if ahead is not None}
    if race.ended_because == "behind":
        return (
            f"Exported is the default configuration: after {_rounds(race)} none of the others was ahead of it, so that "
            "the race ended."
        )
    text = "Exported is the default configuration: none of those that have not dropped out is ahead of it"
    if not known:
        return f"{text}."
    best = max(known, key=lambda number: known[number].gap)
    behind = known[best]
    return f"{text}; trial {best} is {gap(abs(behind.gap))} behind, with a standard error of {gap(behind.error)}."


def _decision(race: Race) -> str:
    """Whether others may be as good; of one that is preferred though another is better there is nothing to decide."""
    if race.winner is not race.most_accurate:
        return ""
    others = [racer for racer in race.racing if racer is not race.winner]
    if not others:
        return f"The race is decided after {_rounds(race)}: all others have dropped out."
    *most, last = (
        f"trial {racer.trial.number} ({figure(race.config.metric, racer.mean or 0.0)})" for racer in others
    )
    named = f"{', '.join(most)} and {last}" if most else last
    return (
        f"The race is not decided: {named} may be as good; it ended after {_rounds(race)} because "
        f"{ENDS[race.ended_because]}."
    )


def _promise(race: Race) -> str:
    winner = race.winner
    if not winner.is_complete:
        return f"In the search trial {winner.trial.number} was pruned."
    more = race.shrinkage(winner) or 0.0
    better, metric = "better" if more >= 0 else "worse", race.config.metric
    return (
        f"In the search trial {winner.trial.number} had scored {figure(metric, winner.trial.value or 0.0)}, "
        f"{gap_words(metric, abs(more))} {better} than "
        "this mean; the search's values were selected for being good and do not count."
    )


def _expense(race: Race, refit: bool) -> str:
    what = f"Exported are the weights of its first seed, {race.seeds[0]}, as fixed before the race"
    if refit:
        what = "Exported is its configuration, trained once more on all training images"
    took = f"; the race took {percent(race.share)} of the search's compute" if race.share else ""
    return f"{what}{took}."


def _rounds(race: Race) -> str:
    return "one round" if len(race.seeds) == 1 else count(len(race.seeds), "round")
