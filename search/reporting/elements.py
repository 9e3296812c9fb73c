"""What a page of the report is made of. The template knows how each of these elements is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

# At the start of every report: a file without it is somebody's own, and not overwritten.
MARK = "keras-image-search report"
Cell: TypeAlias = "str | int | Bar"
Rows: TypeAlias = "list[list[Cell]]"


@dataclass(frozen=True)
class Text:
    """A paragraph; a ``note`` is one of less weight, a ``warning`` must not be overlooked."""

    text: str
    kind: str = "plain"
    template: str = "text"


@dataclass(frozen=True)
class Tiles:
    """The few figures that a reader came for: of each its name, its value, and the line under it."""

    tiles: Sequence[tuple[str, str, str]]
    template: str = "tiles"


@dataclass(frozen=True)
class Bar:
    """A cell with a bar beside its text; ``share`` is the bar's length, 0 to 1."""

    text: str
    share: float


@dataclass(frozen=True)
class Table:
    """A table, whose rows are named by their first cell.

    Attributes:
        caption: What it shows.
        head: Names of the columns.
        rows: As many cells each.
        text_columns: Numbers of the columns, from 0, that hold text and not figures.
        collapsed: Whether it is shown only when asked for.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    text_columns: Sequence[int] = ()
    collapsed: bool = False
    template: str = "table"


class MatrixCell(NamedTuple):
    """A cell of a confusion matrix.

    Attributes:
        images: How many.
        share: Its share of the true class, in words; empty of none.
        shade: How dark it is, 0 to 6.
    """

    images: int
    share: str
    shade: int


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix as a table.

    Attributes:
        caption: What it shows.
        classes: Names, in the order of rows (true) and columns (predicted).
        rows: A row for each true class.
    """

    caption: str
    classes: Sequence[str]
    rows: Sequence[Sequence[MatrixCell]]
    template: str = "matrix"


@dataclass(frozen=True)
class Picture:
    """A PNG.

    Attributes:
        data: The file's bytes, base64.
        alt: What it shows, for those who do not see it.
        caption: Under it.
        width: In pixels, so that nothing moves while the page is drawn.
        height: In pixels.
    """

    data: str
    alt: str
    caption: str
    width: int
    height: int
    template: str = "picture"


@dataclass(frozen=True)
class Chart:
    """A drawing in the page's own colours, so that it can be read in light and dark.

    Attributes:
        svg: The drawing, an ``<svg>`` element.
        caption: Under it.
        wide: Whether it is as wide as the page; others stand side by side.
    """

    svg: str
    caption: str
    wide: bool = True
    template: str = "chart"


@dataclass(frozen=True)
class Charts:
    """Small drawings side by side."""

    charts: Sequence[Chart]
    template: str = "charts"


@dataclass(frozen=True)
class Code:
    """Lines to copy, such as commands; ``label`` says what they do."""

    label: str
    text: str
    template: str = "code"


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str
    template: str = "heading"


Block: TypeAlias = Text | Tiles | Table | Matrix | Picture | Chart | Charts | Code | Heading


@dataclass(frozen=True)
class Section:
    """A part of the page; ``name`` is its address within the page."""

    name: str
    title: str
    blocks: Sequence[Block] = field(default_factory=list)
