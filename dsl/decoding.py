"""Tokens as text: what a tokenizer's own strings (pieces) stand for, by the family of the tokenizer.

A program speaks of " the" and "\\n" whatever the tokenizer calls them:

    family          piece           token
    byte-level      "Ġthe"          " the"     every character of a piece is one byte; the bytes are read as UTF-8
                    "Ċ"             "\\n"
    sentencepiece   "▁the"          " the"     also at the head of a text, where the tokenizer itself puts the space: so
                    "<0x0A>"        "\\n"       one piece is one token everywhere, and what reads pieces reads tokens as well
    wordpiece       "the"           " the"     if white space precedes it in the text, else "the"
                    "##ing"         "ing"
    suffix          "the</w>"       " the"     likewise ("the@@" goes on: "the")
    plain           any             the piece itself

A byte that is no whole character by itself (a part of an emoji) is written "<0xF0>", in the first two families alike; should a
text hold these six characters, its "<" is written "<0x3C>", so that different pieces stay different tokens. Special tokens keep
their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Literal

Family = Literal["byte-level", "sentencepiece", "wordpiece", "suffix", "plain"]

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_LITERAL_BYTE = re.compile(r"<(?=0x[0-9A-F]{2}>)")
_LONE = re.compile("[\udc80-\udcff]")  # how Python writes a byte that is no UTF-8
_SUFFIX = re.compile(r"(@@|</w>)$")


def decoded(
    pieces: Sequence[str],
    family: Family,
    kept: Sequence[bool] = (),
    text: str = "",
    offsets: Sequence[tuple[int, int]] = (),
) -> tuple[str, ...]:
    """The tokens of the pieces. kept[i]: piece i stands for itself (a special or an added token).

    text and offsets, characters [start, end) without leading white space, tell where white space precedes a word; only the families
    "wordpiece" and "suffix" need them.
    """
    tokens = []
    for i, piece in enumerate(pieces):
        if kept and kept[i]:
            tokens.append(piece)
            continue
        token = decode_piece(piece, family)
        if family in ("wordpiece", "suffix") and offsets and not (family == "wordpiece" and piece.startswith("##")):
            start, end = offsets[i]
            token = " " * (0 < start < end and text[start - 1].isspace()) + token
        tokens.append(token)
    return tuple(tokens)


@cache
def decode_piece(piece: str, family: Family) -> str:
    """The token of one piece, without the leading space that only the text can tell (wordpiece and suffix)."""
    match family:
        case "byte-level":
            table = _bytes_of_characters()
            return _readable(bytes(table[c] for c in piece)) if all(c in table for c in piece) else piece
        case "sentencepiece":
            byte = _BYTE.fullmatch(piece)
            return _readable(bytes.fromhex(byte[1])) if byte else _LITERAL_BYTE.sub("<0x3C>", piece.replace("▁", " "))
        case "wordpiece":
            return piece[2:] if piece.startswith("##") and len(piece) > 2 else piece
        case "suffix":
            return _SUFFIX.sub("", piece) or piece
    return piece


DECISIVE = 0.1  # of the most frequent mark: a decoder's own mark is at least so frequent in its vocabulary


def family_of(pieces: Iterable[str], named: Family | None = None) -> Family:
    """The family that a vocabulary's marks speak for; the one that a decoder names, if the marks do not speak against it.

    A tokenizer that was converted from another format may name a decoder that is not its vocabulary's.
    """
    marks = dict.fromkeys(("byte-level", "sentencepiece", "wordpiece", "suffix"), 0)
    for piece in pieces:
        marks["byte-level"] += piece.startswith(("Ġ", "Ċ"))
        marks["sentencepiece"] += piece.startswith("▁")
        marks["wordpiece"] += piece.startswith("##") and len(piece) > 2
        marks["suffix"] += _SUFFIX.search(piece) is not None
    family = max(marks, key=lambda f: marks[f])
    if named is not None and marks.get(named, 0) >= DECISIVE * marks[family]:
        return named
    return family if marks[family] else "plain"  # type: ignore[return-value]


def _readable(content: bytes) -> str:
    """The bytes as UTF-8; those that are no whole character as "<0xF0>"."""
    text = content.decode("utf-8", "surrogateescape")
    return _LONE.sub(lambda m: f"<0x{ord(m[0]) - 0xDC00:02X}>", _LITERAL_BYTE.sub("<0x3C>", text))


@cache
def _bytes_of_characters() -> dict[str, int]:
    """GPT-2's table, inverted: printable bytes are their own characters, the others follow from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
