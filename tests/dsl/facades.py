"""Stand-ins for the tokenizer and spaCy that a printed program meets, made from a Text."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from dsl.text import Text, plain_text


def run_python(source: str, text: Text) -> np.ndarray:
    """The matrix of a printed program, run as it is."""

    class Encoding(dict[str, Any]):
        input_ids = (list(text.ids),)

        def word_ids(self) -> list[int | None]:
            return list(text.word_numbers)

    def tokenizer(sentence: str, return_tensors: str | None = None, return_offsets_mapping: bool = False) -> Any:
        return Encoding(input_ids=range(len(text)), offset_mapping=list(text.offsets))

    tokenizer.decode = lambda ids: decoded(text)[ids[0]]  # type: ignore[attr-defined]

    tokenizer.convert_ids_to_tokens = lambda ids: list(text.pieces)  # type: ignore[attr-defined]
    scope: dict[str, Any] = {
        "spacy_parse": lambda sentence: doc_of(text),
        "_align_to_spacy": lambda sentence, tokens: [list(a) for a in text.alignment],
        "embedding_similarity": lambda tokens, i, j: float(text.similarity[i, j]),
    }
    exec(source, scope)
    name, matrix = scope["program"](text.text, tokenizer)
    assert isinstance(name, str)
    return matrix


def decoded(text: Text) -> list[str]:
    return list(text.encoding.decoded if text.encoding else text.pieces)


def run_module(source: str, text: Text) -> np.ndarray:
    """The matrix of a standalone module's function `head`, given all that the text has."""
    scope: dict[str, Any] = {}
    exec(source, scope)
    return scope["head"](
        list(text.tokens),
        word_starts=list(text.word_start),
        special_tokens=list(text.special),
        similarity=text.similarity,
        words=[{f: getattr(w, f) for f in w.__slots__} for w in text.words],
        align=[list(a) for a in text.alignment],
        decodes=decoded(text),
        word_ids=list(text.word_numbers),
        pieces=list(text.pieces),
    )


def doc_of(text: Text) -> list[Any]:
    doc = [
        SimpleNamespace(
            text=w.text,
            i=i,
            pos_=w.pos,
            tag_=w.tag,
            dep_=w.dep,
            lemma_=w.lemma,
            ent_type_=w.ent_type,
            morph=w.morph,
            shape_=w.shape,
            is_stop=w.is_stop,
            is_punct=w.is_punct,
            is_space=w.is_space,
            like_num=w.like_num,
            is_sent_start=w.is_sent_start,
        )
        for i, w in enumerate(text.words)
    ]
    for token, w in zip(doc, text.words, strict=True):
        token.head = doc[w.head]
    return doc


def with_plain_word_starts(text: Text) -> Text:
    """The text with the word starts that its token strings alone tell, as a printed function sees it."""
    return replace(text, word_start=plain_text(text.tokens).word_start)
