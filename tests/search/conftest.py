"""Small problems with known answers: random texts, and the patterns of given programs on them as targets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dsl import Batch, evaluate, parse
from dsl.text import Text, plain_text
from search.problem import Problem

WORDS = ["<s>", " the", " a", " cat", " dog", " ran", " saw", ".", ",", " b", "ig", " L", "ily", "s"]


def random_texts(number: int, seed: int, low: int = 12, high: int = 30) -> list[Text]:
    rng = np.random.default_rng(seed)
    return [plain_text(["<s>", *rng.choice(WORDS[1:], int(rng.integers(low, high)))]) for _ in range(number)]


@pytest.fixture
def planted() -> Callable[..., Problem]:
    """planted(programs, …): a problem whose heads attend exactly as the programs say."""

    def build(
        *programs: str, number: int = 12, seed: int = 0, causal: bool = True, dtype: type = np.float16, high: int = 30
    ) -> Problem:
        texts = random_texts(number, seed, high=high)
        heads = []
        for program in programs:
            patterns = evaluate(parse(program), Batch(texts, causal=causal))
            heads.append(np.concatenate([p[: len(t), : len(t)].ravel() for p, t in zip(patterns, texts, strict=True)]))
        return Problem(texts, causal, np.array(heads).astype(dtype))

    return build
