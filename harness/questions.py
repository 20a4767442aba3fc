"""The options of a question in one sequence: the context once, then the options' tokens, each option blind to the others.

    context | option 1 | option 2 | option 3        positions: each option goes on where the context ends

A causal model gives every option the log-likelihood that it would have by itself, for the price of one context. Programs' patterns
are computed on each option's own text and put where its tokens are. Models for which the two ways do not agree (they are tried) get
a sequence for each option.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, Any

from dsl.text import Text
from harness.measure import Sums
from harness.patterns import MEMORY, Memo, PatternSource, Sources
from harness.replace import Head, PatternMaker, run

if TYPE_CHECKING:
    import numpy as np
    import torch

TREE_CELLS = 2**18  # query x key cells of a batch at most, unless it is one tree
TOLERANCE = 1e-3  # nats by which an option's log-likelihood may differ between the two ways


@dataclass(frozen=True, eq=False)
class Tree:
    """Options that share their first `shared` tokens. starts: for each text its first token to be scored; owner: of the first.

    An option's last token is predicted and predicts nothing, so it is not in the sequence.
    """

    owner: int
    texts: tuple[Text, ...]
    starts: tuple[int, ...]
    shared: int

    def __len__(self) -> int:
        return self.shared + sum(len(text) - 1 - self.shared for text in self.texts)

    @cached_property
    def places(self) -> list[np.ndarray]:
        """For each text, where its tokens but the last are in the sequence."""
        import numpy as np

        found, at = [], self.shared
        for text in self.texts:
            own = len(text) - 1 - self.shared
            found.append(np.concatenate([np.arange(self.shared), np.arange(at, at + own)]))
            at += own
        return found

    @cached_property
    def reads(self) -> np.ndarray:
        """(reads, 3) int64: owner, position in the sequence that predicts, expected token."""
        import numpy as np

        rows = [
            (self.owner + i, places[position - 1], text.ids[position])
            for i, (text, start, places) in enumerate(zip(self.texts, self.starts, self.places, strict=True))
            for position in range(start, len(text))
        ]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class Grove:
    """Trees that go through the model together."""

    trees: tuple[Tree, ...]

    @property
    def size(self) -> int:
        return max(map(len, self.trees))

    @property
    def texts(self) -> list[Text]:
        return [text for tree in self.trees for text in tree.texts]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what is read where."""
        parts = [(t.owner, t.shared, t.starts, [text.ids for text in t.texts]) for t in self.trees]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Forest:
    """The options of all questions in batches. texts: how many options there are."""

    batches: tuple[Grove, ...]
    texts: int


def forest(options: Sequence[Sequence[tuple[Text, int]]], together: bool, most: int = 16) -> Forest:
    """Questions as their options (text, first token to be scored), the options of each in one sequence where `together`."""
    trees, owner = [], 0
    for question in options:
        texts, starts = zip(*question, strict=True)
        if together:
            trees.append(Tree(owner, texts, starts, _shared([t.ids for t in texts], min(starts))))
        else:
            trees += [Tree(owner + i, (text,), (start,), 0) for i, (text, start) in enumerate(question)]
        owner += len(question)
    groups: list[list[Tree]] = []
    for tree in sorted(trees, key=len):
        if groups and len(groups[-1]) < most and (len(groups[-1]) + 1) * len(tree) ** 2 <= TREE_CELLS:
            groups[-1].append(tree)
        else:
            groups.append([tree])
    return Forest(tuple(Grove(tuple(group)) for group in groups), owner)


def _shared(ids: Sequence[Sequence[int]], most: int) -> int:
    """How many first tokens all have in common, `most` at most."""
    same = 0
    while same < most and len({row[same] for row in ids}) == 1:
        same += 1
    return same


