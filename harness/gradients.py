"""How a model's output answers to its heads' attention: gradients of drawn log-likelihoods, all heads at once.

With a label y_t drawn from the model at every position read, and a random sign s_t, let

    L = sum over t of s_t log p(y_t),   a = sum over the cells of dL/dA * (P - A)

for a head's attention A and whatever pattern P is put in its place. The mean of a^2 over draws is d' F d, d the change of the
logits to first order and F their Fisher information: twice the divergence, to second order. Without a language-model head
L = 2^1/2 sum over t of s_t' h_t / |h_t|, s_t standard normal: half the mean of a^2 is the squared relative change of the final
hidden states h_t. One backward pass gives dL/dA of all heads, and with it a for any number of patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.measure import Batch, Readout, Sample, into_batches, outputs
from harness.patterns import Memo, Sources, lazily
from harness.replace import Call, Head, confine, noting

if TYPE_CHECKING:
    import numpy as np
    import torch

SAMPLES = 8  # draws of labels and signs per batch
TOGETHER = 8  # passages of a batch: gradients of all heads are kept for one batch at least


@dataclass(frozen=True, eq=False)
class Gradients:
    """Of one batch: dL/dA of every head, on the C cells that the model allows (of padding none), text by text, row by row.

    slopes (draws, C) of each head, float16, to be multiplied by scales (draws, heads); attention (C) float32, whose rows may sum to
    less than 1, the rest a sink's: mass (C) has the sum. weights (B,): what one token read of each passage counts. along (C):
    derivative of the weighted divergence from the original, where other heads are replaced already. norms (B, K) of each head: the
    length of every key's value.
    """

    batch: Batch
    heads: tuple[Head, ...]
    places: tuple[np.ndarray, ...]  # of each head, (C) in the padded array (B, Q, K)
    slopes: tuple[np.ndarray, ...]  # of each head (draws, C)
    scales: np.ndarray
    attention: tuple[np.ndarray, ...]
    mass: tuple[np.ndarray, ...]
    weights: np.ndarray
    along: tuple[np.ndarray, ...]
    norms: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        size = max(map(len, self.batch.texts))
        return len(self.batch.texts), size, size

    def change(self, head: int, pattern: np.ndarray) -> np.ndarray:
        """(C): a pattern (B, Q, K), without what it gives to masked cells, less the attention of the head of this number."""
        import torch

        allowed = torch.zeros(self.shape, dtype=torch.bool)
        allowed.view(-1)[torch.from_numpy(self.places[head])] = True
        confined = confine(torch.from_numpy(pattern), allowed).numpy().reshape(-1)[self.places[head]]
        return confined * self.mass[head] - self.attention[head]

    def values(self, head: int, change: np.ndarray) -> np.ndarray:
        """(draws, B) float64: a of every draw and passage for a change (C) of a head."""
        import numpy as np

        products = self.slopes[head].astype(np.float32) * change
        return self.by_passage(head, products).astype(np.float64) * self.scales[:, head, None]

    def by_passage(self, head: int, values: np.ndarray) -> np.ndarray:
        """Sums (…, B) over the cells (…, C) of each passage."""
        import numpy as np

        cells = self.shape[1] * self.shape[2]
        starts = np.searchsorted(self.places[head], np.arange(self.shape[0]) * cells)
        return np.add.reduceat(values, starts, axis=-1)


def gradients(
    model: Any,
    sample: Sample,
    heads: Sequence[Head],
    replaced: Sources | None = None,
    samples: int = SAMPLES,
    texts: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Gradients]:
    """The gradients of each batch in turn, with `replaced` in place.

    texts: so many of the sample are used, the first of each domain; or all. Passes are in half the precision where the processor
    multiplies that faster: gradients differ by a thousandth.
    """
    import numpy as np
    import torch

    share = token_weights(sample, texts or sample.texts)
    generator = torch.Generator(model.device).manual_seed(seed)
    parts = split(sample, share)
    for done, batch in enumerate(parts):
        per_passage = np.array([share[p.owner] for p in batch.passages])  # (B,)
        with noting(model, lazily(replaced or {}, batch.texts, Memo(0))) as calls, differentiable(model), torch.enable_grad():
            with half_precision(model):
                logits = outputs(model, sample.readout, batch, None)
            found = {_layer(call): call for call in calls}
            attention = [call.probabilities for call in found.values()]
            exact = _in_full_precision(model, sample.readout, batch, replaced or {})
            places = {layer: _places(call, batch) for layer, call in found.items()}

            def packed(tensors: Sequence[torch.Tensor], found: Any = found, places: Any = places) -> list[np.ndarray]:
                by_layer = dict(zip(found, tensors, strict=True))
                own = ((by_layer[layer][:, head].detach().float().cpu().numpy(), places[layer]) for layer, head in heads)
                return [values.reshape(-1)[at] for values, at in own]

            along: tuple[np.ndarray, ...] = ()
            if replaced:
                rows = torch.from_numpy(batch.reads[:, 1]).to(logits.device)
                original = original_output(model, sample.readout, batch)
                loss = divergence(sample.readout, original, logits, torch.from_numpy(per_passage).to(logits)[rows])
                along = tuple(packed(torch.autograd.grad(loss, attention, retain_graph=True)))
            slopes: list[list[np.ndarray]] = []
            scales = np.ones((samples, len(heads)))
            for draw in range(samples):
                loss = _drawn(logits, sample.readout, generator)
                own = packed(torch.autograd.grad(loss, attention, retain_graph=draw < samples - 1))
                for h, slope in enumerate(own):
                    scales[draw, h] = float(np.abs(slope).max()) or 1.0
                slopes.append([(slope / scales[draw, h]).astype(np.float16) for h, slope in enumerate(own)])
        yield Gradients(
            batch,
            tuple(heads),
            tuple(places[layer] for layer, _ in heads),
            tuple(np.stack([slopes[draw][h] for draw in range(samples)]) for h in range(len(heads))),
            scales,
            tuple(packed(exact)),
            tuple(packed([a.sum(-1, keepdim=True).expand_as(a) for a in exact])),
            per_passage,
            along,
            tuple(_norms(found[layer], head) for layer, head in heads),
        )
        progress(done + 1, len(parts))


def token_weights(sample: Sample, texts: int) -> dict[int, float]:
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


def split(sample: Sample, share: Mapping[int, float]) -> tuple[Batch, ...]:
    """The passages of these texts in batches of a few."""
    size = min(TOGETHER, max(len(batch.passages) for batch in sample.batches))
    return into_batches([p for batch in sample.batches for p in batch.passages if p.owner in share], size)


@contextmanager
def frozen(model: Any) -> Iterator[None]:
    """No weight of the model needs a gradient."""
    wanted = {parameter: parameter.requires_grad for parameter in model.parameters()}
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, before in wanted.items():
            parameter.requires_grad_(before)


@contextmanager
def differentiable(model: Any) -> Iterator[None]:
    """The model's passes are recorded for gradients, of its attention, not of its weights."""
    hook = model.get_input_embeddings().register_forward_hook(lambda module, args, output: output.requires_grad_())
    try:
        with frozen(model):
            yield
    finally:
        hook.remove()


