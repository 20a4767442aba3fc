"""Attention matrices small enough for a page: whole ten-thousandths, one program's once, deflated, in base64."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsl.nodes import Program
from dsl.text import Text
from harness.report.fired import fired

if TYPE_CHECKING:
    import numpy as np

    from harness.attention import AttentionStore

SCALE = 10_000  # weights are kept as whole numbers of 1 / SCALE
MOST_TOKENS = 40  # of a text that are shown: axes with more labels cannot be read side by side
FEWEST_TOKENS = 8  # shorter texts show too little, if there are others


@dataclass(frozen=True)
class Shown:
    """A text as the page shows it, and its matrices: packed, one string per head and per program."""

    text: int  # index in its split
    tokens: tuple[str, ...]
    length: int  # tokens of the whole text
    heads: tuple[str, ...]  # the model's matrices
    programs: tuple[str, ...]  # the programs' matrices, and behind them the rules that fired, one bit per cell

    @property
    def size(self) -> int:
        """Bytes of the packed matrices."""
        return sum(map(len, self.heads)) + sum(map(len, self.programs))


def choose(lengths: Sequence[int], count: int) -> list[int]:
    """The texts to show: the first ones of the split that are long enough, then the others."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i] < FEWEST_TOKENS, i))
    return order[:count]


def shown(
    texts: Sequence[Text],
    store: AttentionStore,
    heads: Sequence[tuple[int, int]],
    programs: Sequence[Program],
    causal: bool,
    window: int | None,
    count: int,
) -> Iterator[Shown]:
    """At most `count` texts with the matrices of these heads and programs; computed as they are asked for.

    Programs are evaluated on the whole text; then the first MOST_TOKENS queries and keys are kept.
    """
    from dsl.batch import Batch
    from dsl.evaluator import evaluate

    for index in choose([len(t) for t in texts], count):
        text = texts[index]
        n = min(len(text), MOST_TOKENS)
        batch = Batch([text], causal, window)
        packed = []
        for program in programs:
            weights = evaluate(program, batch)[0, :n, :n]
            packed.append(pack(quantised(weights) + bits(fired(program, batch)[:, 0, :n, :n])))
        true = [pack(quantised(store.matrix(layer, head, index)[:n, :n])) for layer, head in heads]
        yield Shown(index, text.tokens[:n], len(text), tuple(true), tuple(packed))


def quantised(matrix: np.ndarray) -> bytes:
    """(n, n) weights from 0 to 1, row-major: n * n high bytes, then n * n low bytes (apart they deflate better)."""
    import numpy as np

    whole = np.rint(np.clip(np.asarray(matrix, np.float64), 0, 1) * SCALE).astype(np.uint16).ravel()
    return (whole >> 8).astype(np.uint8).tobytes() + (whole & 255).astype(np.uint8).tobytes()


def bits(where: np.ndarray) -> bytes:
    """(rules, n, n) bool: for each rule n * n bits, first cell in the highest bit, filled up to whole bytes."""
    import numpy as np

    return b"".join(np.packbits(rule.ravel()).tobytes() for rule in where)


def pack(content: bytes) -> str:
    """Deflated (zlib), base64."""
    return base64.b64encode(zlib.compress(content, 9)).decode()


def shared_window(model: dict[str, Any]) -> int | None:
    """The attention window that all layers have, as programs were scored; None without one or where layers differ."""
    windows = set(model["windows"])
    return windows.pop() if len(windows) == 1 else None
