"""A program on some texts as a function of its constants: its pattern, and the derivative of whatever is made of the pattern.

A constant keeps its sign; what is fitted is the logarithm of its size, in steps that move the values it takes part in about as far
as those of a constant that is a value itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dsl.nodes import Program
from search.adam import Adam
from search.fitting import constants, with_constants
from search.gradient import Compiler, Tape, backwards, forwards, sensitivity
from search.packed import Packed


class Tunable:
    """A program compiled on packed cells. Raises `search.gradient.ReadsWeights` where it reads the weights so far."""

    def __init__(self, program: Program, cells: Packed) -> None:
        self.cells = cells
        self.count = len(constants(program))
        with np.errstate(all="ignore"):
            self.rules = Compiler(cells).rules(program.statements)
        for rule in self.rules:
            rule.cells = rule.cells.astype(np.int32)  # many programs are kept on many texts

    def pattern(self, numbers: np.ndarray) -> Tape:
        """The pattern (C) that the constants give, with what its derivative needs."""
        with np.errstate(all="ignore"):
            return forwards(self.rules, numbers, self.cells.rows)

    def slope(self, tape: Tape, slope: np.ndarray) -> np.ndarray:
        """The derivative with respect to each constant, from that with respect to the pattern (C)."""
        with np.errstate(all="ignore"):
            return backwards(self.rules, tape, slope, self.cells.rows, self.count)

    def steps(self, numbers: np.ndarray) -> np.ndarray:
        """For each constant the step of its logarithm that is worth one of a value's: below 1 where values depend on it steeply."""
        with np.errstate(all="ignore"):
            return 1 / np.maximum(1, sensitivity(self.rules, numbers))


class Constants:
    """The constants of one program on their way from a start to a better place, by Adam on the logarithms of their sizes."""

    def __init__(self, program: Program, steps: Callable[[np.ndarray], np.ndarray]) -> None:
        """steps: of `Tunable`, what a step of each constant is worth at the start."""
        self.program = program
        start = np.array(constants(program), np.float64)
        self._sign = np.sign(start)  # a constant that is 0 stays 0
        self._log = np.log(np.abs(np.where(start != 0, start, 1)))
        self._scale = steps(start) if len(start) else start
        self._adam = Adam(self._log)

    @property
    def numbers(self) -> np.ndarray:
        return self._sign * np.exp(self._log)

    def move(self, slope: np.ndarray, rate: float) -> None:
        """One step down `slope`, the derivative with respect to each constant; rate: of the logarithm of a value."""
        step = self._adam.step(np.nan_to_num(slope * self.numbers) * self._scale)
        self._log = np.clip(self._log - rate * self._scale * step, -20, 20)

    def fitted(self) -> Program:
        """The program with the constants as they are now, to three significant digits."""
        return with_constants(self.program, self.numbers.tolist())
