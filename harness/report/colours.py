"""Colour scales, perceptually uniform by construction: straight lines of lightness in OKLab (Ottosson 2020).

Scales are lists of "#rrggbb". On a light ground zero is light and one is dark; on a dark ground the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import cos, pi, radians, sin

STEPS = 65
# Two letters, hue in degrees (None: grey) and lightness of each kind of head (search.patterns). Kinds alike have hues alike; the
# letters tell them apart.
KINDS: dict[str, tuple[str, float | None, float]] = {
    "previous token": ("PT", 252, 0.80),
    "previous token, else first": ("PF", 262, 0.72),
    "second to last token": ("P2", 272, 0.85),
    "neighbours": ("NB", 240, 0.88),
    "next token": ("NT", 225, 0.76),
    "recency": ("RE", 200, 0.80),
    "recency, first token": ("RF", 190, 0.70),
    "first token": ("FT", 80, 0.82),
    "first token and self": ("FS", 105, 0.86),
    "last token": ("LT", 65, 0.72),
    "special tokens": ("SP", 92, 0.74),
    "self": ("SE", 150, 0.80),
    "duplicate, else self": ("DS", 165, 0.72),
    "same token": ("ST", 330, 0.80),
    "same token before": ("SB", 345, 0.72),
    "induction": ("IN", 358, 0.86),
    "similar tokens": ("SI", 318, 0.88),
    "punctuation": ("PU", 25, 0.80),
    "last punctuation": ("LP", 38, 0.70),
    "line break": ("LB", 50, 0.86),
    "capital letters": ("CL", 15, 0.88),
    "word start": ("WS", 295, 0.80),
    "word starts": ("WW", 305, 0.72),
    "same word": ("SW", 285, 0.87),
    "uniform": ("UN", 125, 0.84),
    "mixed": ("MI", None, 0.80),
}


@cache
def sequential(dark: bool) -> tuple[str, ...]:
    """Zero to one: the ground, teal, deep blue (mirrored in lightness on a dark ground)."""
    return tuple(_sequential(i / (STEPS - 1), dark) for i in range(STEPS))


def _sequential(t: float, dark: bool) -> str:
    if dark:
        return oklch(0.235 + 0.70 * t, 0.025 + 0.105 * sin(pi * t**0.9), 265 - 100 * t)
    return oklch(0.975 - 0.695 * t, 0.008 + 0.122 * sin(pi * t**0.8 * 0.9), 178 + 92 * t)


@cache
def diverging(dark: bool) -> tuple[str, ...]:
    """-1 to 1: blue, the ground, orange; lightness falls (on a dark ground rises) alike on both sides."""
    scale = []
    for i in range(STEPS):
        t = 2 * i / (STEPS - 1) - 1
        lightness = 0.235 + 0.5 * abs(t) if dark else 0.975 - 0.5 * abs(t)
        scale.append(oklch(lightness, 0.01 + 0.15 * abs(t), 45 if t > 0 else 255))
    return tuple(scale)


def at(scale: Sequence[str], value: float) -> str:
    """The colour of a value from 0 to 1; values outside count as the nearer end."""
    return scale[round(min(max(value, 0.0), 1.0) * (len(scale) - 1))]


def kind(name: str) -> str:
    """The colour of a kind of head, light enough for dark text on it; grey for a kind that has none."""
    _, hue, lightness = KINDS.get(name, ("", None, 0.80))
    return oklch(lightness, 0.0 if hue is None else 0.105, hue or 0)


def letters(name: str) -> str:
    """Two letters that stand for a kind."""
    return KINDS[name][0] if name in KINDS else name[:2].upper()


def library(index: int) -> str:
    """The colour of the library's program number `index` (from 0): hues a golden angle apart, two lightnesses."""
    return oklch(0.84 if index % 2 else 0.74, 0.11, 30 + 137.508 * index)


def rgb(colour: str) -> tuple[int, int, int]:
    """(red, green, blue), 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def is_light(colour: str) -> bool:
    """Whether dark text reads better on it than white text (relative luminance as in WCAG)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb(colour)))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """OKLCH to "#rrggbb": chroma is lowered until the colour exists in sRGB. lightness 0..1, hue in degrees."""
    while True:
        linear = _linear(lightness, chroma * cos(radians(hue)), chroma * sin(radians(hue)))
        if chroma <= 0.001 or all(-1e-4 <= c <= 1.0001 for c in linear):
            break
        chroma -= 0.001
    return "#" + "".join(f"{round(255 * _gamma(min(max(c, 0.0), 1.0))):02x}" for c in linear)


def _linear(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """OKLab to linear sRGB."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma(c: float) -> float:
    return 12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055
