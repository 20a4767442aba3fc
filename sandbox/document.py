"""Read-only stand-ins for spaCy's Doc, Span and Token, made from plain data.

They answer like spaCy's (children, lefts, subtree, sents are iterators; conjuncts and ents are tuples) for what a Text
knows. What would need a pipeline (vectors, noun chunks, integer symbols) raises an error that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sandbox.morph import Morph

QUOTES = frozenset("\"'`´‘’‚‛“”„‟«»‹›") | {"''", "``"}
BRACKETS = frozenset("()[]{}<>")
CURRENCY = frozenset("$€£¥₹₽¢₩₿")


class Token:
    """One annotated word; equal only to itself, ordered by position."""

    __slots__ = (
        "_children", "_head", "_sent", "dep_", "doc", "ent_iob_", "ent_type_", "i", "idx", "is_alpha",
        "is_ascii", "is_bracket", "is_currency", "is_digit", "is_lower", "is_punct", "is_quote",
        "is_sent_end", "is_sent_start", "is_space", "is_stop", "is_title", "is_upper", "lemma_", "like_num",
        "lower_", "morph", "norm_", "orth_", "pos_", "prefix_", "shape_", "suffix_", "tag_", "text",
        "text_with_ws", "whitespace_",
    )  # fmt: skip

    def __init__(self, doc: Doc, i: int, word: Mapping[str, Any]):
        text = word["text"]
        self.doc, self.i, self.idx = doc, i, word["idx"]
        self.text = self.orth_ = text
        self.lemma_, self.pos_, self.tag_, self.dep_ = word["lemma"], word["pos"], word["tag"], word["dep"]
        self.ent_type_, self.ent_iob_ = word["ent_type"], word["ent_iob"]
        self.shape_, self.whitespace_, self.morph = word["shape"], word["whitespace"], Morph(word["morph"])
        self.lower_ = self.norm_ = text.lower()
        self.prefix_, self.suffix_, self.text_with_ws = text[:1], text[-3:], text + word["whitespace"]
        self.is_alpha, self.is_digit, self.is_ascii = text.isalpha(), text.isdigit(), text.isascii()
        self.is_title, self.is_upper, self.is_lower = text.istitle(), text.isupper(), text.islower()
        self.is_stop, self.is_punct, self.is_space = word["is_stop"], word["is_punct"], word["is_space"]
        self.like_num, self.is_sent_start, self._sent = word["like_num"], word["is_sent_start"], word["sent"]
        self.is_quote, self.is_bracket, self.is_currency = text in QUOTES, text in BRACKETS, text in CURRENCY
        self.is_sent_end = False
        self._head = i
        self._children: list[int] = []

    # the tree

    @property
    def head(self) -> Token:
        return self.doc[self._head]

    @property
    def children(self) -> Iterator[Token]:
        return iter([self.doc[c] for c in self._children])

    @property
    def lefts(self) -> Iterator[Token]:
        return iter([self.doc[c] for c in self._children if c < self.i])

    @property
    def rights(self) -> Iterator[Token]:
        return iter([self.doc[c] for c in self._children if c > self.i])

    @property
    def n_lefts(self) -> int:
        return sum(c < self.i for c in self._children)

    @property
    def n_rights(self) -> int:
        return sum(c > self.i for c in self._children)

    @property
    def ancestors(self) -> Iterator[Token]:
        return iter(self._ancestors())

    def _ancestors(self) -> list[Token]:
        found: list[Token] = []
        at = self
        while at._head != at.i and len(found) < len(self.doc):
            at = self.doc[at._head]
            found.append(at)
        return found

    def is_ancestor(self, descendant: Token) -> bool:
        return any(self is token for token in descendant.ancestors)

    @property
    def subtree(self) -> Iterator[Token]:
        return iter(self._subtree())

    def _subtree(self) -> list[Token]:
        seen, waiting = {self.i}, [self.i]
        while waiting:
            new = [c for c in self.doc[waiting.pop()]._children if c not in seen]
            seen.update(new)
            waiting += new
        return [self.doc[i] for i in sorted(seen)]

    @property
    def left_edge(self) -> Token:
        return self._subtree()[0]

    @property
    def right_edge(self) -> Token:
        return self._subtree()[-1]

    @property
    def conjuncts(self) -> tuple[Token, ...]:
        first = self
        while first.dep_ == "conj" and first._head != first.i:
            first = first.head
        found, waiting = [first], [first]
        while waiting:
            new = [self.doc[c] for c in waiting.pop()._children if self.doc[c].dep_ == "conj"]
            new = [token for token in new if token not in found]
            found += new
            waiting += new
        return tuple(sorted((token for token in found if token is not self), key=lambda token: token.i))

    # the neighbourhood

    @property
    def sent(self) -> Span:
        return self.doc._sentence(self._sent)

    def nbor(self, i: int = 1) -> Token:
        if not 0 <= self.i + i < len(self.doc):
            raise IndexError(f"there is no word {i} away from word {self.i}")
        return self.doc[self.i + i]

    @property
    def is_left_punct(self) -> bool:
        return self.text in {"(", "[", "{", "<", "“", "‘", "«", "``"}

    @property
    def is_right_punct(self) -> bool:
        return self.text in {")", "]", "}", ">", "”", "’", "»", "''"}

    @property
    def has_vector(self) -> bool:
        return False

    is_oov = has_vector

    def similarity(self, other: object) -> float:
        raise ValueError("words have no vectors in the sandbox: use embedding_similarity")

    def __len__(self) -> int:
        return len(self.text)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def __lt__(self, other: Token) -> bool:
        return self.i < other.i

    def __le__(self, other: Token) -> bool:
        return self.i <= other.i

    def __gt__(self, other: Token) -> bool:
        return self.i > other.i

    def __ge__(self, other: Token) -> bool:
        return self.i >= other.i


class Span:
    """Consecutive words: a sentence, an entity or a slice of the document."""

    __slots__ = ("doc", "end", "label_", "start")

    def __init__(self, doc: Doc, start: int, end: int, label: str = ""):
        self.doc, self.start, self.end, self.label_ = doc, start, max(start, end), label

    def _tokens(self) -> Sequence[Token]:
        return self.doc._tokens[self.start : self.end]

    @property
    def root(self) -> Token:
        """The word whose governor lies outside the span, or that governs itself."""
        for token in self._tokens():
            if token._head == token.i or not self.start <= token._head < self.end:
                return token
        raise ValueError("an empty span has no root")

    @property
    def text(self) -> str:
        return self.text_with_ws.removesuffix(self._tokens()[-1].whitespace_) if len(self) else ""

    orth_ = text

    @property
    def text_with_ws(self) -> str:
        return "".join(token.text_with_ws for token in self._tokens())

    @property
    def lemma_(self) -> str:
        return "".join(token.lemma_ + token.whitespace_ for token in self._tokens()).strip()

    @property
    def start_char(self) -> int:
        return self[0].idx

    @property
    def end_char(self) -> int:
        return self[-1].idx + len(self[-1].text)

    @property
    def sent(self) -> Span:
        return self[0].sent

    @property
    def ents(self) -> tuple[Span, ...]:
        return tuple(e for e in self.doc.ents if self.start <= e.start and e.end <= self.end)

    @property
    def subtree(self) -> Iterator[Token]:
        return iter(sorted({t for token in self._tokens() for t in token._subtree()}, key=lambda t: t.i))

    def __len__(self) -> int:
        return self.end - self.start

    def __iter__(self) -> Iterator[Token]:
        return iter(self._tokens())

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            start, stop, _ = at.indices(len(self))
            return Span(self.doc, self.start + start, self.start + stop)
        return self._tokens()[at]

    def __contains__(self, token: object) -> bool:
        return any(token is own for own in self._tokens())

    def __eq__(self, other: object) -> bool:
        return type(other) is Span and (self.doc, self.start, self.end) == (other.doc, other.start, other.end)

    def __hash__(self) -> int:
        return hash((self.start, self.end))

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


class Doc:
    """The annotated words of a text."""

    __slots__ = ("_sentences", "_tokens", "text")

    def __init__(self, text: str, words: Sequence[Mapping[str, Any]]):
        self.text = text
        self._tokens = tuple(Token(self, i, word) for i, word in enumerate(words))
        self._sentences: list[Span] = []
        for token, word in zip(self._tokens, words, strict=True):
            token._head = word["head"]
            if token._head != token.i:
                self._tokens[token._head]._children.append(token.i)
            new = token.i == 0 or token._sent != self._tokens[token.i - 1]._sent
            if new:
                self._sentences.append(Span(self, token.i, token.i + 1))
            else:
                self._sentences[-1].end = token.i + 1
            token._sent = len(self._sentences) - 1
        for sentence in self._sentences:
            sentence[-1].is_sent_end = True

    def _sentence(self, number: int) -> Span:
        return self._sentences[number]

    @property
    def sents(self) -> Iterator[Span]:
        return iter(list(self._sentences))

    @property
    def ents(self) -> tuple[Span, ...]:
        spans: list[Span] = []
        for token in self._tokens:
            if token.ent_iob_ == "B" or (token.ent_iob_ == "I" and not (spans and spans[-1].end == token.i)):
                spans.append(Span(self, token.i, token.i + 1, token.ent_type_))
            elif token.ent_iob_ == "I":
                spans[-1].end = token.i + 1
        return tuple(spans)

    @property
    def noun_chunks(self) -> Iterator[Span]:
        raise ValueError("noun_chunks are not available in the sandbox: use pos_, dep_ and children")

    def __len__(self) -> int:
        return len(self._tokens)

    def __iter__(self) -> Iterator[Token]:
        return iter(self._tokens)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            start, stop, _ = at.indices(len(self))
            return Span(self, start, stop)
        return self._tokens[at]

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__
