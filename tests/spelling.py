"""Texts made from a tokenizer's own strings."""

from collections.abc import Sequence

from dsl.decoding import Family, decoded
from dsl.text import Text, plain_text


def spelled(pieces: Sequence[str], family: Family = "sentencepiece") -> Text:
    """The text of these pieces, its tokens decoded (of wordpiece without leading spaces: there are no offsets)."""
    return plain_text(decoded(pieces, family), pieces)
