"""What is asked of a sweep: what it varies, and around which base."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.config.option import options_of
from search.config.settings import RunOptions, SweepOptions
from search.errors import InputError
from search.presets import PRESETS
from search.study.compatibility import check_kind
from search.study.finding import find_study, load_study
from search.study.sweep_cells import SWEEP, Sweep
from spaces.notebook_nets import notebook_nets


def ask_for_sweep(options: SweepOptions) -> tuple[Sweep, RunOptions]:
    """Work out the sweep that is asked for, and what is asked of its study.

    What is not asked for comes, for a new study, from its preset.

    Raises:
        InputError: There is no such base, or it is of another space, or the study is there and no sweep.
    """
    found = find_study(options.study, options.storage, options.root)
    if found is not None:
        check_kind(found, sweep=True)
    vary, base = options.vary, options.base
    preset = PRESETS.get(options.preset or options.study)
    if preset is not None and (found is None or options.preset is not None):
        vary, base = vary or preset.vary, base or preset.base
    shared = {field.name for field, _ in options_of(RunOptions)} & options.requested
    asked: dict[str, Any] = {name: getattr(options, name) for name in shared - {"out"}}
    values = None
    if base is not None and (found is None or SWEEP not in found.optuna.user_attrs):
        of_base, values = find_base(base, options.storage, options.root)
        if asked.setdefault("space", of_base) != of_base:
            raise InputError(
                f"--space {options.space}: --base {base} is of space {of_base}; leave one of the two out"
            )
    if (options.base or "").startswith("study:") and not options.backbones:
        asked = {**asked, **_backbones(options, asked)}
    sweep = Sweep(dict(vary or {}), options.repeat, base, values)
    return sweep, RunOptions.given(**asked, sampler="random", pruner="none", length="epochs")


def find_base(base: str, storage: str | None, root: Path) -> tuple[str, Mapping[str, Any] | None]:
    """The space of a base and its values; None for the space's own default.

    Raises:
        InputError: There is no such base.
    """
    kind, _, name = base.partition(":")
    if kind == "study" and name:
        try:
            loaded = load_study(name, storage, root)
        except InputError as error:
            raise InputError(str(error).replace("--study ", "--base study:", 1)) from None
        ranked = loaded.ranked()
        if not ranked:
            raise InputError(
                f"--base {base}: no trial of that study has finished yet; run it first, or give another base"
            )
        return loaded.config.space, ranked[0].params
    nets, net = notebook_nets(), base.replace("-", " ").replace("_", " ")
    if net in nets:
        return "cnn_wide", nets[net][1]
    if base in PRESETS:
        own = PRESETS[base]
        return find_base(own.base, storage, root) if own.base else (own.space, None)
    raise InputError(
        f"--base {base!r}: expected a net of the notebooks ({', '.join(nets)}), a preset "
        f"({', '.join(sorted(PRESETS))}), or study:NAME"
    )


def _backbones(options: SweepOptions, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The backbones of the study that a sweep is made around, and the size at which they take its images."""
    config = load_study(str(options.base).partition(":")[2], options.storage, options.root).config
    if not config.backbones:
        return {}
    return {
        "backbones": tuple(backbone.said for backbone in config.backbones),
        "image_size": asked.get("image_size", config.image_size),
    }
