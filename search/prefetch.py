"""``python -m search.prefetch``: fetch pretrained backbones ahead, on the node that has a network."""

from pathlib import Path
from typing import Annotated

import typer

from search.command import main, make_app
from search.flags import Cache


def prefetch_backbones(backbones: list[str], *, cache: Path | None = None) -> list[Path]:
    """Make backbones ready in the cache, where studies on this host (or on hosts that share the cache) find them.

    Args:
        backbones: Names of ``keras.applications``, whose weights Keras downloads, or ``.keras`` files.
        cache: The folder; by default the user's cache.

    Returns:
        Their files.

    Raises:
        InputError: One cannot be used, or not be downloaded.
    """
    from search.data import cache_root
    from search.data.backbones import backbone_file, find_backbones

    place = cache_root() if cache is None else cache
    found = find_backbones(backbones, place)
    for backbone in found:
        print(
            f"{backbone.name}: {backbone.parameters:,} parameters, {backbone.features:,} features an image, ready in "
            f"{backbone_file(place, backbone.digest)}"
        )
    return [backbone_file(place, backbone.digest) for backbone in found]


def prefetch(
    backbones: Annotated[
        list[str],
        typer.Option(
            "--backbone", metavar="NAME|FILE", help="Of keras.applications, or a .keras file; repeatable."
        ),
    ],
    cache: Cache = None,
) -> None:
    """Make pretrained backbones ready: Keras downloads the weights once, into the cache.

    Run it where there is a network; studies on nodes without one then find them, if they share the cache.
    """
    prefetch_backbones(backbones, cache=cache)


app = make_app(
    prefetch,
    example="""
python -m search.prefetch --backbone MobileNetV2 --backbone EfficientNetV2B0
python -m search.prefetch --backbone net.keras --cache /mnt/shared/cache
""",
)

if __name__ == "__main__":
    main(app)
