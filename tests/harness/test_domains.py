"""Several kinds of text: how they are named, read, cut and held out, and what is refused."""

import json
import random
from argparse import ArgumentTypeError

import pytest

from harness.domains import MIXTURE_FOLDER, MIXTURE_KINDS, Source, load_corpus, load_test, max_texts, sources
from harness.errors import UsageError, UserError

PARTS = {"train": 6, "validation": 3, "test": 3}


def text(kind: str, number: int) -> str:
    return f"{kind} {number}: " + " ".join(random.Random(f"{kind}{number}").choices(["one", "two", "three", "four"], k=9))


@pytest.fixture
def folders(tmp_path):
    """kinds: a folder of train, validation and test files each, no two texts alike."""

    def make(*kinds: str, parts: dict[str, int] = PARTS) -> list[str]:
        specs = []
        for kind in kinds:
            (tmp_path / kind).mkdir()
            at = 0
            for part, number in parts.items():
                rows = [json.dumps({"text": text(kind, at + i), "story": f"the {kind} {at + i}"}) for i in range(number)]
                (tmp_path / kind / f"{part}.jsonl").write_text("\n".join(rows))
                at += number
            specs.append(f"{kind}={tmp_path / kind}")
        return specs

    return make


def test_every_domain_has_its_own_splits(folders):
    corpus = load_corpus(sources(folders("poems", "laws")), 0)
    for split, start, number in (("fit", 0, 6), ("select", 6, 3), ("test", 9, 3)):
        expected = {(text(kind, start + i), kind) for kind in ("poems", "laws") for i in range(number)}
        assert set(zip(corpus.texts[split], corpus.domains[split], strict=True)) == expected
        assert set(corpus.domains[split][:2]) == {"poems", "laws"}  # any beginning has texts of every kind
    assert corpus.names == ("poems", "laws") and corpus.notes == ()


def test_what_is_held_out_is_only_tested_on(folders):
    given = sources(folders("poems", "laws"))
    corpus, whole = load_corpus(given, 0, held_out=["laws"]), load_corpus(given, 0)
    assert set(corpus.domains["fit"]) == set(corpus.domains["select"]) == {"poems"}
    assert corpus.texts["test"] == whole.texts["test"]  # figures on it can be compared
    assert corpus.held_out == ("laws",) and "laws" in corpus.notes[-1]
    assert corpus.fingerprint != whole.fingerprint


def test_what_was_cut_is_said_for_each_kind(folders):
    corpus = load_corpus(sources(folders("poems", "laws")), 0, (4, 3, 2))
    assert [len(corpus.texts[split]) for split in ("fit", "select", "test")] == [8, 6, 4]
    cut = "4 of 6 texts used for fit, 2 of 3 texts used for test (--max-texts)"
    assert corpus.notes == (f"poems: {cut}", f"laws: {cut}")


def test_the_column_holds_for_every_kind(folders):
    corpus = load_corpus(sources(folders("poems", "laws"), "story"), 0)
    assert all(t.startswith("the ") for part in corpus.texts.values() for t in part)


def test_one_kind_without_a_name_is_called_after_its_place(folders):
    (spec,) = folders("poems")
    path = spec.split("=", 1)[1]
    assert sources([path]) == (Source("poems", path),)
    for given, name in ((None, "demo"), ("a/b.jsonl", "b"), ("someone/Some Stories", "Some-Stories")):
        assert [s.name for s in sources(given and [given])] == [name]
    assert sources(["/data/lang=en/x.txt"])[0].name == "x"  # a path may hold an equals sign


def test_texts_to_measure_on_are_those_of_the_test_part(folders):
    texts, domains, notes = load_test(sources(folders("poems", "laws")), 2)
    assert list(zip(texts, domains, strict=True)) == [(text(kind, 9 + i), kind) for i in (0, 1) for kind in ("poems", "laws")]
    assert len(notes) == 2 and all("the first 2 texts" in note for note in notes)


