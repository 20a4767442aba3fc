"""`headscript replace` and `export` on run folders of tiny random models: figures, resuming, and what is refused."""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dsl import Batch, evaluate, parse
from harness import curve
from harness.cli import main
from harness.commands._replace_page import page, percent
from harness.commands.replace import program_sources
from harness.controls import CONTROLS, controls
from harness.effect import effects
from harness.measure import gathered, make_sample, measure
from harness.patterns import previous_token, program_patterns
from harness.replace import noting, replace_heads
from harness.session import Session, open_run
from harness.summary import summarise
from search.folder import RunFolder
from search.outcome import FORMAT

SHARED = Path(__file__).parents[2].parent / "shared"
PREVIOUS = "when dist == 1 add 1\nwhen row == 0 and k == q set 1"
PROGRAMS = [PREVIOUS, "when k == 0 add 1", "when same(text) add 1\nwhen k == 0 add 0.1", "when true add 1"]
FRACTIONS = [0.05, 0.1, 0.25, 0.5, 0.75, 1.0]
MORE = ("the red bird sat by the mat .", "then the dog saw a cat and ran .", "a cat sat !")
QUESTION = {"context": "the cat sat on", "choices": ["the mat .", "a big red dog ."], "label": 0}


def write_run(path, target, heads, texts, max_tokens=64):
    """A finished run without a search: head h has program h of PROGRAMS, in turn, and shares the first or the second."""
    from harness.targets import load_target, prepare

    loaded = load_target(str(target))
    folder = RunFolder(path)
    session = Session(folder)
    session.description = {
        "settings": {
            "target": loaded.fingerprint,
            "text": "abc",
            "heads": [list(h) for h in heads],
            "seed": 0,
            "max_tokens": max_tokens,
        }
        | {"annotator": None},
        "names": {"target": str(target), "text": "stories", "annotator": None},
        "model": {"layers": loaded.layers, "heads": loaded.heads, "causal": loaded.causal, "windows": list(loaded.windows)},
    }
    folder.start(session.description)
    for split in ("fit", "select", "test"):
        folder.write_texts(split, prepare(loaded, texts, max_tokens)[0])
    records = [
        {"layer": layer, "head": head, "program": PROGRAMS[i % 4], "size": i + 5, "kind": "ab"[i % 2]}
        | {"iou": {"select": i / 10, "test": i / 10}}
        | {"full_program": {"program": PROGRAMS[(i + 1) % 4], "size": i + 9, "iou": {"select": i / 9, "test": i / 9}}}
        | {"library_program": f"P{i % 2 + 1}", "library_iou": {"select": -i / 10}}
        for i, (layer, head) in enumerate(heads)
    ]
    library = [{"id": f"P{i + 1}", "program": PROGRAMS[i]} for i in range(2)]
    folder.write("result.json", {"format": FORMAT, "heads": records, "library": library, "full_program": {}})
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny):
    """The function that gives a run folder of a tiny model of a readout, and the folder of the model."""
    known = {}

    def make(readout):
        if readout not in known:
            base, parts = tmp_path_factory.mktemp(readout), tiny(readout)
            parts.model.save_pretrained(base / "model")
            parts.tokenizer.save_pretrained(base / "model")
            stories = [text.text for text in parts.texts]
            heads = [(layer, head) for layer in range(2) for head in range(4)]
            known[readout] = SimpleNamespace(model=base / "model", run=write_run(base / "run", base / "model", heads, stories))
        return known[readout]

    return make


@pytest.fixture
def causal(made, tmp_path):
    """A copy of the causal run, so that nothing is left over from another test."""
    here = made("causal")
    return SimpleNamespace(model=here.model, run=shutil.copytree(here.run, tmp_path / "run"))


def replace(capsys, *arguments, expect=0):
    """The document, or the one line of the refusal."""
    capsys.readouterr()
    code = main(["replace", *map(str, arguments), *(["--json"] if not expect else [])])
    out, err = capsys.readouterr()
    assert code == expect, err
    if not expect:
        return json.loads(out)
    assert out == "" and "Traceback" not in err
    return err.splitlines()[-1]


