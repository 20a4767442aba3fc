"""What a model loses when patterns stand in for heads: perplexity, KL, agreement, each text by itself.

A sample is a list of passages: a text, the positions at which the model's output is read, and the tokens expected there.
Causal models are read at every position in one pass; BERT-like models at masked positions, one per pass (pseudo-perplexity);
an encoder without a language-model head has no perplexity: its final hidden states are compared instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

from dsl.text import Text
from harness.patterns import MEMORY, Memo, Sources, lazily, model_inputs
from harness.replace import Patterns, run
from search.domains import Domains, one_domain

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
BATCH_CELLS = 2**18  # query x key cells of a batch at most, unless it is one passage: 270 MB for 270 heads in single precision
READS = 256  # reads compared at a time: the logits of a large vocabulary are large
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

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what is read where, by which owners."""
        passages = [(p.owner, p.text.ids, p.positions, p.expected) for p in self.passages]
        return hashlib.sha256(repr(passages).encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Sample:
    """The passages of `texts` texts in batches, how the model is read, and the domain that each text belongs to."""

    readout: Readout
    texts: int
    batches: tuple[Batch, ...]
    domains: Domains


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
            pieces=put(text.pieces, tokenizer.mask_token),
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
    batch_size: int = 8,
    domains: Domains | None = None,
) -> Sample:
    """The passages that measure `texts`. masked: at most `masked_per_text` seeded positions per text, hidden by `hide`.

    domains: of the texts; without, all are of one.
    """
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
    return Sample(readout, len(texts), into_batches(passages, batch_size), domains or one_domain(len(texts)))


def into_batches(passages: Sequence[Passage], batch_size: int) -> tuple[Batch, ...]:
    """Passages of similar length together; passages without a position to read are left out.

    A batch has `batch_size` passages, fewer where they are long, so that the patterns of all heads of a model stay within memory.
    """
    ordered = sorted((p for p in passages if p.positions), key=lambda p: len(p.text))
    found: list[list[Passage]] = []
    for passage in ordered:
        cells = len(passage.text) ** 2
        if found and len(found[-1]) < batch_size and (len(found[-1]) + 1) * cells <= BATCH_CELLS:
            found[-1].append(passage)
        else:
            found.append([passage])
    return tuple(Batch(tuple(group)) for group in found)


def measure(model: Any, readout: Readout, batch: Batch, cases: Iterable[Sources], memory: int = MEMORY) -> Iterator[Sums]:
    """For each case in turn, what the model loses when its heads are replaced: sums over the reads of every passage's owner.

    The unchanged model runs once for all cases, and a pattern that several cases use is computed once, as far as it finds room in
    `memory` bytes. Every sum has "owner", the number of the text that it is of.
    """
    import numpy as np
    import torch

    expected = torch.from_numpy(batch.reads[:, 3])
    owners, of = np.unique(batch.reads[:, 0], return_inverse=True)
    compare = compare_hidden if readout == "hidden" else compare_distributions
    original, memo = read(model, readout, batch, {}), Memo(memory)
    for sources in cases:
        replaced = read(model, readout, batch, lazily(sources, batch.texts, memo)) if sources else original
        sums: Sums = {"owner": owners.tolist()}
        for name, values in compare(original, replaced, expected.to(replaced.device)).items():
            sums[name] = np.bincount(of, values.cpu().double().numpy(), len(owners)).tolist()
        yield sums


def gathered(texts: int, parts: Iterable[Sums]) -> Sums:
    """The sums of all batches, one number for each of `texts` texts."""
    total: Sums = {}
    for part in parts:
        for name, values in part.items():
            if name != "owner":
                column = total.setdefault(name, [0.0] * texts)
                for owner, value in zip(part["owner"], values, strict=True):
                    column[int(owner)] += value
    return total


def compare_distributions(original: torch.Tensor, replaced: torch.Tensor, expected: torch.Tensor) -> dict[str, torch.Tensor]:
    """Log-probabilities (reads, vocabulary) of both models and the expected tokens (reads,) -> one number per read."""
    import torch

    kl = [(a.exp() * (a - b)).nansum(-1) for a, b in zip(original.split(READS), replaced.split(READS), strict=True)]
    return {
        "tokens": expected.new_ones(len(expected)),
        "nll": -replaced.gather(-1, expected[:, None])[:, 0],
        "kl": torch.cat(kl),
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


def read(model: Any, readout: Readout, batch: Batch, patterns: Patterns) -> torch.Tensor:
    """(reads, vocabulary) log-probabilities, or (reads, width) final hidden states, float32."""
    import torch

    with torch.no_grad():
        values = outputs(model, readout, batch, patterns)
    return values if readout == "hidden" else values.log_softmax(-1)


def outputs(model: Any, readout: Readout, batch: Batch, patterns: Patterns | None) -> torch.Tensor:
    """(reads, vocabulary) logits, or (reads, width) final hidden states, float32; without patterns of the model as it is."""
    import torch

    def passed(model: Any, **options: Any) -> Any:
        return model(**inputs, **options) if patterns is None else run(model, inputs, patterns, **options)

    rows, positions = (torch.from_numpy(batch.reads[:, column]) for column in (1, 2))
    inputs = model_inputs(model, batch.texts)
    if readout == "hidden":
        return passed(model.base_model)[0][rows, positions].float()
    options: dict[str, Any] = {"use_cache": False} if readout == "causal" else {}
    if "logits_to_keep" in signature(model.forward).parameters:  # where few positions are read, logits are most of the memory
        kept, positions = positions.unique(return_inverse=True)
        options["logits_to_keep"] = kept.to(model.device)
    return passed(model, **options).logits[rows, positions].float()
