"""What a model loses when patterns stand in for heads: perplexity, KL, agreement, each text by itself.

A sample is a list of passages: a text, the positions at which the model's output is read, and the tokens expected there.
Causal models are read at every position in one pass; BERT-like models at masked positions, one per pass (pseudo-perplexity);
an encoder without a language-model head has no perplexity: its final hidden states are compared instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from dsl.text import Text
from harness.patterns import Memo, PatternSource, batch_patterns, model_inputs
from harness.replace import Head, run

if TYPE_CHECKING:
    import numpy as np
    import torch

    from harness.annotate import Annotator

Readout = Literal["causal", "masked", "hidden"]  # next token, masked token, or only hidden states
Masker = Callable[[Text, int], Text]  # the text with the token at a position hidden

NOTES: dict[Readout, str] = {
    "causal": "perplexity of the next token",
    "masked": "pseudo-perplexity: every chosen token masked in a pass of its own, programs see the masked text",
    "hidden": "perplexity: not available, the model has no language-model head; cosine and relative error of the final hidden "
    "states are given instead",
}
NO_MASKER = "a masked model is read with a function that hides tokens: hide=masker(tokenizer)"


@dataclass(frozen=True)
class Passage:
    """One sequence for the model. owner: number of the text it belongs to; expected: a token id for each position."""

    owner: int
    text: Text
    positions: tuple[int, ...]
    expected: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Batch:
    """Passages that go through the model together."""

    passages: tuple[Passage, ...]

    @property
    def texts(self) -> list[Text]:
        return [passage.text for passage in self.passages]

    @cached_property
    def reads(self) -> np.ndarray:
        """(reads, 4) int64: owner, row in the batch, position, expected token (0 where none is)."""
        import numpy as np

        rows = [
            (p.owner, row, position, expected)
            for row, p in enumerate(self.passages)
            for position, expected in zip(p.positions, p.expected or (0,) * len(p.positions), strict=True)
        ]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)


@dataclass(frozen=True, eq=False)
class Sample:
    """The passages of `texts` texts in batches, and how the model is read."""

    readout: Readout
    texts: int
    batches: tuple[Batch, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what is read where."""
        passages = [(p.owner, p.text.ids, p.positions, p.expected) for batch in self.batches for p in batch.passages]
        return hashlib.sha256(repr((self.readout, passages)).encode()).hexdigest()[:12]


Sums = dict[str, list[float]]
"""One number per text: "tokens" read; with a language-model head "nll" (nats, summed), "kl" (nats, summed) and "agree" (number of
tokens with the same top-1); without one "cosine" and "error" (relative), summed over tokens."""


def readout_of(model: Any, tokenizer: Any, causal: bool) -> Readout:
    """How this model can be read: by next token, by masked token, or by hidden states alone."""
    head = model.get_output_embeddings()
    if head is None:
        return "hidden"
    if causal:
        return "causal"
    return "masked" if tokenizer.mask_token_id is not None else "hidden"


def masker(
    tokenizer: Any, embed: Callable[[Sequence[int]], np.ndarray] | None = None, annotator: Annotator | None = None
) -> Masker:
    """Hides a token from the programs as it is hidden from the model: in tokens, characters, embeddings and annotation.

    embed: ids -> (n, d) unit rows, as in `Text.embeddings`. The masked text is annotated anew, for the words of the original
    would tell what is hidden; without an annotator it has no words.
    """

    def hide(text: Text, position: int) -> Text:
        from harness.annotate import annotate

        start, end = text.offsets[position]
        mask = tokenizer.mask_token if end > start else ""  # a token without characters leaves the text as it is
        shift = len(mask) - (end - start)
        offsets = tuple((a + shift * (a >= end), b + shift * (b >= end)) for a, b in text.offsets)

        def put(values: tuple, value: Any) -> tuple:
            return (*values[:position], value, *values[position + 1 :])

        ids = put(text.ids, tokenizer.mask_token_id)
        masked = replace(
            text,
            text=text.text[:start] + mask + text.text[end:],
            tokens=put(text.tokens, tokenizer.mask_token),
            ids=ids,
            offsets=put(offsets, (start, start + len(mask))),
            special=put(text.special, True),
            words=(),
            alignment=((),) * len(ids),
            annotated=False,
            embeddings=embed(ids) if embed is not None else None,
        )
        return annotate([masked], annotator)[0] if annotator is not None else masked

    return hide