@pytest.fixture
def texts_file(tmp_path):
    path = tmp_path / "more.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in MORE))
    return path


def task_file(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_largest_programs_go_in_on_demand(causal, capsys):
    session = open_run(causal.run)
    own, full = program_sources(session), program_sources(session, full=True)
    assert full[0, 0] is not own[0, 0] and len({id(s) for s in full.values()}) == len(PROGRAMS)
    texts = session.texts("test")
    assert (full[0, 0](texts) == program_sources(session)[0, 1](texts)).all()
    shown, largest = (replace(capsys, causal.run, "--fraction", "1", *more) for more in ([], ["--full"]))
    assert (shown["programs"], largest["programs"]) == ("per head", "largest of each head")
    assert "exclude each other" in replace(capsys, causal.run, "--full", "--library", expect=2)


def test_the_document(causal, capsys):
    document = replace(capsys, causal.run, "--fraction", "0.3")
    assert json.loads((causal.run / "replace.json").read_text()) == document
    assert [p["fraction"] for p in document["curve"]] == sorted([*FRACTIONS, 0.3])
    assert len(document["heads_replaced"]) == 2 and len(document["heads_in_order"]) == 8
    assert document["tasks"] == {} and document["programs"] == "per head" and document["texts"] == 5
    here = next(p for p in document["curve"] if p["fraction"] == 0.3)
    for figure in ("increase_percent", "kl", "agreement"):
        low, high = document[f"{figure}_interval"]
        assert low <= document[figure] <= high and document[figure] == here[figure]
    ratio = document["perplexity"]["replaced"] / document["perplexity"]["original"]
    assert 100 * (ratio - 1) == pytest.approx(document["increase_percent"])
    assert set(here["baselines"]) == {"uniform", "previous", "mean"}


@torch.no_grad()
def test_all_heads_by_hand(causal, capsys):
    document = replace(capsys, causal.run, "--fraction", 1)
    session = open_run(causal.run)
    model, total, tokens = session.target.model, {"original": 0.0, "replaced": 0.0}, 0
    for text in session.texts("test"):
        n, ids = len(text), torch.tensor([text.ids])
        previous, start, same, even = (torch.zeros(n, n) for _ in range(4))
        for q in range(n):
            previous[q, max(q - 1, 0)] = start[q, 0] = 1
            for k in range(q + 1):
                same[q, k] = (text.tokens[q] == text.tokens[k]) + 0.1 * (k == 0)
                even[q, k] = 1 / (q + 1)
            same[q] /= same[q].sum()
        patterns = {(layer, h): m[None] for layer in range(2) for h, m in enumerate((previous, start, same, even))}
        total["original"] += (n - 1) * model(ids, labels=ids).loss.item()
        with replace_heads(model, patterns):
            total["replaced"] += (n - 1) * model(ids, labels=ids).loss.item()
        tokens += n - 1
    for name, nll in total.items():
        assert document["perplexity"][name] == pytest.approx(math.exp(nll / tokens), rel=1e-4)


def test_the_library_has_its_own_programs_and_order(causal, capsys):
    document = replace(capsys, causal.run, "--library", "--order", "iou", "--fraction", 1)
    assert document["programs"] == "library"
    assert document["heads_in_order"][0] == "L0H0" and document["heads_in_order"][-1] == "L1H3"
    assert not (causal.run / "replace.json").exists()  # the report shows per-head programs
    assert replace(capsys, causal.run, "--order", "iou")["heads_in_order"] == document["heads_in_order"][::-1]
    session = open_run(causal.run)
    texts = session.texts("test")
    shared = program_sources(session, library=True)
    assert np.array_equal(shared[1, 2](texts), previous_token(texts))
    assert shared[1, 2] is shared[0, 0]  # the same callable: its patterns are computed once


def test_a_second_call_measures_nothing_anew(causal, capsys, texts_file, monkeypatch):
    arguments = (causal.run, "--fraction", "0.5")
    first = replace(capsys, *arguments)
    asked = []
    monkeypatch.setattr(curve, "measure", lambda *a: asked.append("measure") or measure(*a))
    monkeypatch.setattr(curve, "effects", lambda *a, **k: asked.append("effects") or effects(*a, **k))
    assert replace(capsys, *arguments) == first and asked == []
    replace(capsys, *arguments, "--text", texts_file)
    assert asked == ["measure"]  # the order is known: only the new texts are measured, in one batch
    replace(capsys, *arguments, "--library")
    assert asked == ["measure", "effects", "measure"]  # other programs share nothing


def test_an_interrupted_call_goes_on_where_it_stopped(causal, capsys, monkeypatch):
    whole = shutil.copytree(causal.run, causal.run.parent / "whole")
    expected = replace(capsys, whole)
    needed = len(list((whole / "replace").glob("*/*.json")))
    write = RunFolder.write

    def until(stop):
        written = []

        def counted(folder, name, data):
            if "replace/" in name:
                if len(written) == stop:
                    raise KeyboardInterrupt
                written.append(name)
            write(folder, name, data)

        monkeypatch.setattr(RunFolder, "write", counted)
        return written

    until(7)
    assert "interrupted" in replace(capsys, causal.run, expect=130)
    again = until(-1)
    assert replace(capsys, causal.run) == expected
    assert len(again) == needed - 7


def test_another_result_does_not_use_what_was_measured(causal, capsys):
    before = replace(capsys, causal.run, "--fraction", 1)
    outcome = json.loads((causal.run / "result.json").read_text())
    for record in outcome["heads"]:
        record["program"] = "when true add 1"
    (causal.run / "result.json").write_text(json.dumps(outcome))
    after = replace(capsys, causal.run, "--fraction", 1)
    assert after["perplexity"]["replaced"] != before["perplexity"]["replaced"]
    everywhere = after["curve"][-1]
    assert everywhere["increase_percent"] == pytest.approx(everywhere["baselines"]["uniform"]["increase_percent"], rel=1e-3)


def test_other_texts_are_reported_the_order_stays(causal, capsys, texts_file):
    own, other = replace(capsys, causal.run), replace(capsys, causal.run, "--text", texts_file)
    assert other["texts"] == len(MORE) and other["text"] == str(texts_file)
    assert other["heads_in_order"] == own["heads_in_order"]
    assert other["perplexity"] != own["perplexity"]
    assert json.loads((causal.run / "replace.json").read_text()) == own


def test_a_text_longer_than_the_context_is_cut_with_a_note(causal, capsys, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("the cat sat on the mat . " * 40)
    document = replace(capsys, causal.run, "--text", path, "--max-tokens", 1000, "--order", "iou")
    assert any("cut at 64 tokens (the context of" in note for note in document["notes"])


def test_tasks(causal, capsys, tmp_path):
    rows = [{**QUESTION, "label": i % 2} for i in range(10)]
    path = task_file(tmp_path / "quiz.jsonl", *rows)
    document = replace(capsys, causal.run, "--tasks", path, "demo-stories", "--questions", 8, "--order", "iou")
    assert set(document["tasks"]) == {"quiz", "demo-stories"}
    quiz, demo = document["tasks"]["quiz"], document["tasks"]["demo-stories"]
    assert quiz["questions"] == demo["questions"] == 8
    assert quiz["original"]["acc"] == quiz["replaced"]["acc_norm"] == quiz["random"] == 0.5  # whatever the model says
    assert demo["random"] == 0.25
    assert [p["fraction"] for p in quiz["curve"]] == [0.1, 0.25, 0.5, 1.0]
    assert set(quiz["others"]) == {"uniform", "previous", "mean"}
    assert "task quiz: 8 questions" in page(document)


def test_fractions_heads_and_orders(causal, capsys):
    document = replace(capsys, causal.run, "--fraction", "0.5,0.25", "--order", "layer", "--heads", "L1,L0H2")
    assert [p["fraction"] for p in document["curve"]] == [0.25, 0.5]
    assert document["heads_in_order"] == ["L0H2", "L1H0", "L1H1", "L1H2", "L1H3"]
    assert document["fraction"] == 0.5 and document["heads_replaced"] == ["L0H2", "L1H0", "L1H1"]
    assert all(set(p["baselines"]) == {"uniform", "previous", "mean"} for p in document["curve"])
    assert not (causal.run / "replace.json").exists()  # the report shows all heads
    assert "the run has none" in replace(capsys, partial_run(causal), "--heads", "L0", expect=2)


def partial_run(causal):
    """The run with the heads of the second layer alone."""
    outcome = json.loads((causal.run / "result.json").read_text())
    outcome["heads"] = [r for r in outcome["heads"] if r["layer"] == 1]
    (causal.run / "result.json").write_text(json.dumps(outcome))
    return causal.run


def test_controls(causal, capsys):
    document = replace(capsys, causal.run, "--controls", 2, "--fraction", "0.5,1", "--order", "iou")
    assert set(document["controls"]) == set(CONTROLS)
    for figures in document["controls"].values():
        low, high = figures["increase_percent_interval"]
        assert figures["draws"] == 2 and low <= figures["increase_percent"] <= high
    text = page(document)
    assert "permuted within each layer" in text and "uniform attention" in text
    again = replace(capsys, causal.run, "--controls", 2, "--fraction", "0.5,1", "--order", "iou")
    assert again == document
    assert replace(capsys, causal.run, "--controls", "--fraction", "0.5")["controls"]["layer"]["draws"] == 3


def test_what_the_controls_give_each_head():
    heads = [(layer, head) for layer in range(3) for head in range(4)]
    categories = {head: "abc"[(head[0] + head[1]) % 3] for head in heads}
    programs, library = {head: f"program {head}" for head in heads}, {head: f"shared {head[1] % 2}" for head in heads}
    own = {program: head for head, program in programs.items()}
    for seed in range(5):
        found = controls(programs, categories, library, seed)
        for name in ("layer", "category", "other category", "all heads"):
            assert sorted(found[name].values()) == sorted(programs.values())  # a permutation
            assert all(found[name][head] != programs[head] for head in heads)  # nobody keeps his own
        assert all(own[found["layer"][head]][0] == head[0] for head in heads)
        assert all(categories[own[found["category"][head]]] == categories[head] for head in heads)
        assert all(categories[own[found["other category"][head]]] != categories[head] for head in heads)
        assert set(found["library"].values()) <= set(library.values())
    assert controls(programs, categories, library, 1) == controls(programs, categories, library, 1)
    alone = controls({(0, 0): "x"}, {(0, 0): "a"}, {(0, 0): "y"}, 0)
    assert {name: sources[0, 0] for name, sources in alone.items()} == dict.fromkeys(CONTROLS, "x") | {"library": "y"}


def test_masked_models_have_a_pseudo_perplexity(made, capsys):
    document = replace(capsys, made("masked").run, "--fraction", 0.5)
    assert document["readout"] == "masked" and document["perplexity"]["original"] > 1
    assert "pseudo-perplexity" in page(document) and "masked" in " ".join(document["notes"])


def test_without_a_language_model_head_hidden_states_are_compared(made, capsys, tmp_path):
    run = made("hidden").run
    document = replace(capsys, run, "--order", "random")
    assert [document[f] for f in ("perplexity", "increase_percent", "kl", "agreement")] == [None] * 4
    assert -1 <= document["cosine"] <= 1 and document["relative_error"] > 0
    assert "relative error" in page(document)
    quiz = task_file(tmp_path / "quiz.jsonl", QUESTION)
    assert "task quiz: tasks need a model with a language-model head" in replace(capsys, run, "--tasks", quiz, expect=1)


@pytest.mark.parametrize("readout", ["causal", "hidden"])
def test_the_page_fits_80_columns(made, capsys, readout, tmp_path):
    quiz = task_file(tmp_path / "quiz.jsonl", QUESTION)
    tasks = ["--tasks", str(quiz)] if readout == "causal" else []
    assert main(["replace", str(made(readout).run), "--order", "iou", "--fraction", "0.333", *tasks]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "3 of 8 heads replaced" in printed and "33.3%" in printed


def test_a_change_in_percent_stays_short():
    assert max(len(percent(v)) for v in (-99.96, 99.94, 123.4, 9999.4, 1e5, 3.3e9)) <= 7


@pytest.mark.parametrize("fraction", ["1.5", "-0.1", "nan", "half"])
def test_a_fraction_outside_0_to_1(causal, capsys, fraction):
    assert "--fraction" in replace(capsys, causal.run, f"--fraction={fraction}", expect=2)


def test_a_run_of_another_model_or_another_vocabulary(causal, capsys, tmp_path):
    other = shutil.copytree(causal.model, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.1}))
    assert "made with another model" in replace(capsys, causal.run, "--target", other, expect=1)
    renamed = _renamed(causal.model, tmp_path)
    said = replace(capsys, causal.run, "--target", renamed, expect=1)
    assert "the vocabulary of" in said and "'cat' in the run, 'cow' here" in said
    moved = shutil.copytree(causal.model, tmp_path / "moved")
    assert replace(capsys, causal.run, "--target", moved, "--order", "iou")["texts"] == 5


def _renamed(model, tmp_path):
    """The model with another word in its vocabulary."""
    copy = shutil.copytree(model, tmp_path / "renamed")
    tokenizer = copy / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"cat"', '"cow"'))
    return copy


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"context": "the cat", "options": ["sat", "ran"], "label": 0}, '"choices"'),
        ({**QUESTION, "label": 2}, '"label" must be an integer from 0 to 1'),
        ({**QUESTION, "label": "0"}, '"label" must be an integer'),
        ({**QUESTION, "choices": ["the mat ."]}, "at least two options"),
    ],
)
def test_a_task_file_that_is_wrong_names_the_line(causal, capsys, tmp_path, row, said):
    quiz = task_file(tmp_path / "quiz.jsonl", QUESTION, row)
    line = replace(capsys, causal.run, "--tasks", quiz, expect=1)
    assert "quiz.jsonl, line 2" in line and said in line


