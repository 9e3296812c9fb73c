"""Every picture that is drawn, once.

A plot takes arrays and names, and no record of ours.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.plotting.confusion_matrix import write_matrix_png as write_matrix_png
    from search.plotting.curves import write_curves as write_curves
    from search.plotting.image_grid import write_samples as write_samples

__getattr__ = lazily(
    __name__, confusion_matrix="write_matrix_png", curves="write_curves", image_grid="write_samples"
)
