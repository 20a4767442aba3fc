"""What replacing each head alone does to a model's output, for all heads at once, from a few backward passes.

Let a head's attention A become P. To second order, the KL divergence from the model's output distribution to what it becomes is
1/2 d' F d, where d is the change of the logits and F their Fisher information. With a label y_t drawn from the model at every
position read, and a random sign s_t, the square of

    a = sum over the cells of dL/dA * (P - A),   L = sum over t of s_t log p(y_t)

has the expectation d' F d (d to first order in P - A: the Gauss-Newton approximation), so half the mean of a^2 over draws estimates
the divergence. One backward pass gives dL/dA of all heads. Without a language-model head L = 2^1/2 sum over t of
s_t' h_t / |h_t|, s_t standard normal: half the mean of a^2 is the squared relative change of the final hidden states h_t.

Where other heads are replaced already, the divergence from the original model has a slope too: its derivative along P - A is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.measure import Batch, Readout, Sample, outputs
from harness.patterns import Memo, Sources, lazily
from harness.replace import Call, Head, confine, noting

if TYPE_CHECKING:
    import numpy as np
    import torch

SHARED = 0.5  # of what pairs of heads do together that is believed
SAMPLES = 8  # draws of labels and signs per batch
TEXTS = 12  # of a sample that are used, as many of each domain


@dataclass(frozen=True, eq=False)
class Effects:
    """Draws of every head's effect, in the order of `heads`.

    values (draws, heads): a of each passage and draw; weights (draws,): a mean over them that counts every domain alike, per token
    read. slope (heads,): change of the divergence from the original model, per token read, to first order.
    """

    heads: tuple[Head, ...]
    values: np.ndarray
    weights: np.ndarray
    slope: np.ndarray

    @property
    def alone(self) -> dict[Head, float]:
        """The estimated divergence (nats per token; without a language-model head the squared relative error) of each head."""
        found = self.slope + 0.5 * self.weights @ self.values**2
        return dict(zip(self.heads, found.tolist(), strict=True))

    def ordered(self, shared: float = SHARED) -> list[Head]:
        """The heads one after the other, each time that which adds least to the estimated divergence of all so far.

        The mean of a_g a_h over draws estimates what heads g and h do together beyond what they do alone. It counts `shared`: about
        a hundred draws tell these products, one for each pair of heads, less well than the squares.
        """
        import numpy as np

        together = (self.values * self.weights[:, None]).T @ self.values  # (heads, heads)
        added = self.slope + 0.5 * np.diag(together)
        left, found = list(range(len(self.heads))), []
        while left:
            best = min(left, key=added.__getitem__)
            left.remove(best)
            found.append(self.heads[best])
            added = added + shared * together[best]
        return found


def effects(
    model: Any,
    sample: Sample,
    sources: Sources,
    replaced: Sources | None = None,
    samples: int = SAMPLES,
    texts: int = TEXTS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Effects:
    """The effect of putting each of `sources` in place, with `replaced` in place already (the heads of both are not estimated).

    Of the sample's texts `texts` are used, the first of each domain.
    """
    import numpy as np
    import torch

    replaced = replaced or {}
    heads = tuple(sorted(head for head in sources if head not in replaced))
    share = _shares(sample, texts)
    generator = torch.Generator(model.device).manual_seed(seed)
    values, weights, slope = [], [], np.zeros(len(heads))
    parts = [part for batch in sample.batches if (part := _kept(batch, share))]
    for done, batch in enumerate(parts):
        per_passage = np.array([share[p.owner] for p in batch.passages])  # (B,)
        with noting(model, lazily(replaced, batch.texts, Memo(0))) as calls, _differentiable(model), torch.enable_grad():
            logits = outputs(model, sample.readout, batch, None)
            attention = {_layer(call): call.probabilities for call in calls}
            changes = _changes(calls, heads, sources, batch)
            rows = torch.from_numpy(batch.reads[:, 1]).to(logits.device)
            if replaced:
                loss = _divergence(model, sample.readout, batch, logits, torch.from_numpy(per_passage).to(logits)[rows])
                slope += _along(loss, attention, changes, heads).sum(0)
            for _ in range(samples):
                loss = _drawn(logits, sample.readout, generator)
                values.append(_along(loss, attention, changes, heads))
                weights.append(per_passage / samples)
        progress(done + 1, len(parts))
    return Effects(heads, np.concatenate(values), np.concatenate(weights), slope)


def _shares(sample: Sample, texts: int) -> dict[int, float]:
    """The weight of one token read in each text that is used: every domain counts the same, in it every token."""
    names = sample.domains.names
    each = max(1, texts // len(names))
    used = {name: [i for i, d in enumerate(sample.domains.each) if d == name][:each] for name in names}
    reads = [0] * sample.texts
    for batch in sample.batches:
        for passage in batch.passages:
            reads[passage.owner] += len(passage.positions)
    tokens = {name: sum(reads[i] for i in members) for name, members in used.items()}
    return {i: 1 / len(names) / tokens[name] for name, members in used.items() for i in members if reads[i]}


def _kept(batch: Batch, share: Mapping[int, float]) -> Batch | None:
    passages = tuple(p for p in batch.passages if p.owner in share)
    return Batch(passages) if passages else None


@contextmanager
def _differentiable(model: Any) -> Iterator[None]:
    """The model's passes are recorded for gradients although no weight needs one."""
    hook = model.get_input_embeddings().register_forward_hook(lambda module, args, output: output.requires_grad_())
    try:
        yield
    finally:
        hook.remove()