def test_what_else_is_refused(causal, capsys, tmp_path):
    assert "no task 'trivia'" in replace(capsys, causal.run, "--tasks", "trivia", expect=1)
    assert "no such file" in replace(capsys, causal.run, "--text", tmp_path / "none.jsonl", expect=1)
    assert "not a run folder" in replace(capsys, tmp_path, expect=1)
    assert "--max-tokens goes with" in replace(capsys, causal.run, "--max-tokens", 10, expect=2)
    (causal.run / "result.json").unlink()
    assert "not finished" in replace(capsys, causal.run, expect=1)


def test_programs_of_a_run_in_ones_own_experiment(causal):
    session = open_run(causal.run)
    target, sources = session.target, program_sources(session)
    text = session.texts("test")[1]
    ids = torch.tensor([text.ids])
    with torch.no_grad(), replace_heads(target.model, program_patterns(target.tokenizer, sources, target.embed)):
        loss = target.model(ids, labels=ids).loss.item()
        longer = target.model.generate(ids, max_new_tokens=3, do_sample=False, use_cache=False)
    sample = make_sample([text], "causal")
    parts = zip(*(measure(target.model, "causal", batch, [sources, {}]) for batch in sample.batches), strict=True)
    replaced, original = (gathered(sample.texts, part) for part in parts)
    assert summarise(replaced, original)["perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)
    assert longer.shape[1] > ids.shape[1]


REAL = {"demo": "demo", "stories260K": SHARED / "models" / "stories260K"}


@pytest.mark.parametrize("name", list(REAL))
@torch.no_grad()
def test_programs_write_the_same_story_with_a_cache_and_without(name, tmp_path):
    """Padding on the left, as generate wants it; programs that look at what stands before."""
    if name != "demo" and not REAL[name].exists():
        pytest.skip(f"{REAL[name]} is not here")
    stories = ("Once upon a time there was a little girl. She", "Tom had a big red ball", "The dog was sad. He ran to the")
    heads = [(layer, head) for layer in range(2) for head in range(4)]
    session = open_run(write_run(tmp_path / "run", REAL[name], heads, stories, max_tokens=48))
    target = session.target
    programs = program_patterns(target.tokenizer, program_sources(session), target.embed)
    ids = [target.tokenizer(story).input_ids for story in stories]
    width = max(map(len, ids))
    inputs = {
        "input_ids": torch.tensor([[0] * (width - len(row)) + row for row in ids]),
        "attention_mask": torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids]),
    }
    options = {"max_new_tokens": 24, "do_sample": False, "pad_token_id": 0}
    plain = target.model.generate(**inputs, use_cache=True, **options)
    with replace_heads(target.model, programs):
        cached = target.model.generate(**inputs, use_cache=True, **options)
        anew = target.model.generate(**inputs, use_cache=False, **options)
    assert torch.equal(cached, anew) and not torch.equal(cached, plain)


