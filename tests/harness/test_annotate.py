"""Annotation: spaCy's own values word by word, and alignment by shared characters."""

import json
from pathlib import Path

import pytest

from dsl.text import Text, Word
from harness.annotate import align, annotate, load_annotator
from harness.errors import UserError

spacy = pytest.importorskip("spacy")
SHARED = Path(__file__).parents[2].parent / "shared"
TEXT = "Lily didn't see the dogs. They ran home!\n\nThe end."


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """A pipeline without a trained part: sentence ends, and parts of speech by rule."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    ruler = nlp.add_pipe("attribute_ruler")
    ruler.add([[{"LOWER": "the"}]], {"POS": "DET"})
    ruler.add([[{"LOWER": "dogs"}]], {"POS": "NOUN", "LEMMA": "dog"})
    folder = tmp_path_factory.mktemp("pipelines") / "rules"
    nlp.to_disk(folder)
    return folder


def text_of(tokens: list[tuple[int, int]], text: str = TEXT) -> Text:
    return Text(text=text, tokens=tuple(text[a:b] for a, b in tokens), offsets=tuple(tokens))


def test_words_are_those_of_spacy(rules):
    doc = spacy.load(rules)(TEXT)
    annotator = load_annotator(str(rules))
    found = annotator(TEXT)
    assert [(w.text, w.idx, w.pos, w.lemma) for w in found] == [(t.text, t.idx, t.pos_, t.lemma_) for t in doc]
    assert [w.pos for w in found if w.text in ("the", "dogs", "The")] == ["DET", "NOUN", "DET"]
    assert [w.head for w in found] == list(range(len(doc)))  # without a parser each word governs itself
    sentences = [{w.text for w in found if w.sent == i} for i in range(3)]
    assert "Lily" in sentences[0] and "ran" in sentences[1] and "end" in sentences[2]
    assert [w.text for w in found if w.is_sent_start][:2] == ["Lily", "They"]
    assert any(w.is_space for w in found) and any(w.is_punct for w in found)


def test_without_sentence_boundaries_there_is_one_sentence(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    found = load_annotator(str(tmp_path / "blank"))(TEXT)
    assert {w.sent for w in found} == {0}
    assert [w.is_sent_start for w in found] == [True] + [False] * (len(found) - 1)


def test_alignment_is_by_shared_characters():
    words = [Word("ab", 0), Word("cd", 3), Word("e", 5)]
    offsets = [(0, 0), (0, 1), (1, 2), (2, 3), (1, 4), (3, 6), (5, 6), (6, 6)]
    expected = tuple(
        tuple(i for i, w in enumerate(words) if set(range(a, b)) & set(range(w.idx, w.idx + len(w.text)))) for a, b in offsets
    )
    assert align(offsets, words) == expected
    assert expected[4] == (0, 1) and expected[0] == ()


def test_annotate_fills_each_text_with_its_own_words(rules):
    annotator = load_annotator(str(rules))
    raw = [text_of([(0, 0), (0, 4), (5, 8), (8, 11)]), text_of([(0, 3), (4, 8)], "The dogs")]
    first, second = annotate(raw, annotator)
    assert first.annotated and first.words == annotator(TEXT) and second.words == annotator("The dogs")
    assert [[first.words[i].text for i in row] for row in first.alignment] == [[], ["Lily"], ["did"], ["n't"]]
    assert [second.words[row[0]].pos for row in second.alignment] == ["DET", "NOUN"]
    assert first.tokens == raw[0].tokens and first.text == TEXT


def test_unknown_annotators_are_one_line(tmp_path):
    (tmp_path / "config.cfg").write_text("not a pipeline")
    for name in ("no_such_pipeline", str(tmp_path), str(tmp_path / "nothing")):
        with pytest.raises(UserError) as caught:
            load_annotator(name)
        assert "\n" not in str(caught.value) and name in str(caught.value) and "spacy download" in str(caught.value)


def test_trained_pipeline():
    if not SHARED.exists():
        pytest.skip("needs the shared models beside the repository")
    annotator = load_annotator(str(SHARED / "models" / "en_ud_sm"))
    doc = annotator.nlp(TEXT)
    found = annotator(TEXT)
    assert annotator.version.startswith("en_ud_sm-")
    for word, token in zip(found, doc, strict=True):
        assert (word.dep, word.head, word.tag, word.morph) == (token.dep_, token.head.i, token.tag_, str(token.morph))
        assert word.sent == [s.start <= token.i < s.end for s in doc.sents].index(True)
    assert found[0].pos == "PROPN" and len({w.sent for w in found}) >= 2
    line = (SHARED / "data" / "tinystories" / "test.jsonl").read_text().splitlines()[0]
    assert annotator.many([TEXT, json.loads(line)["text"]])[0] == found
