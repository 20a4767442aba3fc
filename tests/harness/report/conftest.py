"""A run folder made without a search: programs of known patterns, attention that resembles them, a result with their scores."""

import random
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

PROGRAMS = {
    "previous token": "when dist == 1 add 0.7\nwhen k == 0 add 0.3",
    "first token": 'when k == 0 add 2\nwhen dist == 0 add 0.5\nwhen row > 2 and text(k) in {".", " cat"} scale 2',
    "self": "when dist == 0 add 1\nwhen dist == 2 add 0.5\nwhen row == 0 and k == 0 set 1",
    "same token": (
        'when text(q) != "." {\n    when same(text) add 1\n} else {\n    when dist < 4 add 0.25\n}\nwhen k == 0 add 0.2\nnormalize'
    ),
    "mixed": "when true add exp(-0.2 * dist)\nwhen dist == 0 scale 2",
}
WORDS = [
    *[
        " the",
        " cat",
        " cat",
        " dog",
        " sat",
        " ran",
        " by",
        " tree",
        " a",
        " big",
        ".",
        ".",
        ",",
        "ly",
        "é",
        "<0x0A>",
        "</script>",
        "&amp;",
    ]
]
NOTE = "test: 2 texts cut at 48 tokens"


def make_run(path, layers=2, heads=3, texts=6, tokens=(12, 30), causal=True, replace=True, llm=True, domains=None, held_out=()):
    """Writes the folder; returns it with what its matrices and scores are. domains: the kind of each text of a split."""
    from dsl import Batch, english, evaluate, parse, size
    from dsl.text import plain_text
    from search.domains import Domains, one_domain
    from search.folder import SPLITS, RunFolder
    from search.outcome import FORMAT, headline, means, measured, over_heads

    folder, drawn = RunFolder(path), random.Random(5)
    rng = np.random.default_rng(5)
    kinds = [drawn.choice(list(PROGRAMS)) for _ in range(layers * heads)]
    kinds[: len(PROGRAMS)] = list(PROGRAMS)[: len(kinds)]
    folder.start(
        {
            "settings": {
                "target": "abc",
                "text": "def",
                "heads": [[0, 0]] * len(kinds),
                "seed": 3,
                "max_tokens": 96,
                "annotator": None,
                "held_out": list(held_out),
            },
            "names": {"target": "tiny <model>", "text": "stories", "annotator": None},
            "model": {"layers": layers, "heads": heads, "causal": causal, "windows": [None] * layers},
            "versions": {"python": "3.11.9", "numpy": "2.0"},
            "notes": [NOTE],
        }
    )
    patterns, iou = {}, {}
    for split in SPLITS:
        here = [plain_text(["<s>", *drawn.choices(WORDS, k=drawn.randint(*tokens) - 1)]) for _ in range(texts)]
        folder.write_texts(split, here, domains)
        lengths = [len(t) for t in here]
        rows = np.zeros((len(kinds), sum(n * n for n in lengths)), np.float16)
        at = 0
        for text in here:
            n, batch = len(text), Batch([text], causal)
            true = {kind: evaluate(parse(program), batch)[0] for kind, program in PROGRAMS.items()}
            for h, kind in enumerate(kinds):
                noise = rng.dirichlet(np.full(n, 0.3), n) * batch.allowed[0]
                noise /= np.maximum(noise.sum(-1, keepdims=True), 1e-9)
                rows[h, at : at + n * n] = (0.8 * true[kind] + 0.2 * noise).ravel()
            at += n * n
        file = path / "attention" / f"{split}.npy"
        file.parent.mkdir(exist_ok=True)
        np.save(file, rows)
        folder.write(f"attention/{split}.json", {"path": str(file), "layers": layers, "heads": heads, "lengths": lengths})
        patterns[split] = rows
        starts = np.cumsum([0, *(n * n for n in lengths)])
        for kind, program in PROGRAMS.items():
            mine = np.concatenate([evaluate(parse(program), Batch([text], causal)).ravel() for text in here])
            for h in range(len(kinds)):
                parts = [(rows[h, a:b].astype(float), mine[a:b]) for a, b in pairwise(starts)]
                iou[split, kind, h] = np.array([np.minimum(a, b).sum() / np.maximum(a, b).sum() for a, b in parts])
    library = ["previous token", "first token", "mixed"]
    records = []
    parsed = {kind: parse(program) for kind, program in PROGRAMS.items()}
    front = sorted(PROGRAMS, key=lambda p: size(parsed[p]))
    given = dict.fromkeys(SPLITS, Domains(tuple(domains), held_out) if domains else one_domain(texts))

    def told(kind, h):
        sentences = english(parsed[kind])
        gains = [round(0.3 / (i + 1), 6) for i in range(len(sentences))]
        return {
            "program": str(parsed[kind]),
            "rules": len(parsed[kind].rules()),
            "size": size(parsed[kind]),
            "headline": headline(sentences, gains),
            "english": sentences,
            **measured({s: iou[s, kind, h] for s in SPLITS}, given),
            "rule_gains": gains,
            "proposer": "grammar",
        }

    for h, kind in enumerate(kinds):
        served = max(library, key=lambda p: iou["select", p, h].mean())
        shared = measured({s: iou[s, served, h] for s in SPLITS}, given)
        records.append(
            {
                "layer": h // heads,
                "head": h % heads,
                **told(kind, h),
                "kind": kind,
                "full_program": told(front[-1], h),
                "library_program": f"P{library.index(served) + 1}",
                "library_iou": shared["iou"],
                "library_domains": shared["domains"],
                "baseline": {"name": "first token", "select": 0.21, "test": 0.2},
                "front": [
                    {
                        "program": str(parsed[p]),
                        "rules": len(parsed[p].rules()),
                        "size": size(parsed[p]),
                        "fit": round(float(given["fit"].mean(iou["fit", p, h])), 6),
                        "select": round(float(given["select"].mean(iou["select", p, h])), 6),
                        "proposer": "grammar",
                    }
                    for p in front
                ],
            }
        )
    shared = over_heads(records, "library_iou")
    folder.write(
        "result.json",
        {
            "target": "tiny <model>",
            "text": "stories",
            "seed": 3,
            "evaluations": 12345,
            "format": FORMAT,
            "parsimony": 0.0005,
            "held_out": list(held_out),
            **means(records, given["test"]),
            "full_program": means([r["full_program"] for r in records], given["test"]),
            "library": [
                {
                    "id": f"P{i + 1}",
                    "program": str(parsed[p]),
                    "heads": [[r["layer"], r["head"]] for r in records if r["library_program"] == f"P{i + 1}"],
                    "rules": len(parsed[p].rules()),
                    "size": size(parsed[p]),
                    "proposer": "grammar",
                }
                for i, p in enumerate(library)
            ],
            "library_mean_iou": shared,
            "library_domains": over_heads(records, "library_domains"),
            "curve": [
                {"size": 1, "select": 0.31, "test": 0.3, "bound": 0.35},
                {"size": 2, "select": 0.44, "test": 0.42, "bound": 0.47},
                {"size": 3, "select": shared["select"], "test": shared["test"], "bound": shared["select"] + 0.01},
            ],
            "heads": records,
            "proposals": {"made": 900, "same_text": 120, "same_behaviour": 80, "scored": 700},
        },
    )
    folder.write("timing.json", {"seconds": 75.25, "phases": {"heads": 60.0, "cover": 15.25}})
    if replace:
        folder.write("replace.json", replacement())
    if llm:
        spent = {"calls": 12, "tokens": 34567, "usd": 0.25}
        heads_spent = {"L1H2": {"calls": 3, "tokens": 4321, "usd": 0.07, "programs": {"lifted": 2}}}
        folder.write("llm.json", {"models": {"a/b": spent}, **spent, "programs": {"lifted": 9}, "heads": heads_spent})
    return SimpleNamespace(path=path, folder=folder, kinds=kinds, patterns=patterns, records=records, heads=heads)


