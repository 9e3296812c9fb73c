"""What a user's function that makes a model is given: it has the methods of Optuna's trial and of KerasTuner's ``hp``.

Both styles ask for one value after another, so that one object has them all, and nothing needs to guess which style a
function is written in. Where the values come from is left to whoever makes the object.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

# Gives the value of a parameter: its name, the kind of it (``int``, ``float`` or ``categorical``), and the arguments
# that ``suggest_int`` and its like take.
Give = Callable[[str, str, dict[str, Any]], Any]

PLAIN = (str, int, float, bool, type(None))


class Hyperparameters:
    """Asks for the values of a model's parameters, each once.

    Whoever asks again for the same gets the same. Who asks for something else by a name that is taken is told so: the
    value that the name has may lie outside of what is asked for now.

    Args:
        give: Gives a value.

    Attributes:
        values: The values so far, by name.
    """

    def __init__(self, give: Give) -> None:
        self.values: dict[str, Any] = {}
        self._give = give
        self._asked: dict[str, tuple[str, dict[str, Any]]] = {}
        self._scopes: list[str] = []
        self._active: list[bool] = []

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{name}: a function that makes a model can ask for values alone; expected suggest_int, suggest_float or "
            "suggest_categorical, or Int, Float, Choice, Boolean or Fixed"
        )

    # Optuna's.

    @property
    def params(self) -> dict[str, Any]:
        """The values so far, by name."""
        return dict(self.values)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number from ``low`` to ``high``."""
        whole = {"low": _whole(name, low), "high": _whole(name, high), "step": _whole(name, step)}
        return int(self._ask(name, "int", {**whole, "log": bool(log)}))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number from ``low`` to ``high``."""
        numbers = {"low": float(low), "high": float(high), "step": None if step is None else float(step)}
        return float(self._ask(name, "float", {**numbers, "log": bool(log)}))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of ``choices``, which are text, numbers, true or false, or None."""
        plain = [choice.item() if hasattr(choice, "item") else choice for choice in choices]
        for choice in plain:
            if not isinstance(choice, PLAIN):
                raise ValueError(
                    f"{name}: {choice!r:.80} is no plain choice; expected text, numbers, true or false, or None"
                )
            if isinstance(choice, float) and not math.isfinite(choice):  # No database keeps such a number.
                raise ValueError(
                    f"{name}: the choice {choice} cannot be stored; expected finite numbers, or None"
                )
        return self._ask(name, "categorical", {"choices": plain})

    # KerasTuner's.

    def Int(  # noqa: N802
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str = "linear",
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> int | None:
        """A whole number; None where the conditions around it are not met, as of all that follow."""
        with self._perhaps(parent_name, parent_values) as active:
            log, name = _is_log(name, sampling), self._scoped(name)
            low, high = _whole(name, min_value), _whole(name, max_value)
            if not active:
                return None
            if log and step is not None:
                return int(self.suggest_categorical(name, _powers(name, low, high, _whole(name, step))))
            step = _whole(name, step or 1)
            return self.suggest_int(name, low, low + (high - low) // step * step, step=step, log=log)

    def Float(  # noqa: N802
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str = "linear",
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> float | None:
        """A number."""
        with self._perhaps(parent_name, parent_values) as active:
            log, name = _is_log(name, sampling), self._scoped(name)
            if not active:
                return None
            if step is None:
                return self.suggest_float(name, min_value, max_value, log=log)
            if log:
                return float(self.suggest_categorical(name, _powers(name, min_value, max_value, step)))
            steps = math.floor((max_value - min_value) / step + 1e-9)
            return self.suggest_float(name, min_value, min_value + steps * step, step=step)

    def Choice(  # noqa: N802
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """One of ``values``."""
        with self._perhaps(parent_name, parent_values) as active:
            return self.suggest_categorical(self._scoped(name), values) if active else None

    def Boolean(  # noqa: N802
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> bool | None:
        """True or false."""
        return self.Choice(name, (False, True), None, default, parent_name, parent_values)  # type: ignore[no-any-return]

    def Fixed(  # noqa: N802
        self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """This value, which is not searched."""
        with self._perhaps(parent_name, parent_values) as active:
            if not active:
                return None
            name = self._scoped(name)
            self._check_again(name, "fixed", {"value": value})
            return self.values.setdefault(name, value)

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Within the block parameters are searched only where another, asked for before, has one of these values."""
        parent = self._scoped(parent_name)
        if parent not in self.values and all(self._active):
            raise ValueError(f"conditional_scope: {parent} has not been asked for before")
        wanted = parent_values if isinstance(parent_values, list | tuple) else [parent_values]
        self._active.append(self.values.get(parent) in wanted)
        try:
            yield
        finally:
            self._active.pop()

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Within the block the names of parameters begin with this one."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def get(self, name: str) -> Any:
        """The value that a parameter has.

        Raises:
            KeyError: It has none.
        """
        return self.values[self._scoped(name)]

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        return self._scoped(name) in self.values

    @contextmanager
    def _perhaps(self, parent: str | None, values: Any) -> Iterator[bool]:
        if parent is None:
            yield all(self._active)
            return
        with self.conditional_scope(parent, values):
            yield all(self._active)

    def _scoped(self, name: str) -> str:
        return "/".join([*self._scopes, name])

    def _check_again(self, name: str, kind: str, arguments: dict[str, Any]) -> None:
        """Refuse a name that is taken by something else.

        Raises:
            ValueError: It was asked for before as another kind, or with other arguments.
        """
        before = self._asked.setdefault(name, (kind, arguments))
        if before != (kind, arguments):
            raise ValueError(
                f"{name}: asked for before as {_in_words(*before)}, and now as {_in_words(kind, arguments)}; give each "
                "a name of its own"
            )

    def _ask(self, name: str, kind: str, arguments: dict[str, Any]) -> Any:
        self._check_again(name, kind, arguments)
        if name not in self.values:
            self.values[name] = self._give(name, kind, arguments)
        return self.values[name]


def given_by(params: Mapping[str, Any]) -> Give:
    """What gives the values that a configuration has, so that its model is made once more."""

    def give(name: str, kind: str, arguments: dict[str, Any]) -> Any:
        if name not in params:
            raise ValueError(
                f"{name} was not asked for when this configuration was sampled: the function depends on something "
                "beside its values"
            )
        return params[name]

    return give


def _in_words(kind: str, arguments: Mapping[str, Any]) -> str:
    """What is asked for, for a person: ``int from 2 to 6``, ``one of [8, 16]``."""
    if kind == "categorical":
        return f"one of {arguments['choices']!r:.80}"
    if kind == "fixed":
        return f"the fixed {arguments['value']!r:.80}"
    step = f" in steps of {arguments['step']}" if arguments["step"] not in (None, 1) else ""
    log = ", logarithmic" if arguments["log"] else ""
    return f"{kind} from {arguments['low']} to {arguments['high']}{step}{log}"


def _whole(name: str, value: Any) -> int:
    if int(value) != value:
        raise ValueError(f"{name}: {value!r} is no whole number")
    return int(value)


def _is_log(name: str, sampling: str) -> bool:
    word = str(sampling).lower()
    if word not in ("linear", "log"):
        raise ValueError(f"{name}: sampling {sampling!r}: expected linear or log")
    return word == "log"


def _powers(name: str, low: Any, high: Any, step: Any) -> list[Any]:
    """``low``, ``low * step``, ``low * step * step`` and so on, up to ``high``."""
    if low <= 0 or step <= 1 or high < low:
        raise ValueError(
            f"{name}: from {low} to {high} by the factor {step}: expected a range above 0 and a factor above 1"
        )
    count = math.floor(math.log(high / low, step) + 1e-9) + 1
    return [low * step**power for power in range(count)]
