"""Every program of the corpus gives, in the jail, what it gives in plain CPython on the same facades."""

import ast
from pathlib import Path

import numpy as np
import pytest

from sandbox import wire
from sandbox.environment import Inputs
from sandbox.pool import normal

CORPUS = Path(__file__).parents[2].parent / "shared/corpus"
FILES = sorted(CORPUS.glob("*.py"))


def plain_run(source, text):
    """The oracle: exec without policy, guards or process; real numpy."""
    inputs = Inputs(*wire.decode_text(wire.encode_text(text)))
    names = {
        name.replace("$", "_"): value for name, value in inputs.namespace().items() if callable(value) and not name.startswith("_")
    }
    names |= {"np": np, "__name__": "program"}
    np.random.seed(0)
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and len(node.args.args) >= 2]
    with np.errstate(all="ignore"):
        exec(compile(source, "plain", "exec"), names)
        value = names[functions[-1].name](inputs.sentence, inputs.tokenizer)
    return value[1] if isinstance(value, tuple) else value


@pytest.mark.skipif(not FILES, reason="../shared/corpus is not here")
def test_corpus_runs_and_agrees_with_plain_python(box, causal, bidirectional):
    assert len(FILES) == 84
    for file in FILES:
        is_causal = file.name.startswith("stories")
        texts = (causal if is_causal else bidirectional).texts
        source = file.read_text()
        result = box.run(source, texts, causal=is_causal)
        assert result.ok, (file.name, result.reason)
        for text, matrix in zip(texts, result.matrices, strict=True):
            expected = normal(np.asarray(plain_run(source, text), dtype=float), is_causal)
            np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-12, err_msg=file.name)
            assert matrix.dtype == np.float64 and (matrix >= 0).all()
            assert not is_causal or not np.triu(matrix, 1).any()
