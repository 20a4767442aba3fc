"""Small static SVG documents for papers: plain shapes and text, colours that print, no script, no font to install."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import floor, log10
from xml.sax.saxutils import escape, quoteattr

FONT = "Helvetica, Arial, sans-serif"
MONO = "Menlo, Consolas, DejaVu Sans Mono, monospace"
INK, MUTED, LINE = "#1a2027", "#5b6672", "#dde2e8"


@dataclass
class Drawing:
    """Shapes of a picture `width` x `height`, in the order they are drawn."""

    width: float
    height: float
    title: str
    shapes: list[str] = field(default_factory=list)

    def rect(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        self._add("rect", x=x, y=y, width=width, height=height, fill=fill)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1.5, dash: str = "") -> None:
        path = " ".join(f"{_short(x)},{_short(y)}" for x, y in points)
        self._add(
            "polyline", points=path, fill="none", stroke=colour, stroke_width=width, **({"stroke_dasharray": dash} if dash else {})
        )

    def polygon(self, points: Sequence[tuple[float, float]], fill: str, opacity: float) -> None:
        self._add("polygon", points=" ".join(f"{_short(x)},{_short(y)}" for x, y in points), fill=fill, fill_opacity=opacity)

    def dot(self, x: float, y: float, fill: str, radius: float = 2.6) -> None:
        self._add("circle", cx=x, cy=y, r=radius, fill=fill)

    def text(
        self,
        x: float,
        y: float,
        content: str,
        size: float = 10,
        anchor: str = "start",
        fill: str = MUTED,
        turn: float = 0,
        font: str = FONT,
    ) -> None:
        turned = {"transform": f"rotate({_short(turn)} {_short(x)} {_short(y)})"} if turn else {}
        attributes: dict[str, float | str] = {
            "x": x,
            "y": y,
            "font_size": size,
            "text_anchor": anchor,
            "fill": fill,
            "font_family": font,
            **turned,
        }
        self.shapes.append(f"<text {_attributes(attributes)}>{escape(_printable(content))}</text>")

    def __str__(self) -> str:
        size = (
            f'width="{_short(self.width)}" height="{_short(self.height)}" viewBox="0 0 {_short(self.width)} {_short(self.height)}"'
        )
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{escape(_printable(self.title))}</title>'
        return "\n".join([head, *self.shapes, "</svg>\n"])

    def _add(self, name: str, **attributes: float | str) -> None:
        self.shapes.append(f"<{name} {_attributes(attributes)}/>")


@dataclass(frozen=True)
class Axis:
    """A range of values and where it lies in the picture."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False  # by log10(1 + |value|), with its sign
    whole: bool = False  # numbers that are counts

    def __call__(self, value: float) -> float:
        low, span = self._warp(self.low), self._warp(self.high) - self._warp(self.low)
        return self.start + (self._warp(value) - low) / (span or 1) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within the range."""
        if self.log:
            return [t for t in (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000) if self.low <= t <= self.high]
        raw = ((self.high - self.low) or 1) / 5
        power = 10.0 ** floor(log10(raw))
        step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw)
        step = max(step, 1.0) if self.whole else step
        count = floor(self.high / step + 1e-9) - (first := -floor(-self.low / step + 1e-9)) + 1
        return [round((first + i) * step, 10) for i in range(count)]

    def _warp(self, value: float) -> float:
        return (1 if value >= 0 else -1) * log10(1 + abs(value)) if self.log else value


def axes(drawing: Drawing, x: Axis, y: Axis, x_label: str, y_label: str) -> None:
    """Grid lines, numbers and labels."""
    for tick in y.ticks():
        drawing.line([(x.start, y(tick)), (x.end, y(tick))], LINE, 0.8)
        drawing.text(x.start - 5, y(tick) + 3.4, f"{tick:g}", anchor="end")
    for tick in x.ticks():
        drawing.text(x(tick), y.start + 14, f"{tick:g}", anchor="middle")
    drawing.line([(x.start, y.start), (x.end, y.start)], MUTED, 1)
    drawing.text((x.start + x.end) / 2, y.start + 30, x_label, 11, "middle", INK)
    drawing.text(x.start - 34, (y.start + y.end) / 2, y_label, 11, "middle", INK, -90)


def legend(drawing: Drawing, x: float, y: float, entries: Sequence[tuple[str, str, str]]) -> None:
    """(name, colour, dash) rows from (x, y) downwards."""
    for i, (name, colour, dash) in enumerate(entries):
        drawing.line([(x, y + 15 * i), (x + 20, y + 15 * i)], colour, 2, dash)
        drawing.text(x + 26, y + 15 * i + 3.5, name)


def _attributes(values: dict[str, float | str]) -> str:
    return " ".join(f"{k.replace('_', '-')}={quoteattr(v if isinstance(v, str) else _short(v))}" for k, v in values.items())


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _printable(text: str) -> str:
    """Without the control characters that XML forbids."""
    return "".join(c if c >= " " and c not in "\ufffe\uffff" and not "\ud800" <= c <= "\udfff" else "�" for c in text)
