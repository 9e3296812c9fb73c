"""``python -m search.prefetch``: fetch pretrained backbones ahead, on the node that has a network."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.app import main, make_app
from search.cli.options import flag_for
from search.config.host_settings import CacheSettings


def prefetch(
    backbones: Annotated[
        list[str],
        typer.Option(
            "--backbone",
            metavar="NAME|FILE",
            help="A name of keras.applications, a .keras file, or keras_hub:PRESET; repeatable.",
        ),
    ],
    cache: Annotated[Path | None, flag_for(CacheSettings, "cache")] = None,
) -> None:
    """Make pretrained backbones ready: Keras downloads the weights once, into the cache.

    Run it where there is a network; studies on nodes without one then find them, if they share the cache.
    """
    from search.data.prefetching import prefetch_backbones

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
