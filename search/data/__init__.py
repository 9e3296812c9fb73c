"""Images and labels, decoded once into a cache and opened from it ever after.

A source (``base.Source``) is a folder of photographs (``layout`` says what its folders are), a table of them, arrays,
an .npz file or a standard data set; a new one is a file here and a branch in ``preparation``. An ``archive`` is
unpacked to a folder. ``splits``, ``folds`` and ``groups`` divide the training images, ``duplicates`` finds those that
are there twice, ``backbones`` makes pretrained nets ready. Training images lie apart from test images, which only an
export opens.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.data.cache import cache_root as cache_root
    from search.data.dataset import Dataset as Dataset
    from search.data.dataset import open_dataset as open_dataset
    from search.data.folds import fold as fold
    from search.data.folds import training_split as training_split
    from search.data.preparation import prepare as prepare
    from search.data.splits import Split as Split
    from search.data.splits import split as split

__getattr__ = lazily(
    __name__,
    cache="cache_root",
    dataset="Dataset open_dataset",
    folds="fold training_split",
    preparation="prepare",
    splits="Split split",
)
