"""Where the patterns come from that stand in for heads: programs, and the baselines uniform, previous token, mean attention.

A pattern source is a function of texts that gives one padded array (text, query, key) float32 with rows that sum to 1 (or 0). It
need not know what the model masks: `harness.replace` takes weight on masked keys away and rescales the row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dsl.text import Text
from harness.replace import Head, PatternFunction, PatternMaker

if TYPE_CHECKING:
    import numpy as np
    import torch

    from harness.annotate import Annotator
    from harness.attention import AttentionStore

PatternSource = Callable[[Sequence[Text]], "np.ndarray"]


Sources = Mapping[Head, PatternSource]

MEMORY = 2**29  # bytes of patterns that are kept for several passes over a batch
PROGRAMS = "programs"  # the kind of pattern that is neither a baseline nor a control


@dataclass
class Memo:
    """Arrays by key, computed once as long as they fit into `limit` bytes, and anew on every request after that."""

    limit: int
    used: int = 0
    kept: dict[Hashable, Any] = field(default_factory=dict)

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The array (anything with `nbytes`) under `key`."""
        if key in self.kept:
            return self.kept[key]
        value = compute()
        if self.used + value.nbytes <= self.limit:
            self.kept[key] = value
            self.used += value.nbytes
        return value


def uniform(texts: Sequence[Text]) -> np.ndarray:
    """Every token attends equally to all keys it may see. (text, query, key)"""
    import numpy as np

    known = [text.ids if isinstance(text, Text) else tuple(text) for text in texts]  # type: ignore[arg-type]
    size = max(map(len, known))
    result = np.zeros((len(texts), size, size), dtype=np.float32)
    for matrix, text in zip(result, texts, strict=True):
        matrix[: len(text), : len(text)] = 1 / len(text)
    return result


def previous_token(texts: Sequence[Text]) -> np.ndarray:
    """Every token attends to the one before it, the first to itself. (text, query, key)"""
    import numpy as np

    known = [text.ids if isinstance(text, Text) else tuple(text) for text in texts]  # type: ignore[arg-type]
    size = max(map(len, known))
    result = np.zeros((len(texts), size, size), dtype=np.float32)
    for matrix, text in zip(result, texts, strict=True):
        positions = np.arange(len(text))
        matrix[positions, np.maximum(positions - 1, 0)] = 1
    return result


@dataclass(frozen=True, eq=False)
class MeanAttention:
    """A head's mean attention by position: matrix (n, n), n the longest text it was taken from. A pattern source."""

    matrix: np.ndarray

    def __call__(self, texts: Sequence[Text]) -> np.ndarray:
        """(text, query, key): the part of the mean matrix that the text covers, every row divided by its sum.

        Rows past the matrix use its last row by distance, with the weight of position 0 left there.
        """
        import numpy as np

        known, size = len(self.matrix), max(map(len, texts))
        mean = np.zeros((max(size, known),) * 2, dtype=np.float32)
        mean[:known, :known] = self.matrix
        for row in range(known, size):
            mean[row, row - known + 1 : row + 1] = self.matrix[-1]
            mean[row, row - known + 1] = 0
            mean[row, 0] = self.matrix[-1, 0]
        result = np.zeros((len(texts), size, size), dtype=np.float32)
        for matrix, text in zip(result, texts, strict=True):
            part = mean[: len(text), : len(text)]
            total = part.sum(-1, keepdims=True)
            matrix[: len(text), : len(text)] = part / np.where(total > 0, total, 1)
        return result


def mean_attention(store: AttentionStore, heads: Iterable[Head]) -> dict[Head, MeanAttention]:
    """The mean attention of the heads over the store's texts: cell (q, k) is the mean over the texts that have a token q."""
    import numpy as np

    size, lengths = max(store.lengths), np.array(store.lengths)
    count = (lengths[:, None] > np.arange(size)).sum(0)  # (size,)
    found = {}
    for layer, head in heads:
        total = np.zeros((size, size), dtype=np.float32)
        for text, n in enumerate(store.lengths):
            total[:n, :n] += store.matrix(layer, head, text)
        found[layer, head] = MeanAttention(total / count[:, None])
    return found


