"""Stand-ins for what calling a tokenizer returns: a mapping of its entries, and what can be asked of tokens, words, characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

Span = tuple[int, int]  # characters [start, end)


class TokenSpan(NamedTuple):
    """Tokens [start, end)."""

    start: int
    end: int


class CharSpan(NamedTuple):
    """Characters [start, end)."""

    start: int
    end: int


class Tokens:
    """One text's tokens as the tokenizer reports them, in the order of the encoding (tokenizers.Encoding)."""

    __slots__ = ("_added", "_ids", "_offsets", "_tokens", "_words")

    def __init__(
        self,
        ids: Sequence[int],
        tokens: Sequence[str],
        offsets: Sequence[Span],
        words: Sequence[int | None],
        added: Sequence[bool],
    ):
        self._ids, self._tokens, self._offsets = tuple(ids), tuple(tokens), tuple(offsets)
        self._words, self._added = tuple(words), tuple(added)

    @property
    def ids(self) -> list[int]:
        return list(self._ids)

    @property
    def tokens(self) -> list[str]:
        return list(self._tokens)

    @property
    def offsets(self) -> list[Span]:
        return list(self._offsets)

    @property
    def word_ids(self) -> list[int | None]:
        return list(self._words)

    words = word_ids

    @property
    def sequence_ids(self) -> list[int | None]:
        return [None if added else 0 for added in self._added]

    @property
    def special_tokens_mask(self) -> list[int]:
        return [int(added) for added in self._added]

    @property
    def attention_mask(self) -> list[int]:
        return [1] * len(self._ids)

    @property
    def type_ids(self) -> list[int]:
        return [0] * len(self._ids)

    def token_to_sequence(self, token: int) -> int | None:
        return self.sequence_ids[token] if 0 <= token < len(self._ids) else None

    def token_to_word(self, token: int) -> int | None:
        return self._words[token] if self.token_to_sequence(token) == 0 else None

    def token_to_chars(self, token: int) -> Span | None:
        return self._offsets[token] if self.token_to_sequence(token) == 0 else None

    def char_to_token(self, char: int, _: int = 0) -> int | None:
        """The first token whose characters hold this one; None between tokens."""
        return next((i for i, (start, end) in enumerate(self._offsets) if start <= char < end and not self._added[i]), None)

    def char_to_word(self, char: int, _: int = 0) -> int | None:
        token = self.char_to_token(char)
        return None if token is None else self.token_to_word(token)

    def word_to_tokens(self, word: int, _: int = 0) -> Span | None:
        own = [i for i, number in enumerate(self._words) if number == word]
        return (own[0], own[-1] + 1) if own else None

    def word_to_chars(self, word: int, _: int = 0) -> Span | None:
        span = self.word_to_tokens(word)
        return None if span is None else (self._offsets[span[0]][0], self._offsets[span[1] - 1][1])

    def __len__(self) -> int:
        return len(self._ids)


class BatchEncoding:
    """A mapping, whose entries are attributes too; of one text. tokens: None where the tokenizer is slow and knows no more."""

    __slots__ = ("_entries", "_tokens")

    def __init__(self, entries: dict[str, Any], tokens: Tokens | None):
        self._entries, self._tokens = entries, tokens

    def _known(self, what: str, batch_index: int = 0) -> Tokens:
        if self._tokens is None:
            raise ValueError(f"{what}() is not available when using Python based tokenizers")
        if batch_index not in (0, -1):
            raise IndexError("the tokenizer of the sandbox encodes one text")
        return self._tokens

    def __getitem__(self, name: Any) -> Any:
        if isinstance(name, int):
            return self._known("encodings", name)
        if isinstance(name, slice):
            return {key: value[name] for key, value in self._entries.items()}
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def keys(self) -> list[str]:
        return list(self._entries)

    def values(self) -> list[Any]:
        return list(self._entries.values())

    def items(self) -> list[tuple[str, Any]]:
        return list(self._entries.items())

    def get(self, name: str, default: Any = None) -> Any:
        return self._entries.get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        return self._entries.pop(name, *default)

    def to(self, *_: Any) -> BatchEncoding:
        return self

    @property
    def data(self) -> dict[str, Any]:
        return self._entries

    @property
    def encodings(self) -> list[Tokens]:
        return [self._known("encodings")]

    @property
    def is_fast(self) -> bool:
        return self._tokens is not None

    def __getattr__(self, name: str) -> Any:
        if name in ENTRIES and name in self._entries:
            return self._entries[name]
        raise AttributeError(f"this encoding has no {name}")

    def tokens(self, batch_index: int = 0) -> list[str]:
        return self._known("tokens", batch_index).tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        return self._known("word_ids", batch_index).word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        return self._known("sequence_ids", batch_index).sequence_ids

    def token_to_sequence(self, *at: int) -> int | None:
        return self._known("token_to_sequence", *at[:-1]).token_to_sequence(natural(at))

    def token_to_word(self, *at: int) -> int | None:
        return self._known("token_to_word", *at[:-1]).token_to_word(natural(at))

    def token_to_chars(self, *at: int) -> CharSpan | None:
        span = self._known("token_to_chars", *at[:-1]).token_to_chars(natural(at))
        return None if span is None else CharSpan(*span)

    def char_to_token(self, *at: int, sequence_index: int = 0) -> int | None:
        return self._known("char_to_token", *at[:-1]).char_to_token(natural(at), sequence_index)

    def char_to_word(self, *at: int, sequence_index: int = 0) -> int | None:
        return self._known("char_to_word", *at[:-1]).char_to_word(natural(at), sequence_index)

    def word_to_tokens(self, *at: int, sequence_index: int = 0) -> TokenSpan | None:
        span = self._known("word_to_tokens", *at[:-1]).word_to_tokens(natural(at), sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(self, *at: int, sequence_index: int = 0) -> CharSpan:
        span = self._known("word_to_chars", *at[:-1]).word_to_chars(natural(at), sequence_index)
        if span is None:
            raise TypeError("word_to_chars knows no such word")
        return CharSpan(*span)


def natural(at: Sequence[int]) -> int:
    """The last of the arguments (one before it numbers the text); real encodings refuse those below 0, too."""
    if len(at) not in (1, 2) or at[-1] < 0:
        raise ValueError("expected one index, from 0 on")
    return at[-1]


ENTRIES = ("input_ids", "token_type_ids", "attention_mask", "special_tokens_mask", "offset_mapping", "length")
