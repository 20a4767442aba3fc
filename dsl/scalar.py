"""Powers, logarithms and the like as Python's own floats have them.

numpy's vector code rounds some of them otherwise in the last bit, which would decide comparisons such as `weight < 0.8 ** 5`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import vectorize

_OF_ONE: Any = vectorize(["float64(float64)"], cache=True)


@vectorize(["float64(float64, float64)"], cache=True)
def power(x, y):  # type: ignore[no-untyped-def]
    return x**y if x == x and y == y else math.nan  # C takes 1 ** missing and missing ** 0 for 1


@_OF_ONE
def exp(x):  # type: ignore[no-untyped-def]
    return math.exp(x)


@_OF_ONE
def log(x):  # type: ignore[no-untyped-def]
    return math.log(x) if x > 0 else math.nan


@_OF_ONE
def tanh(x):  # type: ignore[no-untyped-def]
    return math.tanh(x)


@_OF_ONE
def sin(x):  # type: ignore[no-untyped-def]
    return math.sin(x)


@_OF_ONE
def cos(x):  # type: ignore[no-untyped-def]
    return math.cos(x)


sqrt, floor, round, minimum, maximum = np.sqrt, np.floor, np.round, np.minimum, np.maximum