def _changes(calls: list[Call], heads: tuple[Head, ...], sources: Sources, batch: Batch) -> dict[int, torch.Tensor]:
    """Per layer (B, H, Q, K): program less attention, 0 for heads that are not asked for."""
    import torch

    found = {}
    for call in calls:
        layer, attention = _layer(call), call.probabilities.detach()
        change = torch.zeros_like(attention)
        mass = attention.sum(-1, keepdim=True)  # (B, H, Q, 1): the rest is a sink's, which a program leaves as it is
        for head in (h for at, h in heads if at == layer):
            pattern = torch.from_numpy(sources[layer, head](batch.texts)).to(attention)
            change[:, head] = confine(pattern, call.allowed[:, head]) * mass[:, head] - attention[:, head]
        found[layer] = change
    return found


def _layer(call: Call) -> int:
    return call.module.layer_idx  # type: ignore[return-value]


def _along(
    loss: torch.Tensor, attention: Mapping[int, torch.Tensor], changes: Mapping[int, torch.Tensor], heads: tuple[Head, ...]
) -> np.ndarray:
    """(B, heads) float64: the derivative of `loss` along the change of each head, passage by passage."""
    import torch

    gradients = torch.autograd.grad(loss, list(attention.values()), retain_graph=True)
    sums = {
        layer: torch.einsum("bhqk,bhqk->bh", gradient, changes[layer]).double().cpu()
        for layer, gradient in zip(attention, gradients, strict=True)
    }
    return torch.stack([sums[layer][:, head] for layer, head in heads], 1).numpy()


def _drawn(logits: torch.Tensor, readout: Readout, generator: torch.Generator) -> torch.Tensor:
    """L of one draw, summed over all reads."""
    import torch

    if readout == "hidden":
        directions = torch.randn(logits.shape, generator=generator, device=logits.device)
        return (2**0.5 * directions * logits / logits.detach().norm(dim=-1, keepdim=True).clamp_min(1e-12)).sum()
    log_p = logits.log_softmax(-1)
    drawn = torch.multinomial(log_p.detach().exp(), 1, generator=generator)  # (reads, 1)
    signs = torch.randint(0, 2, drawn.shape, generator=generator, device=drawn.device) * 2 - 1
    return (signs * log_p.gather(-1, drawn)).sum()


def _divergence(model: Any, readout: Readout, batch: Batch, logits: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Of the present output from the original model's, `weights` (reads,) summed."""
    import torch

    with torch.no_grad(), noting(model, {}):
        original = outputs(model, readout, batch, None)
    if readout == "hidden":
        change = (logits - original).norm(dim=-1) / original.norm(dim=-1).clamp_min(1e-12)
        return (weights * change**2).sum()
    return -(weights * (original.softmax(-1) * logits.log_softmax(-1)).sum(-1)).sum()