def replacement(key="increase_percent", scale=1.0):
    """replace.json as `headscript replace` writes it: of a model that predicts tokens, or by the error of hidden states."""
    told = key == "increase_percent"
    costs = {"uniform": 900, "previous": 500, "mean": 300}
    curve = [
        {
            "fraction": f,
            "heads": max(1, round(6 * f)),
            "increase_percent": None,
            key: 40 * f**2 * scale,
            f"{key}_interval": [30 * f**2 * scale, 50 * f**2 * scale],
            "baselines": {
                name: {key: cost * f**2 * scale, f"{key}_interval": [cost * f**2 * scale / 2, cost * f**2 * scale * 2]}
                for name, cost in costs.items()
                if f in (0.25, 1.0)
            },
        }
        for f in (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
    ]
    task = {"questions": 24, "original": {"acc": 0.75}, "replaced": {"acc": 0.7}, "random": 0.5, "curve": [], "notes": []}
    control = {"draws": 2, key: 70.0 * scale, f"{key}_interval": [60.0 * scale, 80.0 * scale]}
    return {
        **curve[2],
        "perplexity": {"original": 8.0, "replaced": 8.2} if told else None,
        "heads_replaced": ["L0H0", "L1H2"],
        "heads_in_order": ["L1H2", "L0H0", "L0H1", "L0H2", "L1H0", "L1H1"],
        "curve": curve,
        "controls": {"layer": control},
        "tasks": {"stories": task},
    }


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A small run: 2 layers of 3 heads."""
    return make_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def make():
    """The function that makes run folders."""
    return make_run


@pytest.fixture
def hidden_states():
    """replace.json of a model without a language-model head."""
    return replacement("relative_error", 0.01)
