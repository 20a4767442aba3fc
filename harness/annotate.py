"""Linguistic annotation with spaCy, aligned to the target's tokens by character offsets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dsl.text import Text, Word
from harness.errors import UserError


@dataclass(frozen=True, eq=False)
class Annotator:
    """A spaCy pipeline: `annotator(text)` gives the words of one text, `annotator.many(texts)` those of each."""

    name: str  # as the user gave it
    version: str  # name and version that the pipeline says of itself
    nlp: Any = field(repr=False)  # spacy.Language

    def __call__(self, text: str) -> tuple[Word, ...]:
        return words(self.nlp(text))

    def many(self, texts: Iterable[str]) -> list[tuple[Word, ...]]:
        return [words(doc) for doc in self.nlp.pipe(texts)]


def load_annotator(name_or_path: str) -> Annotator:
    """The spaCy pipeline of this folder or of this installed name. Raises UserError, one line, where there is none."""
    try:
        import spacy
    except ImportError as error:
        raise UserError("--annotator needs spaCy; install it with: pip install 'headscript[spacy]'") from error
    try:
        nlp = spacy.load(name_or_path)
    except Exception as error:  # a missing pipeline raises OSError; a damaged one whatever its parts raise
        raise UserError(
            f"{name_or_path}: no spaCy pipeline that can be loaded; give the folder of one, or install one by name, "
            "such as: python -m spacy download en_core_web_sm"
        ) from error
    meta = nlp.meta
    return Annotator(name_or_path, f"{meta['lang']}_{meta['name']}-{meta['version']}", nlp)


def annotate(texts: Sequence[Text], annotator: Annotator) -> tuple[Text, ...]:
    """The same texts with words and alignment."""
    annotated = annotator.many(text.text for text in texts)
    return tuple(
        replace(text, words=found, alignment=align(text.offsets, found), annotated=True)
        for text, found in zip(texts, annotated, strict=True)
    )


def align(offsets: Sequence[tuple[int, int]], found: Sequence[Word]) -> tuple[tuple[int, ...], ...]:
    """For each token the words, in order, with which it shares at least one character."""
    return tuple(
        tuple(i for i, word in enumerate(found) if word.idx < end and start < word.idx + len(word.text)) for start, end in offsets
    )


def words(doc: Any) -> tuple[Word, ...]:
    """The annotated words of a spaCy Doc. Without sentence boundaries the whole text is one sentence."""
    split = doc.has_annotation("SENT_START")
    result, sentence = [], -1
    for token in doc:
        starts = token.is_sent_start if split else token.i == 0
        sentence += bool(starts)
        result.append(
            Word(
                text=token.text,
                idx=token.idx,
                lemma=token.lemma_,
                pos=token.pos_,
                tag=token.tag_,
                dep=token.dep_,
                head=token.head.i,
                ent_type=token.ent_type_,
                ent_iob=token.ent_iob_,
                morph=str(token.morph),
                shape=token.shape_,
                whitespace=token.whitespace_,
                sent=sentence,
                is_sent_start=bool(starts),
                is_stop=token.is_stop,
                is_punct=token.is_punct,
                is_space=token.is_space,
                like_num=token.like_num,
            )
        )
    return tuple(result)
