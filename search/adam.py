"""Adam (Kingma & Ba 2015): steps of gradient descent or ascent of about one unit for each number, whatever its slope's size."""

from __future__ import annotations

import numpy as np


class Adam:
    """The running means of one array of slopes."""

    def __init__(self, like: np.ndarray, least: float = 1e-12) -> None:
        """like: an array of the slopes' shape. least: added to the mean size of a slope, below which steps are shorter."""
        self._first, self._second = np.zeros_like(like), np.zeros_like(like)
        self._taken, self._least = 0, least

    def step(self, slope: np.ndarray) -> np.ndarray:
        """The next step in the direction of the slopes."""
        self._taken += 1
        self._first = 0.8 * self._first + 0.2 * slope
        self._second = 0.95 * self._second + 0.05 * slope**2
        size = np.sqrt(self._second / (1 - 0.95**self._taken)) + self._least
        step: np.ndarray = self._first / (1 - 0.8**self._taken) / size
        return step
