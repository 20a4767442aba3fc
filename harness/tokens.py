"""One view of a tokenised text for every tokenizer family: byte-level BPE, SentencePiece, WordPiece.

Everything derives from character offsets into the text, not from the families' own markers, so that a program means the
same whatever tokenizer it meets.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from dsl.text import Text
from harness.decoding import decoded_tokens
from harness.encodings import encoding

Span = tuple[int, int]  # characters [start, end)
APOSTROPHES = "'’"
MARKERS = re.compile(r"^([▁ĠĊĉ]|##)+|(@@|</w>)$")  # of spaces, newlines, a word's beginning or end
BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def view(tokenizer: Any, text: str, max_tokens: int) -> Text:
    """The tokens of `text`, at most `max_tokens` with the special tokens that the tokenizer adds.

    Where the text is longer, the tokenizer truncates it, which keeps a closing special token, and Text.text is the
    original cut after the last character that the tokens cover: a result whose text differs from `text` was cut.
    Text.pieces are the tokenizer's strings, Text.tokens what they stand for (dsl.decoding).
    Offsets leave out a token's leading white space, unless it is nothing else; a special token that stands for no
    character has (0, 0) and counts as a word start, since it continues no word.
    """
    # One token more than allowed tells whether there are more, without tokenising the whole of a long text.
    ids, offsets, special, numbers = _encode(tokenizer, text, max_tokens + 1)
    cut = len(ids) > max_tokens
    if cut:
        ids, offsets, special, numbers = _encode(tokenizer, text, max_tokens)
    pieces = tuple(tokenizer.convert_ids_to_tokens(ids))
    if offsets is None:
        offsets = recover_offsets(pieces, special, text)
    reported = encoding(tokenizer, ids, offsets, numbers, special)
    covered = max((end for _, end in offsets), default=0) if cut else len(text)
    offsets = [_trim(text, span, piece) for span, piece in zip(offsets, pieces, strict=True)]
    named = set(tokenizer.all_special_ids)  # [UNK] too: it stands for characters, but is none of the text's words
    return Text(
        text=text[:covered],
        tokens=decoded_tokens(tokenizer, ids, pieces, text, offsets),
        ids=tuple(ids),
        offsets=tuple(offsets),
        special=tuple(added or i in named for i, added in zip(ids, special, strict=True)),
        word_start=tuple(_word_starts(text, offsets, special)),
        alignment=((),) * len(ids),
        encoding=reported,
        pieces=pieces,
    )


def _encode(tokenizer: Any, text: str, limit: int) -> tuple[list[int], list[Span] | None, list[bool], list[int | None]]:
    """ids, offsets, whether the tokenizer added the token, and word numbers, for at most `limit` tokens.

    A tokenizer that is not fast knows neither offsets (None) nor words (None each).
    """
    found = tokenizer(
        text,
        truncation=True,
        max_length=limit,
        return_offsets_mapping=tokenizer.is_fast,
        return_special_tokens_mask=True,
        verbose=False,
    )
    ids = list(found["input_ids"])
    offsets = [tuple(span) for span in found["offset_mapping"]] if tokenizer.is_fast else None
    words = found.word_ids() if tokenizer.is_fast else [None] * len(ids)
    return ids, offsets, [bool(m) for m in found["special_tokens_mask"]], words


def _trim(text: str, span: Span, piece: str) -> Span:
    """The span without leading white space, unless it is nothing else."""
    start, end = span
    while start < end and text[start].isspace():
        start += 1
    if start == end:
        return span
    # The "▁" that SentencePiece puts before a text is given the text's first character, which is the next token's.
    return (start, start) if not piece.strip("▁") else (start, end)


def _word_starts(text: str, offsets: Sequence[Span], added: Sequence[bool]) -> list[bool]:
    """Whether each token holds, as its first character, the first one of a word or a punctuation mark.

    Of several tokens for one character (the bytes of an emoji) only the first begins it.
    """
    starts, seen = [], 0
    for (start, end), special in zip(offsets, added, strict=True):
        starts.append(special or (seen <= start < end and begins_word(text, start)))
        seen = max(seen, end)
    return starts


def begins_word(text: str, at: int) -> bool:
    """Whether a white-space separated word or a punctuation mark begins at this character.

    Letters after a punctuation mark begin a word ("Hi after a quotation mark), but not after an apostrophe within a word.
    """
    char = text[at]
    if char.isspace() or _attached(char):
        return False
    if at == 0 or text[at - 1].isspace() or not char.isalnum():
        return True
    before = text[at - 1]
    if before.isalnum() or _attached(before):
        return False
    return not (before in APOSTROPHES and at >= 2 and text[at - 2].isalnum())


def _attached(char: str) -> bool:
    """Combining marks, joiners and variation selectors belong to the character before them."""
    return unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf", "Sk") and not char.isascii()


def recover_offsets(tokens: Sequence[str], special: Sequence[bool], text: str) -> list[Span]:
    """Offsets for a tokenizer that reports none, by finding its tokens one after the other in the text.

    Case, accents, white space and the families' markers are ignored. Tokens that are not found (unknown ones, the bytes
    of a character) share the characters between their neighbours evenly. `special[i]`: the tokenizer added token i.
    """
    letters = [(c, i) for i, char in enumerate(text) for c in _plain(char)]  # what is compared, and where it stands
    haystack = "".join(c for c, _ in letters)
    spans: list[Span | None] = []
    at = 0
    for token, added in zip(tokens, special, strict=True):
        needle = _plain(MARKERS.sub("", token))
        # A short piece stands by chance further on: look no further than what a normalizer is likely to have dropped.
        where = haystack.find(needle, at, at + len(needle) + 16) if needle and not BYTE.fullmatch(token) else -1
        if added:
            spans.append((0, 0))
        elif where >= 0:
            at = where + len(needle)
            spans.append((letters[where][1], letters[at - 1][1] + 1))
        else:
            spans.append(None)
    return _share_gaps(spans, text)


def _share_gaps(spans: Sequence[Span | None], text: str) -> list[Span]:
    filled: list[Span] = []
    at = 0  # end of the last token found
    for i, span in enumerate(spans):
        if span is not None:
            filled.append(span)
            at = max(at, span[1])
        elif i == len(filled):
            run = next((j for j in range(i, len(spans)) if spans[j] is not None), len(spans)) - i
            after = next((s[0] for s in spans[i:] if s and s[1]), None)
            # Beyond the last token found the text may go on for long: one word for each token is a fair guess.
            words = [m.end() for m in re.finditer(r"\S+", text[at:])][:run]
            end = after if after is not None else at + words[-1] if words else len(text)
            gap = text[at:end]
            if gap.strip():
                start, end = at + len(gap) - len(gap.lstrip()), at + len(gap.rstrip())
            else:
                start = at
            width = max(end - start, 0)
            filled += [(start + width * j // run, start - (-width * (j + 1) // run)) for j in range(run)]
    return filled


def _plain(piece: str) -> str:
    """Lower case, without accents and white space."""
    decomposed = unicodedata.normalize("NFKD", piece.lower())
    return "".join(c for c in decomposed if not unicodedata.combining(c) and not c.isspace())
