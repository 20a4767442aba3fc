"""The facades answer like the real objects they stand for."""

import numpy as np
import pytest

from dsl.text import char_similarity, plain_text
from sandbox import wire
from sandbox.environment import Inputs, apply_causal_mask, char_sim, make_row_stochastic
from sandbox.facades import IMPORTABLE
from sandbox.guards import ATTRIBUTES


def inputs_of(text):
    return Inputs(*wire.decode_text(wire.encode_text(text)))


SAME = """dep_ ent_iob_ ent_type_ i idx is_alpha is_ascii is_bracket is_currency is_digit is_left_punct is_lower is_punct is_quote
is_right_punct is_sent_end is_sent_start is_space is_stop is_title is_upper lemma_ like_num lower_ n_lefts n_rights orth_ pos_
prefix_ shape_ suffix_ tag_ text text_with_ws whitespace_"""
RELATED = "children lefts rights ancestors subtree conjuncts"


def test_words_answer_like_spacy(causal, bidirectional):
    for family in (causal, bidirectional):
        for text, real in zip(family.texts, family.docs, strict=True):
            doc = inputs_of(text).doc
            assert len(doc) == len(real) and doc.text == real.text and str(doc) == str(real)
            for mine, theirs in zip(doc, real, strict=True):
                for name in SAME.split():
                    assert getattr(mine, name) == getattr(theirs, name), (name, theirs)
                for name in RELATED.split():
                    assert [t.i for t in getattr(mine, name)] == [t.i for t in getattr(theirs, name)], (name, theirs)
                assert mine.head.i == theirs.head.i and mine.head is doc[theirs.head.i]
                assert (mine.left_edge.i, mine.right_edge.i) == (theirs.left_edge.i, theirs.right_edge.i)
                assert (str(mine.morph), mine.morph.to_dict()) == (str(theirs.morph), theirs.morph.to_dict())
                assert mine.morph.get("Number") == theirs.morph.get("Number")
                assert len(mine) == len(theirs) and str(mine) == str(theirs)
                assert (mine.sent.start, mine.sent.end) == (theirs.sent.start, theirs.sent.end)
                assert mine.is_ancestor(doc[0]) == theirs.is_ancestor(real[0])
            assert all(a.is_ancestor(b) == real[a.i].is_ancestor(real[b.i]) for a in doc[:9] for b in doc[:9])


def test_spans_answer_like_spacy(causal):
    for text, real in zip(causal.texts, causal.docs, strict=True):
        doc = inputs_of(text).doc
        pairs = [*zip(doc.sents, real.sents, strict=True), (doc[2:7], real[2:7]), (doc[:-1], real[:-1]), (doc[3:3], real[3:3])]
        for mine, theirs in pairs:
            assert (mine.start, mine.end, len(mine), mine.text) == (theirs.start, theirs.end, len(theirs), theirs.text)
            assert [t.i for t in mine] == [t.i for t in theirs]
            if len(theirs):
                assert mine.root.i == theirs.root.i and mine[0].i == theirs[0].i and mine[-1].i == theirs[-1].i
                assert (mine.start_char, mine.end_char) == (theirs.start_char, theirs.end_char)
                assert mine[:1].text == theirs[:1].text and mine[0] in mine
        assert next(doc[0].children, None) is None or next(doc[0].children).head is doc[0]


def test_entities():
    base = plain_text(["a", "b", "c", "d"])
    from dataclasses import replace

    from dsl.text import Word

    marks = [("B", "PER"), ("I", "PER"), ("B", "LOC"), ("O", "")]
    words = tuple(
        Word(t, i, ent_type=kind, ent_iob=iob, whitespace=" ") for i, (t, (iob, kind)) in enumerate(zip("abcd", marks, strict=True))
    )
    doc = inputs_of(replace(base, words=words, annotated=True)).doc
    assert [(e.text, e.label_, e.start, e.end) for e in doc.ents] == [("a b", "PER", 0, 2), ("c", "LOC", 2, 3)]


