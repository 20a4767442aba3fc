"""A second round: constants of programs fitted inside the model, with all the other programs in place.

Programs are found head by head, each beside the original others. Once many are in place the model sees other inputs, and what one
head does wrong another can make up for. So the constants of all of them are moved together, down the gradient of the divergence
(KL) from the original model's output, in a few passes over the `fit` texts. Rules stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dsl.nodes import Program
from harness.gradients import divergence, frozen, half_precision, original_output, token_weights
from harness.measure import Batch, Passage, Sample, outputs
from harness.objective import Grounds
from harness.patterns import Memo
from harness.replace import Head, replace_heads

if TYPE_CHECKING:
    import torch

RATE = 0.08  # the first step of a constant's logarithm, by Adam
TOGETHER = 8  # passages of a batch
ORIGINALS = 2**30  # bytes of the original model's output that are kept from pass to pass


def refit(
    model: Any,
    fit: Sample,
    programs: Mapping[Head, Program],
    causal: bool,
    windows: Sequence[int | None],
    passes: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[Head, Program], list[float]]:
    """The programs with refitted constants, and of each pass the mean divergence from the original (nats per token).

    All of `programs` are in place. windows: of each layer, how far a head may look back, or None. What reads the weights so far
    stays as it is. Passes are in half the precision where the processor multiplies that faster.
    """
    import numpy as np
    import torch

    from search.tunable import Constants

    share = token_weights(fit, fit.texts)
    batches = mixed(fit, share, seed)
    grounds = [Grounds(batch.texts, causal) for batch in batches]
    tuned = [{head: _tunable(program, ground, windows[head[0]]) for head, program in programs.items()} for ground in grounds]
    moving = {head: Constants(p, tuned[0][head].steps) for head, p in programs.items() if tuned[0][head] is not None}
    memo, random = Memo(ORIGINALS), np.random.default_rng(seed)
    found, step, total = [], 0, passes * len(batches)
    for _ in range(passes):
        loss_of_pass = 0.0
        for place in random.permutation(len(batches)).tolist():
            batch, ground = batches[place], grounds[place]
            weights = torch.tensor([share[owner] for owner in batch.reads[:, 0].tolist()], device=model.device)
            original = memo.get(place, partial(_original, model, fit, batch))
            leaves: dict[Head, torch.Tensor] = {}
            tapes: dict[Head, Any] = {}

            def make(head: Head, place: int = place, leaves=leaves, tapes=tapes) -> torch.Tensor:  # type: ignore[no-untyped-def]
                own = tuned[place][head]
                tapes[head] = own.pattern(moving[head].numbers)
                leaves[head] = (
                    torch.from_numpy(own.cells.pad(own.cells.filled(tapes[head].pattern))).to(model.device).requires_grad_()
                )
                return leaves[head]

            patterns = {
                head: partial(make, head) if head in moving else _fixed(p, ground, windows[head[0]]) for head, p in programs.items()
            }
            with torch.enable_grad(), frozen(model):
                with half_precision(model), replace_heads(model, patterns):
                    present = outputs(model, fit.readout, batch, None)
                loss = divergence(fit.readout, original, present, weights.to(present))
                slopes = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
            loss_of_pass += loss.item()
            rate = RATE * (1 - 0.9 * step / total)
            for (head, _), slope in zip(leaves.items(), slopes, strict=True):
                if slope is not None:
                    own = tuned[place][head]
                    moving[head].move(own.slope(tapes[head], own.cells.pack(slope.float().cpu().numpy())), rate)
            step += 1
            progress(step, total)
        found.append(loss_of_pass)
    return {head: moving[head].fitted() if head in moving else p for head, p in programs.items()}, found


def _original(model: Any, fit: Sample, batch: Batch) -> torch.Tensor:
    return original_output(model, fit.readout, batch).half()


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


def _tunable(program: Program, ground: Grounds, window: int | None):  # type: ignore[no-untyped-def]
    """The program on the texts of a batch, None where its constants have no gradient or there are none."""
    from search.gradient import ReadsWeights
    from search.tunable import Tunable

    try:
        found = Tunable(program, ground.packed(window))
    except ReadsWeights:
        return None
    return found if found.count else None


def _fixed(program: Program, ground: Grounds, window: int | None) -> torch.Tensor:
    import torch

    from dsl import evaluate

    return torch.from_numpy(evaluate(program, ground.batch(window)))
