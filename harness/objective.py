"""Programs chosen and fitted by what they do to the model's output instead of by IoU.

The effect of a program in its head's place is estimated from gradients (`harness.gradients`): half the mean of a^2, a the sum over
the cells of dL/dA * (P - A). It is a square in the pattern, so that its derivative leads to the constants of the program. Constants
are fitted on the `fit` texts; among a head's front, the library and what was fitted, the choice is made on `select`. IoU is not
looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dsl.nodes import Program
from harness.effect import TEXTS
from harness.gradients import Gradients, gradients
from harness.measure import Sample
from harness.replace import Head

if TYPE_CHECKING:
    import numpy as np

    from dsl.batch import Batch
    from dsl.text import Text
    from search.packed import Packed
    from search.tunable import Tunable

STEPS = 30  # gradient steps of a program's constants
RATE = 0.1  # the first step of a constant's logarithm
FITTED = 2  # programs of each head whose constants are fitted: those of the least effect on `fit`


@dataclass(frozen=True)
class Choice:
    """A head's program by effect.

    effect: its estimated divergence alone in its place (nats per token) on `select`; before: that of the program it had.
    """

    program: Program
    effect: float
    before: float
    fitted: bool


@dataclass
class Grounds:
    """The texts of one batch of gradients, as programs read them, for each attention window of the model."""

    texts: Sequence[Text]
    causal: bool
    _packed: dict[int | None, Packed] = field(default_factory=dict)

    def packed(self, window: int | None) -> Packed:
        from dsl.batch import Batch
        from search.packed import Packed

        if window not in self._packed:
            self._packed[window] = Packed(Batch(self.texts, self.causal, window))
        return self._packed[window]

    def batch(self, window: int | None) -> Batch:
        return self.packed(window).batch


def by_effect(
    model: Any,
    fit: Sample,
    select: Sample,
    candidates: Mapping[Head, Sequence[Program]],
    causal: bool,
    windows: Sequence[int | None],
    texts: int = TEXTS,
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Head, Choice]:
    """For each head the program of the least estimated effect on `select`; candidates: the first is the one it has by IoU.

    windows: of each layer, how far a head may look back, or None. Takes 8 backward passes over `texts` texts of both samples, and
    keeps the gradients of all heads on those of `fit`.
    """
    heads = tuple(sorted(candidates))
    total = len(heads) + 2
    kept = [(part, Grounds(part.batch.texts, causal)) for part in gradients(model, fit, heads, texts=texts, seed=seed)]
    progress(1, total)
    offered: dict[Head, list[Program]] = {}
    raw: dict[Head, int] = {}
    for h, head in enumerate(heads):
        own = list(dict.fromkeys(candidates[head]))
        raw[head] = len(own)
        window = windows[head[0]]
        found = [sum(_effect(part, ground, h, program, window) for part, ground in kept) for program in own]
        best = sorted(range(len(own)), key=found.__getitem__)[:FITTED]
        offered[head] = [*own, *(fitted(own[i], kept, h, window, steps) for i in best)]
        progress(h + 2, total)
    effects: dict[Head, np.ndarray] = {}
    for part in gradients(model, select, heads, texts=texts, seed=seed + 1):
        ground = Grounds(part.batch.texts, causal)
        for h, head in enumerate(heads):
            values = _effects(part, ground, h, offered[head], windows[head[0]])
            effects[head] = effects[head] + values if head in effects else values
    progress(total, total)
    chosen = {}
    for head in heads:
        values = effects[head]
        least = int(values.argmin())
        chosen[head] = Choice(offered[head][least], float(values[least]), float(values[0]), least >= raw[head])
    return chosen


def fitted(
    program: Program, kept: Sequence[tuple[Gradients, Grounds]], head: int, window: int | None, steps: int = STEPS
) -> Program:
    """The program with constants that lower the estimated effect in the place of the head of this number, or as it is."""
    from search.gradient import ReadsWeights
    from search.tunable import Constants

    try:
        own = [(part, tunable(program, ground, part, head, window)) for part, ground in kept]
    except ReadsWeights:
        return program
    constants = Constants(program, own[0][1].steps)
    if not len(constants.numbers) or not steps:
        return program
    best = (float("inf"), program)
    for step in range(steps + 1):
        effect, slope = estimate(own, head, constants.numbers)
        if effect < best[0]:
            best = (effect, constants.fitted())
        constants.move(slope, RATE * (1 - 0.9 * step / steps))
    return best[1]


def estimate(own: Iterable[tuple[Gradients, Tunable]], head: int, numbers: np.ndarray) -> tuple[float, np.ndarray]:
    """The estimated effect (nats per token) of a program in the place of the head of this number, and its derivative with
    respect to each constant."""
    import numpy as np

    effect, slope = 0.0, np.zeros(len(numbers))
    for part, tunable in own:
        tape = tunable.pattern(numbers)
        values = part.values(head, tunable.cells.filled(tape.pattern) * part.mass[head] - part.attention[head])  # (draws, B)
        weights = part.weights / len(part.scales)
        effect += 0.5 * float((weights * values**2).sum())
        along = (weights * values * part.scales[:, head, None]).astype(np.float32)  # (draws, B)
        cells = np.zeros(len(tape.pattern), np.float32)
        for own_slopes, by_text in zip(part.slopes[head], along, strict=True):
            cells += own_slopes * by_text[tunable.cells.text]
        slope += tunable.slope(tape, cells * part.mass[head])
    return effect, slope


def tunable(program: Program, ground: Grounds, part: Gradients, head: int, window: int | None) -> Tunable:
    """The program on the texts of a batch. ValueError: the model masks other cells than programs do."""
    import numpy as np

    from search.tunable import Tunable

    cells = ground.packed(window)
    if not np.array_equal(cells.places, part.places[head]):
        raise ValueError("the model masks other cells than its attention window says")
    return Tunable(program, cells)


def _effects(part: Gradients, ground: Grounds, head: int, programs: Sequence[Program], window: int | None) -> np.ndarray:
    """(programs,): what one batch adds to the estimated effect of each in the place of the head of this number."""
    import numpy as np

    return np.array([_effect(part, ground, head, program, window) for program in programs])


def _effect(part: Gradients, ground: Grounds, head: int, program: Program, window: int | None) -> float:
    from dsl import evaluate

    values = part.values(head, part.change(head, evaluate(program, ground.batch(window))))
    return 0.5 * float((part.weights / len(part.scales) * values**2).sum())
