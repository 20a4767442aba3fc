"""What a program sees of one text: its tokens and, where an annotator ran, its annotated words.

Everything here is plain data, so that it can be stored, sent to a jailed process, and compared.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Word:
    """One token of the annotator (spaCy), with the attributes programs read. Names follow spaCy without the underscore."""

    text: str
    idx: int  # character offset of the word in the text
    lemma: str = ""
    pos: str = ""
    tag: str = ""
    dep: str = ""
    head: int = 0  # index of the governing word; a root governs itself
    ent_type: str = ""
    ent_iob: str = ""
    morph: str = ""
    shape: str = ""
    whitespace: str = ""
    sent: int = 0  # index of the sentence
    is_sent_start: bool = False
    is_stop: bool = False
    is_punct: bool = False
    is_space: bool = False
    like_num: bool = False


@dataclass(frozen=True, slots=True)
class Encoding:
    """What a text's tokenizer answers to the questions that programs put to it beyond the tokens; n entries each.

    offsets and words are as the tokenizer reports them: offsets may begin with a token's leading space, and what counts as
    a word is the pre-tokenizer's affair (None for what the tokenizer added; all None where it is slow and does not tell).
    decoded[i] is decode([ids[i]]): WordPiece keeps "##" of a single token, SentencePiece drops its leading space.
    facts is a JSON object about the tokenizer itself, the same for all its texts: see harness/encodings.py.
    """

    offsets: tuple[tuple[int, int], ...]  # characters [start, end)
    words: tuple[int | None, ...]
    added: tuple[bool, ...]  # the tokenizer put the token there: it stands for none of the text's characters
    decoded: tuple[str, ...]
    facts: str


@dataclass(frozen=True, eq=False)
class Text:
    """One text as the target model reads it; n = len(tokens).

    tokens are decoded (" the", "\\n"; see dsl.decoding), pieces the strings of `convert_ids_to_tokens`; where only tokens are
    given, they are the pieces too. alignment[i] lists the annotated words that share at least one character with token i (empty
    without an annotator and for special tokens).
    embeddings (n, d) float32 are the rows of the model's input embedding, each of length 1.
    """

    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...] = ()
    offsets: tuple[tuple[int, int], ...] = ()  # characters [start, end) of each token; (0, 0) for special tokens
    special: tuple[bool, ...] = ()
    word_start: tuple[bool, ...] = ()  # the token begins a whitespace-separated word or a punctuation mark
    words: tuple[Word, ...] = ()
    alignment: tuple[tuple[int, ...], ...] = ()
    annotated: bool = False
    encoding: Encoding | None = None  # None for texts that no tokenizer made
    embeddings: np.ndarray | None = field(default=None, repr=False)
    pieces: tuple[str, ...] = ()  # the tokenizer's own strings, marks included

    def __post_init__(self) -> None:
        if not self.pieces:
            object.__setattr__(self, "pieces", self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def word_numbers(self) -> tuple[int | None, ...]:
        """The tokenizer's number for each token's word, None for tokens that it added; without one, words by their starts."""
        if self.encoding is not None:
            return self.encoding.words
        numbers: list[int | None] = []
        word = -1
        for special, start in zip(self.special, self.word_start, strict=True):
            word += not special and (start or word < 0)
            numbers.append(None if special else word)
        return tuple(numbers)

    @cached_property
    def similarity(self) -> np.ndarray:
        """(n, n) float32: cosine of the tokens' input embeddings. Without embeddings: 1 for equal pieces, else 0."""
        import numpy as np

        if self.embeddings is None:
            return np.array([[float(a == b) for b in self.pieces] for a in self.pieces], dtype=np.float32)
        return np.clip(self.embeddings @ self.embeddings.T, -1, 1).astype(np.float32)


_PER_TOKEN = frozenset({"tokens", "pieces", "ids", "offsets", "special", "word_start"})


