"""The family of a tokenizer and the decoded tokens of a text that it has cut into pieces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from dsl.decoding import Family, decoded, family_of

_DECODERS: dict[str, Family] = {
    "ByteLevel": "byte-level",
    "Metaspace": "sentencepiece",
    "WordPiece": "wordpiece",
    "BPEDecoder": "suffix",
}
_known: WeakKeyDictionary[Any, Family] = WeakKeyDictionary()


def tokenizer_family(tokenizer: Any) -> Family:
    """By the tokenizer's own decoder; by the marks in its vocabulary where there is none, or where they speak against it."""
    if tokenizer not in _known:
        decoder = tokenizer.backend_tokenizer.decoder if tokenizer.is_fast else None
        named = _named(json.loads(decoder.__getstate__())) if decoder is not None else None
        _known[tokenizer] = family_of(tokenizer.get_vocab(), named)
    return _known[tokenizer]


def decoded_tokens(
    tokenizer: Any, ids: Sequence[int], pieces: Sequence[str], text: str, offsets: Sequence[tuple[int, int]]
) -> tuple[str, ...]:
    """The decoded token of every piece; offsets, without leading white space, point into the text."""
    added = tokenizer.added_tokens_decoder  # special ones, and those that stand for themselves
    return decoded(pieces, tokenizer_family(tokenizer), [i in added for i in ids], text, offsets)


def _named(decoder: dict[str, Any]) -> Family | None:
    """The family that a decoder's description names; one of several steps names it by the first that is known."""
    if decoder["type"] == "Replace" and decoder.get("pattern") == {"String": "▁"}:
        return "sentencepiece"
    if decoder["type"] == "WordPiece" and decoder.get("prefix") != "##":
        return None
    inner = [_named(d) for d in decoder.get("decoders", ())]
    return _DECODERS.get(decoder["type"]) or next((f for f in inner if f), None)
