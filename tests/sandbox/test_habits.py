"""What LLMs write, construct by construct, runs in the jail and gives what plain CPython gives."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from sandbox.pool import normal

from .test_corpus import plain_run

BODIES = (Path(__file__).parent / "habits.txt").read_text().split("\n=== ")[1:]
HEAD = """
def program(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])
    n = len(tokens)
    A = np.zeros((n, n))
"""


def source_of(section):
    name, _, body = section.partition("\n")
    if name.startswith("file: "):
        return body
    top, _, inner = body.rpartition("\n---\n")
    return top + HEAD + textwrap.indent(inner, "    ") + "\n    return 'x', A\n"


@pytest.mark.parametrize("section", BODIES, ids=lambda section: section.partition("\n")[0])
def test_habit(section, box, text):
    source = source_of(section)
    result = box.run(source, [text])
    assert result.ok, (result.reason, source)
    expected = normal(np.asarray(plain_run(source, text), dtype=float), True)
    np.testing.assert_allclose(result.matrices[0], expected, rtol=0, atol=1e-12)
    assert result.matrices[0].any()
