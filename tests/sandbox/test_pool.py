"""The pool: nothing leaks, workers are replaced, limits hold, callers may be threads."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dsl.text import Text, plain_text
from sandbox import Limits, Sandbox, SandboxError
from sandbox.pool import normal

HEAD = """
import numpy as np
def program(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])
    n = len(tokens)
"""
UNIFORM = HEAD + "    return 'uniform', np.ones((n, n))\n"
ABC = plain_text(["a", "b", "c"])
LOWER = np.tril(np.ones((3, 3))) / np.array([[1], [2], [3]])

# Each changes what it can, all without an error, and then all again from within the next text.
POISON = """
STATE = []
class Shared:
    level = 0
SHARED = Shared()
def program(sentence, tokenizer, box=[]):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])
    n = len(tokens)
    assert not STATE and not box and SHARED.level == 0 and np.random.rand() == FIRST_RANDOM
    assert tokens[0] == "▁Once" and _align_to_spacy(sentence, tokens)[0] == [0] and tokenizer.all_special_ids == []
    STATE.append(1); box.append(1); SHARED.level = 1; np.random.seed(5); np.random.rand(10)
    tokens[0] = "poison"; tokens.clear()
    _align_to_spacy(sentence, tokens)[0].append(7)
    tokenizer(sentence)["input_ids"][0] = 99
    tokenizer(sentence).word_ids().clear()
    tokenizer.all_special_ids.append(1)
    tokenizer(sentence, return_tensors="np")["input_ids"][:] = 0
    tokenizer(sentence, return_tensors="pt")["input_ids"].numpy()[:] = 0
    doc = spacy_parse(sentence)
    list(doc[0].children).append(1); list(doc.sents).clear(); doc[0].morph.to_dict().clear()
    np.ones(3)[:] = 5; np.asarray(tokens)
    globals_of_next = [np, spacy_parse]
    return "poison", np.ones((n, n))
