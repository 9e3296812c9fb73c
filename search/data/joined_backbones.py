"""Backbones joined: the features of several, or of one at several sizes, side by side.

What nets see at different sizes, or have learnt differently, tells more together. One is asked for as
``net.keras@224+net.keras@288``, or with another net's file or name in each part. It has no file of its own: hosts bring
those of its parts.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Sequence

from search.errors import InputError
from spaces.contract import Backbone

BETWEEN, AT = "+", "@"
_JOINT, _SIZE = f" {BETWEEN} ", " at "
_ONE = r"(.+?)@(\d+)"
_ALL = re.compile(rf"{_ONE}(?:\+{_ONE})+")
_EACH = re.compile(rf"{_ONE}(?:\+|$)")


def split_joined(requested: str) -> list[tuple[str, int]]:
    """The parts of a request, each with the side in pixels at which it sees the images; empty where it is of one."""
    if not _ALL.fullmatch(requested):
        return []
    return [(name, int(side)) for name, side in _EACH.findall(requested)]


def join(parts: Sequence[Backbone]) -> Backbone:
    """One backbone that gives the features of several side by side.

    Args:
        parts: Each with the side ``at`` which it sees the images.

    Raises:
        InputError: One of them cannot see images of its size, or is there twice.
    """
    said = BETWEEN.join(f"{part.said}{AT}{part.at}" for part in parts)
    for part in parts:
        if part.side not in (0, part.at) or part.at < part.least:
            takes = f"of {part.side}x{part.side} alone" if part.side else f"of {part.least} pixels or more"
            raise InputError(
                f"--backbone {said}: {part.name} takes images {takes}; pass that in place of @{part.at}"
            )
    content = [f"{part.digest}{AT}{part.at}" for part in parts]
    if len(set(content)) < len(content):
        raise InputError(
            f"--backbone {said}: the same net at the same size twice; leave one out, or give other sizes"
        )
    nets = {part.digest: part.parameters for part in parts}
    return Backbone(
        name=_JOINT.join(label_of(part.name, part.at) for part in parts),
        said=said,
        digest=hashlib.sha256(BETWEEN.join(content).encode()).hexdigest()[:32],
        features=sum(part.features for part in parts),
        parameters=sum(nets.values()),
        side=max(part.at for part in parts),
        parts=tuple(dataclasses.replace(part, side=0, least=0) for part in parts),
    )


def told_apart(labels: Iterable[str]) -> list[str]:
    """Labels as ``label_of`` makes them, and those of joined ones, by their sizes alone where all are of one net."""
    labels = list(labels)
    name, *others = nets_of(labels)
    return labels if others else [label.replace(f"{name} ", "") for label in labels]


def nets_of(labels: Iterable[str]) -> set[str]:
    """The names of the nets in labels as ``label_of`` makes them, and in those of joined ones."""
    return {one.rpartition(_SIZE)[0] or one for label in labels for one in label.split(_JOINT)}


def label_of(name: str, size: int | str | None = None) -> str:
    """What a backbone is called where the size says which is meant: ``net at 224``."""
    return name if size is None else f"{name}{_SIZE}{size}"
