"""One text as a program meets it: the functions and names of the environment that proposals may use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from sandbox.document import Doc
from sandbox.facades import MODULES, reseed
from sandbox.guards import BUILTINS, GUARDS
from sandbox.tokenizer import Tokenizer


class Inputs:
    """One text, prepared once; every call gets a namespace of its own."""

    def __init__(self, text: Mapping[str, Any], similarity: bytes):
        n = len(text["tokens"])
        self.sentence: str = text["text"]
        self.tokens: tuple[str, ...] = tuple(text["tokens"])
        self.alignment = [tuple(words) for words in text["alignment"]]
        self.similarity = np.frombuffer(similarity, dtype="<f4").reshape(n, n)
        self.position = {token: i for i, token in reversed(list(enumerate(self.tokens)))}
        self.tokenizer = Tokenizer(text)
        self.doc = Doc(self.sentence, text["words"]) if text["annotated"] else None

    def namespace(self) -> dict[str, Any]:
        """Fresh globals for one call; random numbers start anew."""
        reseed()
        return {
            "__builtins__": BUILTINS,
            "__name__": "program",
            **GUARDS,
            "_module_": MODULES.__getitem__,
            "np": MODULES["numpy"],
            "make_row_stochastic": make_row_stochastic,
            "apply_causal_mask": apply_causal_mask,
            "spacy_parse": self.spacy_parse,
            "$align_to_spacy": self.align,
            "align_spacy_to_tokens": self.align,
            "embedding_similarity": self.embedding_similarity,
            "$char_sim": char_sim,
        }

    def spacy_parse(self, sentence: Any) -> Doc:
        doc = self.annotated()
        if type(sentence) is not str or sentence != self.sentence:
            raise ValueError("spacy_parse knows only the sentence of this call")
        return doc

    def annotated(self) -> Doc:
        if self.doc is None:
            raise ValueError("the text has no annotation: an annotator is needed (--annotator)")
        return self.doc

    def align(self, *_: Any, **__: Any) -> list[list[int]]:
        """For each token the indices of the spaCy words that share a character with it."""
        self.annotated()
        return [list(words) for words in self.alignment]

    def embedding_similarity(self, *arguments: Any) -> float:
        """embedding_similarity(tokens, i, j) for positions, or (a, b) for positions or token strings of this text."""
        if len(arguments) not in (2, 3):
            raise TypeError("embedding_similarity takes (tokens, i, j) or (a, b)")
        a, b = (self._position(value) for value in arguments[-2:])
        return float(self.similarity[a, b])

    def _position(self, value: Any) -> int:
        if isinstance(value, str):
            if value not in self.position:
                raise ValueError("embedding_similarity knows only the tokens of this text, as the tokenizer spells them")
            return self.position[value]
        if isinstance(value, (int, np.integer)):
            return int(value)
        raise TypeError(f"embedding_similarity takes positions or token strings, not {type(value).__name__}")


def make_row_stochastic(matrix: Any) -> np.ndarray:
    """Negative cells become 0, then each row is divided by its sum; a row of zeros stays zeros. Returns a new array."""
    clipped = np.maximum(np.asarray(matrix, dtype=float), 0.0)
    total = clipped.sum(axis=-1, keepdims=True)
    return np.divide(clipped, total, out=np.zeros_like(clipped), where=total > 0)


def apply_causal_mask(matrix: Any) -> np.ndarray:
    """Cells with key > query become 0; rows are not normalised. Returns a new array."""
    return np.tril(np.asarray(matrix, dtype=float))


def char_sim(a: Any, b: Any) -> float:
    """dsl.text.char_similarity of two strings (not imported: the zygote holds as little code as possible)."""
    if not (isinstance(a, str) and isinstance(b, str)):
        raise TypeError("_char_sim takes two strings")
    return 2 * (Counter(a) & Counter(b)).total() / (len(a) + len(b)) if a or b else 1.0