"""


def test_nothing_leaks_to_the_next_text_or_program(box, text):
    source = POISON.replace("FIRST_RANDOM", repr(float(np.random.RandomState(0).rand())))
    before = repr(text)
    for _ in range(3):
        result = box.run(source, [text, replace(text), text])
        assert result.ok, result.reason
    assert repr(text) == before


def test_matrices_are_clipped_masked_and_normalised(box):
    raw = np.array([[1.0, 5.0, -3.0], [-1.0, -2.0, 4.0], [1e308, 1e308, 1e308]])
    source = f"def program(a, b):\n    return 'x', np.array({raw.tolist()})"
    causal, free = (box.run(source, [ABC], causal=c).matrices[0] for c in (True, False))
    np.testing.assert_allclose(causal, [[1, 0, 0], [0, 0, 0], [1 / 3] * 3])
    np.testing.assert_allclose(free, [[1 / 6, 5 / 6, 0], [0, 0, 1], [1 / 3] * 3])
    assert not np.isnan(normal(np.zeros((3, 3)), True)).any()


def test_many_texts_at_once_keep_their_order(box):
    texts = [plain_text(["x"] * n) for n in (1, 40, 3, 200, 2)]
    result = box.run(UNIFORM, texts)
    assert [m.shape[0] for m in result.matrices] == [1, 40, 3, 200, 2] and 0 < result.seconds_call < result.seconds
    assert box.run(UNIFORM, []).ok


@pytest.mark.parametrize(
    "source, outcome, reason",
    [
        ("def program(a, b):\n    x = 1\n    return missing", "error", "line 3: NameError: name 'missing' is not defined"),
        ("def program(a, b):\n    return _missing", "error", "line 2: NameError: name '_missing' is not defined"),
        ("def f(x):\n    return 1 / x\ndef program(a, b):\n    return f(0)", "error", "line 2: ZeroDivisionError"),
        ("def program(a, b):\n    return np.argmax(np.array([]))", "error", "line 2: ValueError: attempt to get argmax"),
        ("import numpy as np\nimport torch\ndef program(a, b): 1", "refused", "line 2: import of torch"),
        ("def program(a, b):\n    return 1 +", "refused", "line 2: invalid syntax"),
        ("def program(a):\n    return 1", "refused", "no top-level function of two parameters"),
        ("def program(a, b):\n    return b.get_vocab", "error", "line 2: AttributeError: Tokenizer has no attribute get_vocab"),
        ("def program(a, b):\n    raise ValueError", "error", "line 2: ValueError"),
        ("def program(a, b):\n    return 'x', np.eye(4)", "invalid", "returned a matrix of shape (4, 4), expected (3, 3)"),
        ("def program(a, b):\n    return open", "refused", "line 2: open is not available"),
    ],
)
def test_reasons_name_line_and_cause(source, outcome, reason, box):
    result = box.run(source, [ABC])
    assert result.outcome == outcome and result.reason.startswith(reason), result.reason


def test_limits(box):
    loop = "def program(a, b):\n    while True:\n        pass"
    wall = box.run(loop, [ABC], Limits(seconds=0.2))
    assert wall.outcome == "time" and "0.2 seconds" in wall.reason and wall.seconds < 0.8
    assert box.run(loop, [ABC], Limits(seconds=9, cpu_seconds=1)).reason == "over the limit of 1 seconds of processor time"
    fill = "def program(a, b):\n    return 'x', np.ones(30 * 2**17)[:9].reshape(3, 3)"  # 30 MB
    assert box.run(fill, [ABC], Limits(memory_mb=16)).outcome == "memory"
    assert box.run(fill, [ABC], Limits(memory_mb=64)).ok
    assert box.run(UNIFORM, [ABC], Limits(source_chars=20)).outcome == "refused"
    with pytest.raises(ValueError, match="over the limit of 8 cells"):
        box.run(UNIFORM, [ABC], Limits(cells=8))
    with pytest.raises(ValueError, match="seconds must be above 0"):
        Limits(seconds=0)


def test_wall_limit_counts_all_texts_together(box):
    slow = "def program(a, b):\n    for i in range(10**6): pass\n    return 'x', np.eye(3)"
    assert box.run(slow, [plain_text(["a", "b", "c"]) for _ in range(100)], Limits(seconds=0.15)).outcome == "time"


def children_of(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def zygote_of(sandbox):
    (zygote,) = sandbox._all
    return zygote


def test_killed_zygote_is_replaced_within_a_second():
    with Sandbox() as sandbox:
        assert sandbox.run(UNIFORM, [ABC]).ok
        first = zygote_of(sandbox).process.pid
        os.kill(first, signal.SIGKILL)
        started = time.monotonic()
        assert sandbox.run(UNIFORM, [ABC]).ok
        assert time.monotonic() - started < 1.5 and zygote_of(sandbox).process.pid != first


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


SLOW = HEAD + "    for i in range(n * 10**6): pass\n    return 'x', np.ones((n, n))\n"


@pytest.mark.parametrize("victim", ["zygote", "worker"])
def test_kill_while_a_program_runs(victim):
    with Sandbox() as sandbox, ThreadPoolExecutor(1) as pool:
        assert sandbox.run(UNIFORM, [ABC]).ok
        zygote = zygote_of(sandbox).process.pid
        future = pool.submit(sandbox.run, SLOW, [ABC])
        while not (workers := children_of(zygote)):
            os.sched_yield()
        os.kill(zygote if victim == "zygote" else workers[0], signal.SIGKILL)
        result = future.result(10)
        assert result.ok, result.reason  # the program was innocent: it ran again
        assert not running(workers[0])
        np.testing.assert_allclose(sandbox.run(UNIFORM, [ABC]).matrices[0], LOWER)


def test_a_campaign_of_a_thousand_programs_with_hostile_ones():
    bombs = [
        "def program(a, b):\n    while True: pass",
        "def program(a, b):\n    return [0] * 10**9",
        "import os\ndef program(a, b): os.kill(os.getppid(), 9)",
        "def program(a, b):\n    x = []\n    for i in range(10**6): x = enumerate(x)\n    list(x)",
        "def program(a, b):\n    return 'x', np.full((3, 3), np.nan)",
    ]
    sources = [bombs[i // 20 % 5] if i % 20 == 7 else UNIFORM + f"# {i}" for i in range(1000)]
    limits = Limits(seconds=1.0, memory_mb=128)
    with Sandbox(workers=2, limits=limits) as sandbox, ThreadPoolExecutor(2) as pool:
        bomb_limits = replace(limits, seconds=0.1)
        results = list(pool.map(lambda s: sandbox.run(s, [ABC], bomb_limits if s in bombs else limits), sources, chunksize=1))
    assert all(result.ok != (source in bombs) for source, result in zip(sources, results, strict=True))
    assert all(np.allclose(result.matrices[0], LOWER) for result in results if result.ok)
    assert sum(result.ok for result in results) == 950


def test_threads_share_a_pool():
    with Sandbox(workers=2) as sandbox, ThreadPoolExecutor(4) as pool:
        texts = [plain_text(["t"] * (2 + i % 5)) for i in range(40)]
        results = list(pool.map(lambda t: sandbox.run(UNIFORM, [t]), texts))
        assert all(r.ok and len(r.matrices[0]) == len(t) for r, t in zip(results, texts, strict=True))
        assert len(sandbox._all) <= 2


def test_a_zygote_started_in_a_thread_outlives_it():
    with Sandbox() as sandbox:
        thread = threading.Thread(target=sandbox.run, args=(UNIFORM, [ABC]))
        thread.start()
        thread.join()
        pid = zygote_of(sandbox).process.pid
        assert sandbox.run(UNIFORM, [ABC]).ok and zygote_of(sandbox).process.pid == pid


def test_closing_ends_the_processes():
    sandbox = Sandbox()
    sandbox.run(UNIFORM, [ABC])
    process = zygote_of(sandbox).process
    sandbox.close()
    assert process.poll() is not None
    with pytest.raises(SandboxError, match="closed"):
        sandbox.run(UNIFORM, [ABC])


def test_the_zygote_has_a_clean_environment(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "sk-secret")
    with Sandbox() as sandbox:
        sandbox.run(UNIFORM, [ABC])
        pid = zygote_of(sandbox).process.pid
        names = {line.split(b"=")[0] for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if line}
        assert names == {b"OPENBLAS_NUM_THREADS", b"OMP_NUM_THREADS", b"MKL_NUM_THREADS", b"PYTHONHASHSEED"}
        assert os.readlink(f"/proc/{pid}/cwd") == "/" and os.getsid(pid) == pid
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert not any(name in maps for name in ("torch", "tokenizers", "spacy", "litellm", "_ssl"))


def test_a_malformed_text_is_an_error_and_not_the_end(box):
    broken = Text(text="a", tokens=("a", "b"), ids=(1,), alignment=((), ()), special=(False, False))
    result = box.run(UNIFORM, [broken])
    assert result.outcome == "error" and "the text itself cannot be used" in result.reason
    assert box.run(UNIFORM, [ABC]).ok


def test_texts_are_forgotten_and_sent_again(monkeypatch):
    monkeypatch.setattr("sandbox.worker.KEPT_TEXTS", 3)
    texts = [plain_text(["t"] * n) for n in range(1, 8)]
    with Sandbox() as sandbox:
        for start in (0, 2, 4, 1):
            chosen = texts[start : start + 2]
            assert [len(m) for m in sandbox.run(UNIFORM, chosen).matrices] == [len(t) for t in chosen]
        assert [len(m) for m in sandbox.run(UNIFORM, texts).matrices] == [len(t) for t in texts]