def half_precision(model: Any) -> Any:
    """A context in which a model in single precision multiplies in bfloat16, where this processor has instructions for it."""
    import torch

    has = [getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")]
    if model.device.type == "cpu" and any(known is not None and known() for known in has):
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


def original_output(model: Any, readout: Readout, batch: Batch) -> torch.Tensor:
    """What the unchanged model gives: log-probabilities (reads, vocabulary), or final hidden states (reads, width)."""
    import torch

    with torch.no_grad(), noting(model, {}), half_precision(model):
        found = outputs(model, readout, batch, None)
    return found if readout == "hidden" else found.log_softmax(-1)


def divergence(readout: Readout, original: torch.Tensor, present: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Of the present output (logits, or hidden states) from the original model's, `weights` (reads,) summed."""
    if readout == "hidden":
        change = (present - original).norm(dim=-1) / original.norm(dim=-1).clamp_min(1e-12)
        return (weights * change**2).sum()
    import torch

    p = original.float().exp()
    return -(weights * (torch.special.entr(p) + p * present.log_softmax(-1)).sum(-1)).sum()


def _norms(call: Call, head: int) -> np.ndarray:
    value = call.value[:, head * call.value.shape[1] // call.probabilities.shape[1]]  # heads may share keys and values
    return value.detach().float().norm(dim=-1).cpu().numpy()


def _in_full_precision(model: Any, readout: Readout, batch: Batch, replaced: Sources) -> list[torch.Tensor]:
    """The attention of every layer (B, H, Q, K) as the model has it: what is close to it must be seen to be close."""
    import torch

    with noting(model, lazily(replaced, batch.texts, Memo(0))) as calls, torch.no_grad():
        outputs(model, readout, batch, None)
    return [call.probabilities for call in calls]


def _places(call: Call, batch: Batch) -> np.ndarray:
    """(C): the cells that the model allows between tokens that are no padding; the same for all heads of a layer."""
    import torch

    lengths = torch.tensor([len(text) for text in batch.texts], device=call.allowed.device)
    valid = torch.arange(call.allowed.shape[-1], device=lengths.device) < lengths[:, None]  # (B, N)
    return (call.allowed[:, 0] & valid[:, :, None] & valid[:, None]).flatten().nonzero()[:, 0].cpu().numpy()


def _layer(call: Call) -> int:
    return call.module.layer_idx  # type: ignore[return-value]


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