@pytest.mark.parametrize("window", [None, 3])
def test_export_needs_numpy_alone(causal, tmp_path, window):
    path, described = tmp_path / "head.py", causal.run / "run.json"
    description = json.loads(described.read_text())
    description["model"]["windows"] = [window, None]
    described.write_text(json.dumps(description))
    assert main(["export", str(causal.run), "l0h2", "--out", str(path)]) == 0
    module = {}
    source = path.read_text()
    exec(source, module)
    assert [line for line in source.splitlines() if "import" in line] == ["import numpy as np"]
    session = open_run(causal.run)
    for text in session.texts("test"):
        expected = program_sources(session)[0, 2]([text])[0]
        assert np.allclose(module["L0H2"](list(text.tokens)), expected, atol=1e-6)
    assert main(["export", str(causal.run), "L7H0"]) == 2


@pytest.mark.skipif(not (SHARED / "models" / "stories260K").exists(), reason="../shared/models/stories260K is not here")
def test_a_real_model(tmp_path, capsys):
    from harness.texts import load_texts

    stories = load_texts(str(SHARED / "data" / "tinystories"), 0, (4, 4, 4)).test
    heads = [(0, h) for h in range(4)]
    run = write_run(tmp_path / "run", SHARED / "models" / "stories260K", heads, stories, max_tokens=48)
    document = replace(capsys, run)
    everything = document["curve"][-1]
    assert 2 < document["perplexity"]["original"] < 20
    assert everything["kl"] > 0 and everything["agreement"] < 1 and everything["increase_percent"] > 0