def make_sample(
    texts: Sequence[Text],
    readout: Readout,
    hide: Masker | None = None,
    masked_per_text: int = 16,
    seed: int = 0,
    batch_size: int = 16,
) -> Sample:
    """The passages that measure `texts`. masked: at most `masked_per_text` seeded positions per text, hidden by `hide`."""
    import numpy as np

    passages = []
    for owner, text in enumerate(texts):
        if readout == "causal":
            passages.append(Passage(owner, text, tuple(range(len(text) - 1)), tuple(text.ids[1:])))
        elif readout == "hidden":
            passages.append(Passage(owner, text, tuple(range(len(text))), ()))
        elif hide is None:
            raise ValueError(NO_MASKER)
        else:
            candidates = [i for i in range(len(text)) if not (text.special and text.special[i])]
            random = np.random.default_rng([seed, owner])
            chosen = sorted(random.choice(candidates, min(masked_per_text, len(candidates)), replace=False).tolist())
            passages += [Passage(owner, hide(text, i), (i,), (text.ids[i],)) for i in chosen]
    return Sample(readout, len(texts), into_batches(passages, batch_size))


def into_batches(passages: Sequence[Passage], batch_size: int) -> tuple[Batch, ...]:
    """Passages of similar length together; passages without a position to read are left out."""
    ordered = sorted((p for p in passages if p.positions), key=lambda p: len(p.text))
    return tuple(Batch(tuple(ordered[i : i + batch_size])) for i in range(0, len(ordered), batch_size))


def measure(
    model: Any,
    sample: Sample,
    sources: Mapping[Head, PatternSource],
    memo: Memo,
    originals: Memo,
) -> Sums:
    """The model with every head of `sources` replaced, against the original, summed for each text.

    memo keeps patterns, originals the unchanged model's output: pass the same ones again and both are computed once.
    """
    import numpy as np
    import torch

    sums: dict[str, np.ndarray] = {}
    for batch in sample.batches:
        original = originals.get(batch, partial(_read, model, sample.readout, batch, {}))
        patterns = batch_patterns(sources, batch.texts, memo, batch)
        replaced = _read(model, sample.readout, batch, patterns) if patterns else original
        compare = compare_hidden if sample.readout == "hidden" else compare_distributions
        expected = torch.from_numpy(batch.reads[:, 3]).to(replaced.device)
        for name, values in compare(original, replaced, expected).items():
            total = sums.setdefault(name, np.zeros(sample.texts))
            np.add.at(total, batch.reads[:, 0], values.cpu().double().numpy())
    return {name: total.tolist() for name, total in sums.items()}


def compare_distributions(original: torch.Tensor, replaced: torch.Tensor, expected: torch.Tensor) -> dict[str, torch.Tensor]:
    """Log-probabilities (reads, vocabulary) of both models and the expected tokens (reads,) -> one number per read."""
    return {
        "tokens": expected.new_ones(len(expected)),
        "nll": -replaced.gather(-1, expected[:, None])[:, 0],
        "kl": (original.exp() * (original - replaced)).nansum(-1),
        "agree": original.argmax(-1) == replaced.argmax(-1),
    }


def compare_hidden(original: torch.Tensor, replaced: torch.Tensor, expected: torch.Tensor) -> dict[str, torch.Tensor]:
    """Hidden states (reads, width) of both models -> one number per read."""
    import torch

    return {
        "tokens": expected.new_ones(len(expected)),
        "cosine": torch.nn.functional.cosine_similarity(original, replaced, dim=-1),
        "error": (replaced - original).norm(dim=-1) / original.norm(dim=-1).clamp_min(1e-12),
    }


def _read(model: Any, readout: Readout, batch: Batch, patterns: Mapping[Head, torch.Tensor]) -> torch.Tensor:
    """(reads, vocabulary) log-probabilities, or (reads, width) final hidden states, float32."""
    import torch

    rows, positions = (torch.from_numpy(batch.reads[:, column]) for column in (1, 2))
    options = {"use_cache": False} if readout == "causal" else {}
    with torch.no_grad():
        inputs = model_inputs(model, batch.texts)
        if readout == "hidden":
            return run(model.base_model, inputs, patterns)[0][rows, positions].float()
        output = run(model, inputs, patterns, **options)
        return output.logits[rows, positions].float().log_softmax(-1)
