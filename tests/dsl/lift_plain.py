"""Plain execution of trusted test programs, with the least of an environment: the oracle for lifting without a sandbox."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from dsl.text import Text, char_similarity


class Ids(list[Any]):
    """Token ids as a tensor of one or two dimensions would answer."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), len(self[0])) if self and isinstance(self[0], list) else (len(self),)


class Encoding(dict[str, Any]):
    def __init__(self, ids: Any, words: list[int | None]):
        super().__init__(input_ids=ids)
        self.input_ids = ids
        self._words = words

    def word_ids(self) -> list[int | None]:
        return self._words


class Tokenizer:
    def __init__(self, text: Text):
        self.text = text
        self.ids = [list(dict.fromkeys(text.pieces)).index(t) for t in text.pieces]
        self.cls_token = "[CLS]"

    def __call__(self, sentence: Any, return_tensors: Any = None) -> Encoding:
        batch = return_tensors is not None or isinstance(sentence, list)
        words: list[int | None] = []
        number = -1
        for special, start in zip(self.text.special, self.text.word_start, strict=True):
            number += not special and (start or number < 0)
            words.append(None if special else number)
        return Encoding(Ids([Ids(self.ids)]) if batch else Ids(self.ids), words)

    def encode(self, sentence: str) -> Ids:
        return Ids(self.ids)

    def convert_ids_to_tokens(self, ids: Any) -> list[str]:
        return list(self.text.pieces)


class Token:
    """A word as spaCy's Token shows it, as far as the tests' programs look."""

    def __init__(self, doc: Doc, i: int):
        word = doc.text.words[i]
        self.doc, self.i = doc, i
        self.text, self.pos_, self.tag_, self.dep_, self.lemma_ = word.text, word.pos, word.tag, word.dep, word.lemma
        self.ent_type_, self.is_stop, self.is_punct, self.is_sent_start = (
            word.ent_type,
            word.is_stop,
            word.is_punct,
            word.is_sent_start,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and other.i == self.i

    def __hash__(self) -> int:
        return self.i

    @property
    def head(self) -> Token:
        return self.doc[self.doc.text.words[self.i].head]

    @property
    def children(self) -> list[Token]:
        return [t for t in self.doc if t.head == self and t != self]

    @property
    def lefts(self) -> list[Token]:
        return [t for t in self.children if t.i < self.i]

    @property
    def ancestors(self) -> list[Token]:
        found: list[Token] = []
        here = self
        while here.head != here:
            here = here.head
            found.append(here)
        return found

    @property
    def sent(self) -> Any:
        number = self.doc.text.words[self.i].sent
        return next(s for s in self.doc.sents if s.number == number)


class Sentence(list[Token]):
    def __init__(self, number: int, tokens: list[Token]):
        super().__init__(tokens)
        self.number, self.start = number, tokens[0].i


class Doc(list[Token]):
    def __init__(self, text: Text):
        self.text = text
        super().__init__()
        self.extend(Token(self, i) for i in range(len(text.words)))

    @property
    def sents(self) -> list[Sentence]:
        numbers = dict.fromkeys(w.sent for w in self.text.words)
        return [Sentence(s, [t for t in self if self.text.words[t.i].sent == s]) for s in numbers]


def stochastic(matrix: Any) -> np.ndarray:
    clipped = np.maximum(np.asarray(matrix, float), 0)
    total = clipped.sum(-1, keepdims=True)
    return np.divide(clipped, total, out=np.zeros_like(clipped), where=total > 0)


def run_plainly(source: str, text: Text, causal: bool) -> np.ndarray:
    """(n, n): the program's pattern, clipped at 0, masked where causal, rows normalised."""

    def at(value: Any) -> int:
        return value if isinstance(value, int) else text.pieces.index(value)

    environment: dict[str, Any] = {
        "np": np,
        "make_row_stochastic": stochastic,
        "apply_causal_mask": lambda m: np.tril(np.asarray(m, float)),
        "spacy_parse": lambda sentence: Doc(text),
        "_align_to_spacy": lambda *_: [list(a) for a in text.alignment],
        "align_spacy_to_tokens": lambda *_: [list(a) for a in text.alignment],
        "embedding_similarity": lambda *args: float(text.similarity[at(args[-2]), at(args[-1])]),
        "_char_sim": char_similarity,
        "print": lambda *_: None,
        "__name__": "program",
    }
    functions = SimpleNamespace(last=None)
    with np.errstate(all="ignore"):
        exec(compile(source, "program", "exec", dont_inherit=True), environment)
        for value in list(environment.values()):
            code = getattr(value, "__code__", None)
            if code is not None and code.co_filename == "program" and code.co_argcount == 2:
                functions.last = value
        _, matrix = functions.last(text.text, Tokenizer(text))
    matrix = np.asarray(matrix, float)
    return stochastic(np.tril(np.maximum(matrix, 0)) if causal else matrix)