def test_a_second_round(causal, capsys, monkeypatch):
    """At each fraction the heads in place, and no others, get other constants; found once, kept, reported beside the programs."""
    asked = (causal.run, "--fraction", "0.5,1", "--order", "iou")
    plain, document = replace(capsys, *asked), replace(capsys, *asked, "--refit", 3)
    for before, point in zip(plain["curve"], document["curve"], strict=True):
        found = point.pop("second_round")
        assert point == before
        low, high = found["increase_percent_interval"]
        assert low <= found["increase_percent"] <= high and len(found["losses"]) - 1 == found["passes"] == 3
        assert set(found["programs"]) == set(document["heads_in_order"][: point["heads"]])
    assert "second round" in page(replace(capsys, *asked, "--refit", 3))
    sources = program_sources(open_run(causal.run))
    again = {tuple(map(int, name[1:].split("H"))): parse(program) for name, program in found["programs"].items()}
    texts = open_run(causal.run).texts("test")
    changed = [head for head, program in again.items() if not np.allclose(evaluate(program, Batch(texts)), sources[head](texts))]
    assert changed == [head for head in sorted(again) if head[1] == 2]  # in the others the constants divide out

    monkeypatch.setattr("harness.refit.refit", None)
    monkeypatch.setattr(curve, "measure", None)
    assert "second_round" in replace(capsys, *asked, "--refit", 3)["curve"][0]