def test_tokenizer_answers_like_the_real_one(causal, bidirectional):
    for family in (causal, bidirectional):
        for text in family.texts:
            mine, theirs = inputs_of(text).tokenizer, family.tokenizer
            for options in ({}, {"add_special_tokens": False}, {"return_offsets_mapping": True}):
                a, b = mine(text.text, **options), theirs(text.text, **options)
                assert a["input_ids"] == b["input_ids"] and a.input_ids == b.input_ids
                assert a["attention_mask"] == b["attention_mask"] and a.tokens() == b.tokens()
                if options.get("return_offsets_mapping"):
                    assert a["offset_mapping"] == b["offset_mapping"]
            a, b = mine([text.text], return_tensors="pt"), theirs([text.text], return_tensors="pt")
            assert tuple(a.input_ids.shape) == tuple(b.input_ids.shape) and a.input_ids.size(1) == b.input_ids.size(1)
            assert a.input_ids[0].tolist() == b.input_ids[0].tolist() and len(a["input_ids"][0]) == len(b["input_ids"][0])
            assert a.input_ids.numpy().tolist() == b.input_ids.numpy().tolist() and a.input_ids.squeeze().ndim == 1
            assert int(a.input_ids[0, 1]) == int(b.input_ids[0, 1]) and a.input_ids[0][-1] == int(b.input_ids[0][-1])
            assert mine.convert_ids_to_tokens(a.input_ids[0]) == theirs.convert_ids_to_tokens(b.input_ids[0])
            assert mine([text.text])["input_ids"] == theirs([text.text])["input_ids"]
            assert mine.tokenize(text.text) == theirs.tokenize(text.text) and mine.encode(text.text) == theirs.encode(text.text)
            for number in text.ids:
                assert mine.convert_ids_to_tokens(number) == theirs.convert_ids_to_tokens(number)
                assert mine.decode([number]) == theirs.decode([number])
            assert mine.decode(text.ids[1:]) == theirs.decode(list(text.ids[1:]))
            assert set(mine.all_special_ids) <= set(theirs.all_special_ids)
            assert [t is None for t in mine(text.text).word_ids()] == list(text.special)


def test_bert_roles_and_words(bidirectional):
    mine, theirs = inputs_of(bidirectional.texts[0]).tokenizer, bidirectional.tokenizer
    for name in ("cls_token", "sep_token", "cls_token_id", "sep_token_id"):
        assert getattr(mine, name) == getattr(theirs, name)
    text = bidirectional.texts[0].text
    ids = theirs(text)["input_ids"]
    assert mine.decode(ids[1:-1]) == theirs.decode(ids[1:-1])


@pytest.mark.parametrize("call", ["tokenizer('other')", "spacy_parse('other')", "embedding_similarity('▁Once', 'other')"])
def test_what_a_facade_cannot_know_is_an_error_with_its_line(call, box, text):
    result = box.run(f"def program(sentence, tokenizer):\n    {call}\n    return 'x', np.eye(3)", [text])
    assert result.outcome == "error" and "line 2: ValueError:" in result.reason and "of this" in result.reason


def test_without_annotation_the_annotator_is_asked_for(box):
    source = "def program(sentence, tokenizer):\n    doc = spacy_parse(sentence)\n    return 'x', np.eye(3)"
    result = box.run(source, [plain_text(["a", "b", "c"])])
    assert result.outcome == "error" and "line 2" in result.reason and "annotator is needed" in result.reason


def test_helpers_follow_their_definitions():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(5, 5))
    matrix[2] = -1
    rows = make_row_stochastic(matrix)
    for i in range(5):
        kept = [max(0.0, x) for x in matrix[i]]
        np.testing.assert_allclose(rows[i], [x / sum(kept) if sum(kept) else 0.0 for x in kept])
    masked = apply_causal_mask(matrix)
    assert all(masked[q, k] == (matrix[q, k] if k <= q else 0) for q in range(5) for k in range(5))
    words = ["", "a", "abc", "cab", "▁Once", "once", "oo"]
    assert all(char_sim(a, b) == char_similarity(a, b) for a in words for b in words)


def test_numpy_needs_no_file_once_locked(box, text):
    """Functions that numpy loads late would fail in the jail with an import error."""
    arguments = ["A", "A, A", "A, 1", "1, A", "(3, 3)", "3", "A, lambda *x: 0", "[A, A]", "A > 0", "tokens", "A, [0.5]"]
    calls = "\n".join(f"    attempt(np.{name}, [{', '.join(f'({a},)' for a in arguments)}])" for name in IMPORTABLE["numpy"])
    source = f"""
def program(sentence, tokenizer):
    tokens = np.array(tokenizer.tokenize(sentence))
    A = np.eye(3)
    def attempt(function, calls):
        for call in calls:
            try:
                str(function(*call))
            except ImportError as error:
                raise ValueError(str(error))
            except Exception:
                pass
{calls}
    return "x", np.eye(len(tokens))
"""
    result = box.run(source, [text])
    assert result.ok, result.reason


def test_no_allowed_attribute_has_a_leading_underscore():
    assert all(not name.startswith("_") for names in ATTRIBUTES.values() for name in names)
    assert all(not name.startswith("_") for names in IMPORTABLE.values() for name in names)
