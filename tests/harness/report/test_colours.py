"""Colour scales: even steps of lightness, told apart by text colour."""

import numpy as np
import pytest

from harness.report import colours
from search.patterns import LIBRARY


def lightness(colour):
    """OKLab lightness of "#rrggbb", from Ottosson's forward matrices."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colours.rgb(colour))])
    lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    return float(np.array([0.2104542553, 0.7936177850, -0.0040720468]) @ np.cbrt(lms @ linear))


@pytest.mark.parametrize("dark", [False, True])
def test_scales_are_even_in_lightness(dark):
    steps = np.diff([lightness(c) for c in colours.sequential(dark)])
    assert (np.sign(steps) == (1 if dark else -1)).all() and np.abs(steps - steps.mean()).max() < 0.006
    scale = [lightness(c) for c in colours.diverging(dark)]
    assert np.allclose(scale, scale[::-1], atol=0.01) and abs(scale[32] - scale[0]) > 0.4


def test_ends_count_for_what_lies_beyond():
    scale = colours.sequential(False)
    assert colours.at(scale, -1) == scale[0] and colours.at(scale, 2) == scale[-1]


def test_kinds_differ():
    names = {*LIBRARY, "mixed"}
    assert set(colours.KINDS) == names
    assert len({colours.kind(k) for k in names}) == len({colours.letters(k) for k in names}) == len(names)
    assert all(colours.is_light(colours.kind(k)) for k in colours.KINDS)
