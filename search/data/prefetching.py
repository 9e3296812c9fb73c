"""Backbones that are prepared in the cache before a study needs them."""

from pathlib import Path

from search.data.backbones import backbone_file, find_backbones
from search.data.base import Say, log_line
from search.data.cache import cache_root


def prefetch_backbones(backbones: list[str], *, cache: Path | None = None, say: Say = log_line) -> list[Path]:
    """Prepare backbones in the cache, where studies on this host, or on hosts that share the cache, find them.

    Args:
        backbones: Names of ``keras.applications``, whose weights Keras downloads, or paths of ``.keras`` files.
        cache: The folder of prepared images and backbones; by default ``cache_root()``.
        say: Takes lines for people.

    Returns:
        Their files in the cache.

    Raises:
        InputError: One of them cannot be used or downloaded.
    """
    folder = cache_root() if cache is None else cache
    prepared = [net for backbone in find_backbones(backbones, folder, say) for net in backbone.nets]
    for backbone in prepared:
        say(
            f"{backbone.name}: {backbone.parameters:,} parameters, {backbone.features:,} features an image, ready in "
            f"{backbone_file(folder, backbone.digest)}"
        )
    return [backbone_file(folder, backbone.digest) for backbone in prepared]
