"""Texts of kinds that a corpus of one kind has not, on which lifted programs are validated, too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dsl.text import Text

if TYPE_CHECKING:
    from harness.annotate import Annotator
    from harness.targets import Target

ODD = (
    "we walked home under the old bridge and nobody said anything until the lamps went on",  # no punctuation
    "no no no not again no no not that again",  # repeated words
    "Indeed",  # one word
    "Привет, мир! Καλημέρα κόσμε; 今日は 世界。",  # other scripts
    "Rain ☔ then sun 😀🌈, wow 👨‍👩‍👧!",  # emoji
    "first line\nsecond line\n\n\tthird, indented\r\n- a list item\n- another",  # line breaks
    "def area(r):\n    return 3.14 * r ** 2  # circle\n\nprint(area(2.5))",  # code
    '"Who?" asked Ann. "Me," said Bo; "(or you?)" -- Ann\'s hat, Bo\'s cat...',  # quotes and brackets
    "; , . ! ? : - \" ' ( ) [ ]",  # nothing but marks
    "McDONALD paid 1,250.75 USD on 2021-03-04 at NATO HQ",  # capitals and digits
)


def odd_texts(target: Target, max_tokens: int, annotator: Annotator | None = None) -> tuple[Text, ...]:
    """The texts as the target reads them, however short, with embeddings and, given an annotator, words."""
    from harness.annotate import annotate
    from harness.tokens import view

    limit = min(max_tokens, target.context or max_tokens)
    texts = [view(target.tokenizer, raw, limit) for raw in ODD]
    texts = [t for t in texts if len(t)]  # a tokenizer may know none of a text's characters
    if annotator is not None:
        texts = list(annotate(texts, annotator))
    return tuple(replace(text, embeddings=target.embed(text.ids)) for text in texts)