def one_line(caught) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a=x", "b=y", "a=z"], "--text a=: the name is given twice"),
        (["=x"], "no name before the ="),
        (["a="], "nothing after the ="),
        (["a= "], "nothing after the ="),
        (["x.jsonl", "y.jsonl"], "several kinds of text need a name each"),
        (["a=x", "y.jsonl"], "several kinds of text need a name each"),
    ],
)
def test_what_cannot_be_named_is_refused(given, said):
    with pytest.raises(UsageError) as caught:
        sources(given)
    assert said in one_line(caught)


@pytest.mark.parametrize(
    ("held_out", "said"), [(["lies"], "no such kind of text; --text gives poems, laws"), (["laws", "poems"], "every kind")]
)
def test_what_cannot_be_held_out_is_refused(folders, held_out, said):
    with pytest.raises(UsageError) as caught:
        load_corpus(sources(folders("poems", "laws")), 0, held_out=held_out)
    assert said in one_line(caught)


def test_a_kind_that_is_missing_or_too_small_is_named(folders, tmp_path):
    (poems,) = folders("poems")
    (few,) = folders("few", parts={"train": 2})
    with pytest.raises(UserError, match=r"^--text none=: .*no such file"):
        load_corpus(sources([poems, f"none={tmp_path / 'nothing'}"]), 0)
    with pytest.raises(UserError, match=r"^--text few=: .*2 different texts cannot fill the splits"):
        load_corpus(sources([poems, few]), 0)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("held_out", [[], ["laws"]])
def test_a_text_of_two_kinds_is_refused_where_it_would_count(folders, tmp_path, part, held_out):
    given = folders("poems", "laws")
    file = tmp_path / "laws" / f"{part}.jsonl"
    file.write_text(file.read_text() + "\n" + json.dumps({"text": text("poems", 0)}))
    if held_out and part != "test":
        load_corpus(sources(given), 0, held_out=held_out)
        return
    with pytest.raises(UserError, match="--text poems= and laws=: the same text is in both"):
        load_corpus(sources(given), 0, held_out=held_out)


@pytest.mark.parametrize("given", ["1,2", "1,2,3,4", "0,1,1", "a,b,c", "1,-2,3", ""])
def test_numbers_of_texts_are_three_above_zero(given):
    assert max_texts("5, 2,3") == (5, 2, 3)
    with pytest.raises(ArgumentTypeError):
        max_texts(given)


def test_a_kind_of_short_texts_alone_is_named(tiny):
    from harness.targets import Target, prepare_domains

    small = tiny("causal")
    target = Target("tiny", small.model, small.tokenizer, 2, 4, True, 64, (None, None), True, "cpu", True, "0")
    given = ["the cat sat on the mat .", "the", "a big dog ran by the red tree", "a cat"]
    texts, names, notes = prepare_domains(target, given, ["a", "a", "b", "b"], 16)
    assert [t.text for t in texts] == [given[0], given[2]] and names == ("a", "b") and notes[0].startswith("2 of 4 texts dropped")
    with pytest.raises(UserError, match=r"^b: no text of at least 3 tokens"):
        prepare_domains(target, given, ["a", "b", "a", "b"], 16)


def test_the_mixture_ships_whole_with_its_licences():
    """30, 12 and 12 texts of each kind, none twice, long enough to fill 96 tokens; the README names every source."""
    given = sources(None, target="someone/model")
    corpus = load_corpus(given, 0)
    assert corpus.names == MIXTURE_KINDS == tuple(s.name for s in sources(["mixture"])) and corpus.notes == ()
    for split, number in (("fit", 30), ("select", 12), ("test", 12)):
        assert [corpus.domains[split].count(name) for name in corpus.names] == [number] * len(corpus.names)
    every = [text for part in corpus.texts.values() for text in part]
    assert len(every) == len(set(every)) and all(300 < len(text) <= 2000 for text in every)
    names = [name for split in corpus.texts for name in corpus.domains[split]]
    assert all(text.count("?") >= 3 for text, name in zip(every, names, strict=True) if name == "dialogue")
    readme = (MIXTURE_FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}/`" in readme for name in MIXTURE_KINDS)
    assert [s.name for s in sources(["mixture", f"mine={MIXTURE_FOLDER}"])] == [*MIXTURE_KINDS, "mine"]
