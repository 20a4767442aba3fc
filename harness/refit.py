"""A second round: constants of programs fitted inside the model, with all the other programs in place.

Programs are found head by head, each beside the original others. Once many are in place the model sees other inputs, and what one
head does wrong another can make up for. So the constants of all of them are moved together, down the gradient of the divergence
(KL) from the original model's output, in a few passes over the `fit` texts, as far as that helps on `select`.
Rules stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dsl.nodes import Program
from harness.gradients import divergence, frozen, half_precision, original_output, token_weights
from harness.measure import Batch, Passage, Sample, outputs
from harness.objective import Grounds
from harness.patterns import Memo
from harness.replace import Head, replace_heads

if TYPE_CHECKING:
    import numpy as np
    import torch

    from search.gradient import Tape
    from search.tunable import Tunable

RATE = 0.08  # the first step of a constant's logarithm, by Adam
TOGETHER = 8  # passages of a batch
ORIGINALS = 2**30  # bytes of the original model's output that are kept from pass to pass


@dataclass
class Ground:
    """A sample in batches in which kinds of text take turns, and programs on its texts."""

    model: Any
    sample: Sample
    batches: list[Batch]
    share: dict[int, float]  # of each text, what a token read counts
    tuned: list[dict[Head, Tunable]]
    fixed: list[dict[Head, Any]]  # patterns (B, N, N) of programs whose constants have no gradient, or that have none
    originals: Memo

    def divergence(self, place: int, patterns: Mapping[Head, Any]) -> torch.Tensor:
        """What the batch of this number adds to the mean divergence from the original (nats per token)."""
        import torch

        batch = self.batches[place]
        weights = torch.tensor([self.share[owner] for owner in batch.reads[:, 0].tolist()], device=self.model.device)
        original = self.originals.get(place, partial(_original, self.model, self.sample, batch))
        with half_precision(self.model), replace_heads(self.model, {**self.fixed[place], **patterns}):
            present = outputs(self.model, self.sample.readout, batch, None)
        return divergence(self.sample.readout, original, present, weights.to(present))

    def mean(self, numbers: Mapping[Head, np.ndarray]) -> float:
        """The mean divergence (nats per token) with these constants."""
        import torch

        with torch.no_grad():
            return sum(
                self.divergence(place, {h: partial(_pattern, own[h], n) for h, n in numbers.items()}).item()
                for place, own in enumerate(self.tuned)
            )


def refit(
    model: Any,
    fit: Sample,
    select: Sample,
    programs: Mapping[Head, Program],
    causal: bool,
    windows: Sequence[int | None],
    passes: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[Head, Program], list[float]]:
    """The programs with refitted constants, and the mean divergence from the original on `select`: before, and after each pass.

    In nats per token. The constants are those of the pass that is best there, or as they were. All of `programs` are in place.
    windows: of each layer, how far a head may look back, or None. What reads the weights so far stays as it is. Passes are in half
    the precision where the processor multiplies that faster.
    """
    import numpy as np
    import torch

    from search.tunable import Constants

    ground, judge = (_ground(model, sample, programs, causal, windows, seed) for sample in (fit, select))
    moving = {head: Constants(programs[head], own.steps) for head, own in ground.tuned[0].items()}
    random, step, total = np.random.default_rng(seed), 0, passes * len(ground.batches)
    found, losses = dict(programs), [judge.mean({head: own.numbers for head, own in moving.items()})]
    for _ in range(passes):
        for place in random.permutation(len(ground.batches)).tolist():
            tuned = ground.tuned[place]
            tapes: dict[Head, Tape] = {}
            leaves: dict[Head, torch.Tensor] = {}

            def made(head: Head, tuned: Any = tuned, tapes: Any = tapes, leaves: Any = leaves) -> torch.Tensor:
                tapes[head] = tuned[head].pattern(moving[head].numbers)
                leaves[head] = _padded(tuned[head], tapes[head]).requires_grad_()
                return leaves[head]

            with torch.enable_grad(), frozen(model):
                loss = ground.divergence(place, {head: partial(made, head) for head in moving})
                slopes = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
            for head, slope in zip(leaves, slopes, strict=True):
                if slope is not None:
                    by_constant = tuned[head].slope(tapes[head], tuned[head].cells.pack(slope.float().cpu().numpy()))
                    moving[head].move(by_constant, RATE * (1 - 0.9 * step / total))
            step += 1
            progress(step, total)
        losses.append(judge.mean({head: own.numbers for head, own in moving.items()}))
        if losses[-1] == min(losses):
            found = {**programs, **{head: own.fitted() for head, own in moving.items()}}
    return found, losses


def steps(fit: Sample, passes: int) -> int:
    """How many steps so many passes take."""
    return passes * len(mixed(fit, token_weights(fit, fit.texts), 0))


def mixed(sample: Sample, share: Mapping[int, float], seed: int) -> list[Batch]:
    """Batches in which kinds of text take turns, so that no step is of one kind alone."""
    import numpy as np

    random = np.random.default_rng(seed)
    passages = [p for batch in sample.batches for p in batch.passages if p.owner in share]
    by_domain: dict[str, list[Passage]] = {}
    for number in random.permutation(len(passages)).tolist():
        by_domain.setdefault(sample.domains.each[passages[number].owner], []).append(passages[number])
    turns = [(place / len(own), name, p) for name, own in by_domain.items() for place, p in enumerate(own)]
    ordered = [p for _, _, p in sorted(turns, key=lambda turn: turn[:2])]
    return [Batch(tuple(ordered[i : i + TOGETHER])) for i in range(0, len(ordered), TOGETHER)]


def _ground(
    model: Any, sample: Sample, programs: Mapping[Head, Program], causal: bool, windows: Sequence[int | None], seed: int
) -> Ground:
    import torch

    from dsl import evaluate

    share = token_weights(sample, sample.texts)
    batches = mixed(sample, share, seed)
    tuned: list[dict[Head, Tunable]] = []
    fixed: list[dict[Head, Any]] = []
    for batch in batches:
        texts = Grounds(batch.texts, causal)
        found = {head: _tunable(p, texts, windows[head[0]]) for head, p in programs.items()}
        tuned.append({head: own for head, own in found.items() if own is not None})
        rest = {head: p for head, p in programs.items() if found[head] is None}
        fixed.append({head: torch.from_numpy(evaluate(p, texts.batch(windows[head[0]]))) for head, p in rest.items()})
    return Ground(model, sample, batches, share, tuned, fixed, Memo(ORIGINALS))


def _tunable(program: Program, texts: Grounds, window: int | None) -> Tunable | None:
    from search.gradient import ReadsWeights
    from search.tunable import Tunable

    try:
        found = Tunable(program, texts.packed(window))
    except ReadsWeights:
        return None
    return found if found.count else None


def _pattern(tunable: Tunable, numbers: np.ndarray) -> torch.Tensor:
    return _padded(tunable, tunable.pattern(numbers))


def _padded(tunable: Tunable, tape: Tape) -> torch.Tensor:
    """(B, N, N): the pattern as it acts in the model."""
    import torch

    return torch.from_numpy(tunable.cells.pad(tunable.cells.filled(tape.pattern)))


def _original(model: Any, sample: Sample, batch: Batch) -> torch.Tensor:
    return original_output(model, sample.readout, batch).half()
