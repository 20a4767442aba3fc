"""Small attention maps in a terminal: colour with half blocks, or plain characters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, TextIO

from harness.report import colours

if TYPE_CHECKING:
    import numpy as np

SHADES = " .:-=+*#%@"
MOST_ROWS = 32  # of a map: two maps, the space between them and the queries' tokens fit 80 columns
LABEL = 11  # columns for the query's token, a space included
LETTERS = 3  # of a key's token above its column
GAP = 4
TERMINAL_LEVELS = (0, 95, 135, 175, 215, 255)  # of the 6 x 6 x 6 cube in 256 colours


def style_of(stream: TextIO) -> str:
    """How to draw on a stream: "truecolor", "256" or "plain".

    Plain unless it is a terminal that shows colour (https://no-color.org).
    """
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return "plain"
    if "utf" not in (stream.encoding or "").lower():
        return "plain"
    return "truecolor" if os.environ.get("COLORTERM", "") in ("truecolor", "24bit") else "256"


def side_by_side(matrices: Sequence[tuple[str, np.ndarray]], style: str, tokens: Sequence[str]) -> list[str]:
    """Lines that show (title, (n, n) weights from 0 to 1) beside each other, the first MOST_ROWS queries and keys of each.

    tokens: of the text; left of each row stands its query's token (where a line holds two rows, both), above each column the first
    letters of its key's. Shades go by the square root of the weight, so that small weights stay visible.
    """
    n = min(len(tokens), MOST_ROWS)
    named = [visible(t) for t in tokens[:n]]
    maps = [
        plain(m[:MOST_ROWS, :MOST_ROWS]) if style == "plain" else coloured(m[:MOST_ROWS, :MOST_ROWS], style) for _, m in matrices
    ]
    widths = [min(len(m), MOST_ROWS) for _, m in matrices]
    space = " " * GAP
    titles = space.join(title[:width].ljust(width) for (title, _), width in zip(matrices, widths, strict=True))
    keys = ["".join(t[i : i + 1] or " " for t in named) for i in range(LETTERS)]
    if style == "plain":
        queries = [t[: LABEL - 1].ljust(LABEL) for t in named]
    else:
        half = (LABEL - 2) // 2
        pairs = [(named[i], named[i + 1] if i + 1 < n else "") for i in range(0, n, 2)]
        queries = [(f"{a[:half]}/{b[:half]}" if b else a[: LABEL - 1]).ljust(LABEL) for a, b in pairs]
    margin = " " * LABEL
    return [
        (margin + titles).rstrip(),
        *((margin + space.join([line.ljust(n)] * len(maps))).rstrip() for line in keys),
        *((label + space.join(row)).rstrip() for label, row in zip(queries, zip(*maps, strict=True), strict=True)),
    ]


def visible(token: str) -> str:
    """A token as it stands in a map: without the space before it, white space as signs.

    >>> visible(" the"), visible("\\n"), visible(" ")
    ('the', '↵', '·')
    """
    bare = token.removeprefix(" ") or token
    return bare.replace("\n", "↵").replace("\t", "→").replace(" ", "·").replace("\r", "↵")


def plain(matrix: np.ndarray) -> list[str]:
    """One character for each cell."""
    return ["".join(SHADES[min(int(sqrt(max(float(v), 0)) * len(SHADES)), len(SHADES) - 1)] for v in row) for row in matrix]


def coloured(matrix: np.ndarray, style: str) -> list[str]:
    """Two rows of cells in each line: the upper half block in the one's colour on the other's."""
    ramp = colours.sequential(True)
    lines = []
    for q in range(0, len(matrix), 2):
        below = matrix[q + 1] if q + 1 < len(matrix) else None
        cells = []
        for k, value in enumerate(matrix[q]):
            upper = _code(38, colours.at(ramp, sqrt(max(float(value), 0))), style)
            lower = "" if below is None else ";" + _code(48, colours.at(ramp, sqrt(max(float(below[k]), 0))), style)
            cells.append(f"\x1b[{upper}{lower}m▀")
        lines.append("".join(cells) + "\x1b[0m")
    return lines


def _code(ground: int, colour: str, style: str) -> str:
    """The parameters of the escape sequence; ground 38 is the text's colour, 48 the one behind it."""
    red, green, blue = colours.rgb(colour)
    if style == "truecolor":
        return f"{ground};2;{red};{green};{blue}"
    near = [min(range(6), key=lambda i: abs(TERMINAL_LEVELS[i] - v)) for v in (red, green, blue)]
    return f"{ground};5;{16 + 36 * near[0] + 6 * near[1] + near[2]}"
