"""How a tokenizer's tokens become a string: the decoders of the tokenizers library, from the specification in tokenizer.json."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")
CLOSED_UP = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


def decoder(specification: Mapping[str, Any] | None) -> Callable[[Sequence[str]], str]:
    """A function from tokens to their string. Raises ValueError for a kind that is not known here."""
    if specification is None:
        return " ".join
    chain = links(specification)

    def decode(tokens: Sequence[str]) -> str:
        pieces = list(tokens)
        for link in chain:
            pieces = link(pieces)
        return "".join(pieces)

    return decode


def links(specification: Mapping[str, Any]) -> list[Callable[[list[str]], list[str]]]:
    kind = specification["type"]
    if kind == "Sequence":
        return [link for part in specification["decoders"] for link in links(part)]
    if kind not in KINDS or (kind == "Replace" and "String" not in specification["pattern"]):
        raise ValueError(f"decode is not available in the sandbox for this tokenizer (its decoder is of the kind {kind})")
    return [lambda pieces: KINDS[kind](pieces, specification)]


def byte_level(pieces: list[str], _: Mapping[str, Any]) -> list[str]:
    """Each character stands for a byte; a token with any other character stands for itself."""
    found = bytearray()
    for piece in pieces:
        known = all(c in BYTES for c in piece)
        found += bytes(BYTES[c] for c in piece) if known else piece.encode("utf-8", "replace")
    return [found.decode("utf-8", "replace")]


def byte_alphabet() -> dict[str, int]:
    """GPT-2's characters for bytes: printable ones of Latin-1 for themselves, the others from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


BYTES = byte_alphabet()


def byte_fallback(pieces: list[str], _: Mapping[str, Any]) -> list[str]:
    """Runs of tokens such as <0xE6> as characters; bytes that are none become one U+FFFD each."""
    result: list[str] = []
    run = bytearray()

    def end() -> None:
        if run:
            try:
                result.append(run.decode("utf-8"))
            except UnicodeDecodeError:
                result.extend("\ufffd" * len(run))
            run.clear()

    for piece in pieces:
        found = BYTE.fullmatch(piece)
        if found:
            run.append(int(found[1], 16))
        else:
            end()
            result.append(piece)
    end()
    return result


def word_piece(pieces: list[str], specification: Mapping[str, Any]) -> list[str]:
    """A continuation loses its prefix, any other token but the first gets a space before it."""
    prefix = specification["prefix"]
    result = []
    for i, piece in enumerate(pieces):
        if i:
            piece = piece[len(prefix) :] if piece.startswith(prefix) else " " + piece
        result.append(closed_up(piece).replace(" do not", " don't") if specification["cleanup"] else piece)
    return result


def closed_up(text: str) -> str:
    """Without the spaces before punctuation and endings."""
    for mark in CLOSED_UP:
        text = text.replace(mark, mark.strip())
    return text


def metaspace(pieces: list[str], specification: Mapping[str, Any]) -> list[str]:
    mark, first = specification["replacement"], specification.get("prepend_scheme", "always") != "never"
    head = [pieces[0].replace(mark, "" if first else " ")] if pieces else []
    return head + [piece.replace(mark, " ") for piece in pieces[1:]]


def replaced(pieces: list[str], specification: Mapping[str, Any]) -> list[str]:
    return [piece.replace(specification["pattern"]["String"], specification["content"]) for piece in pieces]


def stripped(pieces: list[str], specification: Mapping[str, Any]) -> list[str]:
    """Without at most `start` characters at the start of each piece, and `stop` at its end."""
    content = specification["content"]
    result = []
    for piece in pieces:
        start = next((i for i, c in enumerate(piece[: specification["start"]]) if c != content), None)
        piece = piece[specification["start"] if start is None else start :]
        end = next((i for i, c in enumerate(piece[::-1][: specification["stop"]]) if c != content), specification["stop"])
        result.append(piece[: len(piece) - end] if end else piece)
    return result


def byte_pair(pieces: list[str], specification: Mapping[str, Any]) -> list[str]:
    last = len(pieces) - 1
    return [piece.replace(specification["suffix"], "" if i == last else " ") for i, piece in enumerate(pieces)]


KINDS: dict[str, Callable[[list[str], Mapping[str, Any]], list[str]]] = {
    "ByteLevel": byte_level,
    "ByteFallback": byte_fallback,
    "WordPiece": word_piece,
    "Metaspace": metaspace,
    "Replace": replaced,
    "Strip": stripped,
    "Fuse": lambda pieces, _: ["".join(pieces)],
    "BPEDecoder": byte_pair,
}
