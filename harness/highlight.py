"""A text with its tokens shaded by attention, as HTML without scripts: what a notebook shows of a head."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from harness.report import colours

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Highlighted:
    """tokens (n); attention and pattern (n, n), query x key, of the model's head and of its program."""

    tokens: tuple[str, ...]
    attention: np.ndarray = field(repr=False)
    pattern: np.ndarray = field(repr=False)
    queries: int = 3  # how many are shown

    def chosen(self) -> list[int]:
        """The queries that are shown, in the order of the text: spread from where both agree most to where they agree least."""
        import numpy as np

        apart = np.abs(self.attention - self.pattern).sum(-1)
        order = np.argsort(apart[1:], kind="stable") + 1 if len(apart) > 1 else np.array([0])
        at = np.linspace(0, len(order) - 1, min(self.queries, len(order))).round().astype(int)
        return sorted({int(order[i]) for i in at})

    def row(self, query: int) -> str:
        """HTML of one query: the text twice, shaded by the head's attention and by the program's."""
        lines = []
        for name, matrix in (("head", self.attention), ("program", self.pattern)):
            shaded = "".join(self._token(i, float(matrix[query, i]), i == query) for i in range(len(self.tokens)))
            lines.append(f'<div style="margin:2px 0"><small style="display:inline-block;width:5em">{name}</small>{shaded}</div>')
        return "".join(lines)

    def _token(self, at: int, weight: float, is_query: bool) -> str:
        ground = colours.at(colours.sequential(False), max(weight, 0) ** 0.5)
        ink = "#14181d" if colours.is_light(ground) else "#ffffff"
        frame = ";outline:1px solid #c2580a" if is_query else ""
        text = escape(self.tokens[at]).replace("\n", "↵").replace(" ", "&nbsp;", 1)
        return f'<span title="{weight:.3f}" style="background:{ground};color:{ink}{frame}">{text}</span>'

    def _repr_html_(self) -> str:
        rows = "".join(f'<div style="margin:6px 0">{self.row(query)}</div>' for query in self.chosen())
        return f'<div style="font-family:monospace;line-height:1.7">{rows}</div>'

    def widget(self) -> object:
        """The same with a slider for the query. Raises ImportError without ipywidgets."""
        import ipywidgets

        def draw(query: int) -> object:
            from IPython.display import HTML

            return HTML(self.row(query))

        return ipywidgets.interactive(draw, query=(0, len(self.tokens) - 1))
