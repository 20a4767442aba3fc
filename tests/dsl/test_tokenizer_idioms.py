"""The lifter on what programs ask of a tokenizer: on every target right, or refused at its line with the reason.

The oracle is plain Python with the real tokenizer; the sandbox is compared with it in tests/sandbox/test_tokenizer.py.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from differential import PLAIN, SHARED, TOLERANCE, Reader, default_targets, run_plainly

from dsl.batch import Batch
from dsl.evaluator import evaluate
from dsl.lift import Refusal, lift
from dsl.text import facts_of
from harness.targets import load_target
from tests.sandbox.idioms import BODIES, EQUALITY, program

ODD = SHARED / "failures/texts/odd.jsonl"
REFUSED = {  # what has no counterpart in the language, and where the refusal says so: the line of BODIES, counted from 1
    "decoded up to a token": (2, "decode of several tokens"),
    "offsets": (1, "offset_mapping"),
    "offsets' starts": (1, "offset_mapping"),
    "lengths by offsets": (1, "offset_mapping"),
    "characters by offsets": (1, "offset_mapping"),
    "special tokens": (2, "special_tokens_mask"),
    "a token of a character": (2, "char_to_token"),
    "a token of the last character": (2, "char_to_token"),
    "characters of a token": (2, "token_to_chars"),
    "attention mask": (1, "attention_mask"),
    "frequent ids": (1, "id where a number was expected"),
    "size of the vocabulary": (1, "the length of this object"),
    "tokenized anew": (1, "leaves out the special tokens"),
    "without special tokens": (2, "tokens without the special ones"),
}
LINES_BEFORE = 4


@pytest.fixture(scope="module", params=default_targets())
def reader(request):
    return Reader(load_target(request.param), None)


@pytest.fixture(scope="module")
def texts(reader):
    odd = [json.loads(line)["text"] for line in ODD.read_text().splitlines()] if ODD.exists() else []
    read = [reader(raw, 128) for raw in (*odd, *PLAIN[9:14], "Yes")]
    return [text for text in read if len(text) < 60]


def test_idioms(reader, texts):
    for name, body in BODIES.items():
        source = program(body, EQUALITY)
        try:
            found = lift(source, facts_of(texts))
        except Refusal as refusal:
            line, reason = REFUSED[name]
            assert refusal.line == LINES_BEFORE + line and reason in refusal.reason, (name, str(refusal))
            continue
        assert name not in REFUSED
        patterns = evaluate(found.program, Batch(texts, reader.target.causal))
        for text, pattern in zip(texts, patterns, strict=True):
            n = len(text)
            plain = run_plainly(source, text, reader.target.tokenizer, None, reader.target.causal)
            assert np.abs(pattern[:n, :n] - plain).max() <= TOLERANCE, (name, text.text)


NUMBERS = ("ids[i] == 101", "ids[i] in (1, 2)", "5 != ids[i]", "ids[i] < ids[0]", "ids[i] % 2 == 0", "ids[i] + 1 == 2")


@pytest.mark.parametrize("test", NUMBERS)
def test_numbers_of_tokens_are_only_compared_with_one_another(test):
    body = f"ids = tokenizer(sentence).input_ids\nvalues = [{test} for i in range(len(ids))]"
    with pytest.raises(Refusal) as caught:
        lift(program(body, EQUALITY))
    assert caught.value.line == LINES_BEFORE + 2


OTHERS = {
    "tokenizer(sentence.lower()).tokens()": "another text",
    "tokenizer([sentence, sentence]).tokens()": "several texts",
    "tokenizer(sentence.split(), is_split_into_words=True).tokens()": "list of words",
    "tokenizer.convert_ids_to_tokens(tokenizer(sentence).input_ids, skip_special_tokens=True)": "without the special ones",
    "tokenizer.encode(sentence, False)": "without the special ones",
    "tokenizer.get_vocab()": "get_vocab",
    "tokenizer(sentence, return_tensors='pt').input_ids.view(2, -1)": "view",
    "tokenizer(sentence).input_ids.nothing()": "nothing",
    "[t.nothing() for t in tokenizer(sentence).input_ids]": "nothing",
    "[tokenizer.decode([t], clean_up_tokenization_spaces=True) for t in tokenizer(sentence).input_ids]": "clean_up",
}


@pytest.mark.parametrize("asked", OTHERS)
def test_other_questions_are_refused(asked):
    with pytest.raises(Refusal) as caught:
        lift(program(f"values = {asked}", EQUALITY))
    assert OTHERS[asked] in caught.value.reason and caught.value.line == LINES_BEFORE + 1