def model_inputs(model: Any, texts: Sequence[Text] | Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """input_ids and attention_mask (text, token) of texts, or of token ids, on the model's device, padded on the right."""
    import torch

    known = [text.ids if isinstance(text, Text) else tuple(text) for text in texts]  # type: ignore[arg-type]
    size = max(map(len, known))
    pad = getattr(model.config.get_text_config(), "pad_token_id", None) or 0
    ids = torch.full((len(texts), size), pad)
    mask = torch.zeros((len(texts), size), dtype=torch.long)
    for row, own in enumerate(known):
        ids[row, : len(own)] = torch.tensor(own)
        mask[row, : len(own)] = 1
    return {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)}


def lazily(sources: Sources, texts: Sequence[Text], memo: Memo) -> dict[Head, PatternMaker]:
    """The patterns (text, query, key) of every head in `sources`, each made when its layer runs and, in `memo`, made once."""

    def maker(source: PatternSource) -> PatternMaker:
        def make() -> torch.Tensor:
            import torch

            return torch.from_numpy(memo.get(source, lambda: source(texts)))

        return make

    return {head: maker(source) for head, source in sources.items()}


def program_patterns(
    tokenizer: Any,
    sources: Mapping[Head, PatternSource],
    embed: Callable[[Sequence[int]], np.ndarray] | None = None,
    annotator: Annotator | None = None,
) -> PatternFunction:
    """What `replace_heads` takes to run programs on whatever goes through the model: `generate`, one's own experiments.

        with replace_heads(model, program_patterns(tokenizer, sources)):
            model.generate(**inputs)

    embed: ids -> (n, d) unit rows, as in `Text.embeddings`. Padding may stand on either side. Each head's patterns are made when
    its layer runs, so that memory holds those of one head at a time.
    """

    def patterns(input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> dict[Head, PatternMaker]:
        import torch

        from harness.annotate import annotate

        mask = torch.ones_like(input_ids) if attention_mask is None or attention_mask.ndim != 2 else attention_mask
        places = [row.nonzero()[:, 0].cpu() for row in mask]
        texts = [text_of(tokenizer, ids[at.to(ids.device)].tolist()) for ids, at in zip(input_ids, places, strict=True)]
        if annotator is not None:
            texts = list(annotate(texts, annotator))
        if embed is not None:
            texts = [replace(text, embeddings=embed(text.ids)) for text in texts]
        kept: dict[PatternSource, torch.Tensor] = {}  # of the last source alone: heads of one layer may share it

        def make(source: PatternSource) -> torch.Tensor:
            if source not in kept:
                kept.clear()
                kept[source] = torch.zeros(*input_ids.shape, input_ids.shape[1])
                for padded, matrix, at in zip(kept[source], torch.from_numpy(source(texts)), places, strict=True):
                    padded[at[:, None], at] = matrix[: len(at), : len(at)]
            return kept[source]

        return {head: partial(make, source) for head, source in sources.items()}

    return patterns


def text_of(tokenizer: Any, ids: Sequence[int]) -> Text:
    """The text that these tokens make, as `view` would give it, also where the tokenizer would cut the text otherwise."""
    from harness.decoding import decoded_tokens
    from harness.tokens import begins_word, recover_offsets, view

    string = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    text = view(tokenizer, string, len(ids))
    if text.ids == tuple(ids):
        return text
    pieces = tuple(tokenizer.convert_ids_to_tokens(ids))
    special = tuple(i in set(tokenizer.all_special_ids) for i in ids)
    offsets = tuple(recover_offsets(pieces, special, string))
    return Text(
        text=string,
        tokens=decoded_tokens(tokenizer, ids, pieces, string, offsets),
        ids=tuple(ids),
        offsets=offsets,
        special=special,
        word_start=tuple(start == end or begins_word(string, start) for start, end in offsets),
        alignment=((),) * len(ids),
        pieces=pieces,
    )
