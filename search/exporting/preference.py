"""Which trial or racer ``--prefer`` exports, and what that costs; its rules are in ``search.metrics.preference``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.formatting import count, figure, is_share, metric_words, percent, si_units
from search.metrics.preference import ACCURATE, BALANCED, Priced, preferred, within_reach
from search.study.prices import Prices, in_one_view, of_what

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig
    from search.study.study import LoadedStudy


@dataclass(frozen=True)
class Preference:
    """What was preferred of some nets.

    Attributes:
        what: ``accurate``, ``balanced`` or ``small``.
        nets: All that there was to choose from.
        best: The one with the best value.
        chosen: The one that is exported.
        error: One standard error of the best one's value, or of a difference from it; None where it is not known.
        config: The study's settings.
        who: What the nets are called: ``trial`` or, after a race, ``racer``.
    """

    what: str
    nets: Sequence[Priced]
    best: Priced
    chosen: Priced
    error: float | None
    config: "StudyConfig"
    who: str = "trial"

    @property
    def sentence(self) -> str:
        """What was preferred and what it cost; of the most accurate whether a cheaper one is as good by chance."""
        if self.what == ACCURATE:
            return self._cheaper()
        rule = "two points" if self.what != BALANCED else self._one_error
        head = f"Preferred is {self.what} (--prefer)"
        if self.what == BALANCED and self.error is None:
            noise = f"the noise of {metric_words(self.config.metric)}"
            return f"{head}, but {noise} is not known here: exported is the best."
        near = within_reach(self.nets, self.best, self.what, self.error, lower_is_better=self._lower)
        if self.chosen is self.best:
            what = self._least.replace("the fewest", "fewer")
            return (
                f"{head}: no {self.who} within {rule} of the best one, trial {self.best.number}, has {what}."
            )
        return (
            f"{head}: of {count(len(near), self.who)} within {rule} of the best one, trial {self.best.number} "
            f"({figure(self.config.metric, self.best.value)}), trial {self.chosen.number} has {self._least}. "
            f"{self._costs()}"
        )

    @property
    def _lower(self) -> bool:
        return self.config.metric == "loss"

    @property
    def _one_error(self) -> str:
        return f"one standard error ({gap_words(self.config.metric, self.error or 0.0)})"

    @property
    def _least(self) -> str:
        by_parameters = self.what != BALANCED or self.best.flops is None
        return f"the fewest {'parameters' if by_parameters else self._operations}"

    @property
    def _operations(self) -> str:
        return " ".join(filter(None, ("operations", of_what(self.config))))

    def _costs(self) -> str:
        """What the chosen one has in place of the best one, and what is lost."""
        parts = [f"{si_units(self.chosen.parameters)} parameters instead of {si_units(self.best.parameters)}"]
        if self.chosen.flops is not None and self.best.flops:
            of = of_what(self.config)
            parts.insert(
                0,
                f"{si_units(self.chosen.flops, 'FLOP')} an image instead of {si_units(self.best.flops, 'FLOP')} "
                f"({percent(self.chosen.flops / self.best.flops)}{of and f', {of}'}{in_one_view(self.config)})",
            )
        lost = abs(self.best.value - self.chosen.value)
        return (
            f"It has {' and '.join(parts)}, and costs {gap_words(self.config.metric, lost)} of validation "
            f"{metric_words(self.config.metric)} ({figure(self.config.metric, self.chosen.value)})."
        )

    def _cheaper(self) -> str:
        """That another would do, where one would."""
        other = preferred(self.nets, self.best, BALANCED, self.error, lower_is_better=self._lower)
        if other is self.chosen or other.cost[0] >= self.chosen.cost[0] or not self.chosen.cost[0]:
            return ""
        what = "parameters" if other.flops is None else self._operations
        return (
            f"Trial {other.number} is within {self._one_error} of the best with "
            f"{percent(other.cost[0] / self.chosen.cost[0])} of the {what} of what is exported: --prefer balanced "
            "exports that."
        )


def gap_words(metric: str, gap: float) -> str:
    """A difference of two values: ``0.6 points`` of a share, else ``0.0061``."""
    return f"{100 * gap:.1f} points" if is_share(metric) else f"{gap:.4f}"


def prefer(loaded: "LoadedStudy", trials: "Sequence[FrozenTrial]", what: str) -> Preference | None:
    """What is preferred of some trials by what they scored in the search.

    Args:
        loaded: The open study.
        trials: Complete ones, best first.
        what: One of ``search.metrics.preference.PREFERENCES``.

    Returns:
        The preference; None where the costs of the best are not known.
    """
    prices = Prices(loaded)
    nets = prices.of(trials)
    if not nets or nets[0].number != trials[0].number:
        return None
    best = nets[0]
    chosen = preferred(nets, best, what, best.error, lower_is_better=prices.lower_is_better)
    return Preference(what, nets, best, chosen, best.error, loaded.config)