def test_questions_are_put_to_the_second_round(causal, capsys, tmp_path):
    path = task_file(tmp_path / "quiz.jsonl", *({**QUESTION, "label": i % 2} for i in range(4)))
    asked = (causal.run, "--fraction", "0.5", "--tasks", path, "--refit", 1, "--order", "iou")
    document = replace(capsys, *asked)
    assert [p["fraction"] for p in document["tasks"]["quiz"]["curve"]] == [0.1, 0.25, 0.5, 1.0]
    kept = [json.loads(p.read_text())["name"] for p in (causal.run / "replace").glob("*/*.json")]
    assert sum(name.startswith("task quiz") and "second round" in name for name in kept) == 1


def test_programs_by_effect(causal, capsys):
    """Of a head's own and the library's the one of the least effect; what is written is the run's own programs' document alone."""
    own, document = (replace(capsys, causal.run, "--fraction", 1, *more) for more in ([], ["--objective", "effect"]))
    assert document["programs"] == "by effect" and own["objective"] is None
    found = document["objective"]
    assert all(after <= before for before, after in found["effects"].values())
    assert sum(after for _, after in found["effects"].values()) < sum(before for before, _ in found["effects"].values())
    assert document["kl"] < own["kl"]
    assert json.loads((causal.run / "replace.json").read_text()) == own
    assert "programs by effect" in page(document)
    assert "without --full or --library" in replace(capsys, causal.run, "--objective", "effect", "--library", expect=2)