def prefix(text: Text, size: int) -> Text:
    """The first `size` tokens as a text of their own, with the words that begin there; where the governor is cut off, as roots."""
    end = max((stop for _, stop in text.offsets[:size]), default=0)
    words = [w for w in text.words if w.idx < end]
    encoding = text.encoding
    if encoding is not None:
        each = {f.name: getattr(encoding, f.name)[:size] for f in fields(encoding) if f.name != "facts"}
        encoding = replace(encoding, **each)
    cut = {f.name: getattr(text, f.name)[:size] for f in fields(text) if f.name in _PER_TOKEN}
    made = replace(
        text,
        **cut,
        text=text.text[:end],
        words=tuple(replace(w, head=w.head if w.head < len(words) else i) for i, w in enumerate(words)),
        alignment=tuple(tuple(w for w in of if w < len(words)) for of in text.alignment[:size]),
        encoding=encoding,
        embeddings=None if text.embeddings is None else text.embeddings[:size],
    )
    if text.embeddings is None:
        made.__dict__["similarity"] = text.similarity[:size, :size]
    return made


def facts_of(texts: Sequence[Text]) -> dict[str, Any] | None:
    """What is known of the texts' tokenizer (harness/encodings.py); None for texts that no tokenizer made."""
    return next((json.loads(text.encoding.facts) for text in texts if text.encoding is not None), None)


def to_data(text: Text) -> dict[str, Any]:
    """The text as JSON values, without embeddings and similarity (arrays are stored apart)."""
    data = {f.name: getattr(text, f.name) for f in fields(text) if f.name != "embeddings"}
    encoding = None if text.encoding is None else list(astuple(text.encoding))
    return {**data, "words": [list(astuple(w)) for w in text.words], "encoding": encoding}


def from_data(data: dict[str, Any], similarity: np.ndarray | None = None) -> Text:
    """The inverse of `to_data`, with the (n, n) similarity in place of the embeddings it came from."""
    text = Text(
        text=data["text"],
        tokens=tuple(data["tokens"]),
        ids=tuple(data["ids"]),
        offsets=tuple((a, b) for a, b in data["offsets"]),
        special=tuple(data["special"]),
        word_start=tuple(data["word_start"]),
        words=tuple(Word(*w) for w in data["words"]),
        alignment=tuple(tuple(a) for a in data["alignment"]),
        annotated=data["annotated"],
        encoding=_encoding(data.get("encoding")),
        pieces=tuple(data["pieces"]),
    )
    if similarity is not None:
        text.__dict__["similarity"] = similarity  # where the cached property keeps it
    return text


def _encoding(data: Sequence[Any] | None) -> Encoding | None:
    if data is None:
        return None
    offsets, words, added, decoded, facts = data
    return Encoding(tuple((a, b) for a, b in offsets), tuple(words), tuple(added), tuple(decoded), facts)


def char_similarity(a: str, b: str) -> float:
    """Dice coefficient of the two strings' character multisets: 2 |a ∩ b| / (|a| + |b|); 1 for two empty strings."""
    if not a and not b:
        return 1.0
    return 2 * (Counter(a) & Counter(b)).total() / (len(a) + len(b))


def plain_text(tokens: Sequence[str], pieces: Sequence[str] = ()) -> Text:
    """A Text from decoded tokens alone: the text joined from them, a word's start at a space and at what is no letter or digit."""
    offsets, starts, at = [], [], 0
    for i, token in enumerate(tokens):
        offsets.append((at, at + len(token)))
        at += len(token)
        starts.append(i == 0 or not token[:1].isalnum())
    return Text(
        text="".join(tokens),
        tokens=tuple(tokens),
        ids=tuple(range(len(tokens))),
        offsets=tuple(offsets),
        special=tuple(t in SPECIAL for t in tokens),
        word_start=tuple(starts),
        alignment=((),) * len(tokens),
        pieces=tuple(pieces),
    )


SPECIAL = frozenset({"<s>", "</s>", "<pad>", "<unk>", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "<|endoftext|>"})