def can_share(model: Any, options: Sequence[tuple[Text, int]]) -> bool:
    """Whether the model gives these options the same log-likelihoods in one sequence as in one each."""
    if "position_ids" not in signature(model.forward).parameters:
        return False

    def scored(together: bool) -> dict[float, float]:
        parts = [next(measure_trees(model, grove, [{}])) for grove in forest([options], together).batches]
        return {owner: nll for part in parts for owner, nll in zip(part["owner"], part["nll"], strict=True)}

    alone = scored(False)
    try:
        shared = scored(True)
    except Exception:  # whatever a foreign model raises, it takes no such mask
        return False
    return all(abs(shared[owner] - nll) < TOLERANCE for owner, nll in alone.items())


def measure_trees(model: Any, grove: Grove, cases: Iterable[Sources], memory: int = MEMORY) -> Iterator[Sums]:
    """For each case in turn, the options' negative log-likelihoods "nll" (nats) with its heads replaced, and their "tokens"."""
    import numpy as np
    import torch

    inputs, memo = _inputs(model, grove), Memo(memory)
    reads = np.concatenate([np.column_stack([np.full(len(t.reads), row), t.reads]) for row, t in enumerate(grove.trees)])
    rows, owner, positions, expected = torch.from_numpy(reads).unbind(1)
    owners, of = np.unique(owner.numpy(), return_inverse=True)
    options: dict[str, Any] = {"use_cache": False}
    if "logits_to_keep" in signature(model.forward).parameters:
        kept, positions = positions.unique(return_inverse=True)
        options["logits_to_keep"] = kept.to(model.device)
    for sources in cases:
        with torch.no_grad():
            logits = run(model, inputs, _spread(sources, grove, memo), **options).logits[rows, positions]
            log_p = logits.float().log_softmax(-1).gather(-1, expected.to(logits.device)[:, None])[:, 0]
        nll = np.bincount(of, -log_p.cpu().double().numpy(), len(owners))
        yield {"owner": owners.tolist(), "nll": nll.tolist(), "tokens": np.bincount(of).astype(float).tolist()}


def _inputs(model: Any, grove: Grove) -> dict[str, torch.Tensor]:
    """input_ids and position_ids (B, N), attention_mask (B, 1, N, N): 0 where attention is allowed, else the dtype's minimum.

    Sequences of one text have the model's own mask and positions.
    """
    import torch

    from harness.patterns import model_inputs

    if all(len(tree.texts) == 1 for tree in grove.trees):
        return model_inputs(model, [text.ids[:-1] for text in grove.texts])
    size = grove.size
    ids, positions = torch.zeros((2, len(grove.trees), size), dtype=torch.long)
    allowed = torch.zeros(len(grove.trees), size, size, dtype=torch.bool)
    allowed[:, :, 0] = True  # padding must see something
    for row, tree in enumerate(grove.trees):
        for text, places in zip(tree.texts, tree.places, strict=True):
            at = torch.from_numpy(places)
            ids[row, at] = torch.tensor(text.ids[:-1])
            positions[row, at] = torch.arange(len(at))
            allowed[row, at[:, None], at] = torch.ones(len(at), len(at), dtype=torch.bool).tril()
    mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)[:, None]
    named = {"input_ids": ids, "position_ids": positions, "attention_mask": mask.to(model.dtype)}
    return {name: tensor.to(model.device) for name, tensor in named.items()}


def _spread(sources: Sources, grove: Grove, memo: Memo) -> Mapping[Head, PatternMaker]:
    """The patterns (B, N, N) of every head for these sequences, each made when its layer runs."""

    def maker(source: PatternSource) -> PatternMaker:
        def compute() -> np.ndarray:
            import numpy as np

            own = source(grove.texts)  # (options, n, n)
            found = np.zeros((len(grove.trees), grove.size, grove.size), dtype=np.float32)
            at = 0
            for row, tree in enumerate(grove.trees):
                for i, places in enumerate(tree.places):
                    first = tree.shared if i else 0  # the rows of what is shared are those of the first text
                    found[row][np.ix_(places[first:], places)] = own[at, first : len(places), : len(places)]
                    at += 1
            return found

        def make() -> torch.Tensor:
            import torch

            return torch.from_numpy(memo.get(source, compute))

        return make

    return {head: maker(source) for head, source in sources.items()}