@torch.no_grad()
def test_where_it_arises(causal, capsys):
    """The figures of a head by hand: its mass on the start, the length of the start's value; parts that make up the whole."""
    document = replace(capsys, causal.run, "--losses", "--fraction", 1)
    found = {record["head"]: record for record in document["losses"]}
    assert len(found) == 8 and "where programs cost most" in page(document)
    assert [r["effect"] for r in document["losses"]] == sorted((r["effect"] for r in found.values()), reverse=True)
    session = open_run(causal.run)
    record, texts = found["L1H1"], session.texts("select")  # whose program gives all to the start
    masses, lengths = [], []
    with noting(session.target.model, {}) as calls:
        for text in texts:
            session.target.model(torch.tensor([text.ids]))
    for call in calls:
        if call.module.layer_idx == 1:
            norms = call.value[0, 1].norm(dim=-1)
            masses += call.probabilities[0, 1, 1:, 0].tolist()
            lengths += [float(norms[0] / norms[1:].mean())] * (len(norms) - 1)
    assert record["start"]["attention"] == pytest.approx(np.mean(masses), rel=1e-3)
    assert record["start"]["value"] == pytest.approx(np.mean(lengths), rel=0.02)
    assert record["start"]["program"] == pytest.approx(1) and record["start"]["difference"] == pytest.approx(
        1 - np.mean(masses), rel=1e-3
    )
    for row in record["worst"]:
        text = texts[row["text"]]
        assert text.tokens[row["position"]] == row["token"] and 0 < row["effect"] <= record["rows"]
        for key in row["keys"]:
            assert text.tokens[key["position"]] == key["token"] and key["position"] <= row["position"]
            assert key["program"] == pytest.approx(float(key["position"] == 0), abs=1e-6)
    assert sum(key["part"] for row in record["worst"] for key in row["keys"] if row["position"] < 3) == pytest.approx(
        sum(row["position"] < 3 for row in record["worst"]), abs=1e-3
    )  # rows of three keys at most: their parts are all told
