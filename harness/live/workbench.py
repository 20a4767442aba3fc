"""What the live page asks for, computed from a run folder and its model; everything is JSON values.

IoU is of the `select` texts: people who change programs by hand choose by what they see, and `test` is looked at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property, lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from search import workspace

if TYPE_CHECKING:
    import numpy as np

    from dsl.nodes import Concept, Program
    from dsl.text import Text
    from harness.live.asking import Adviser
    from harness.session import Session

MOST_CHARACTERS = 20_000  # of a text or a program that is sent
CONTINUATION = 30  # tokens
LIKELY = 10  # tokens of the next-token distribution that are shown


class Workbench:
    """One run, opened for many requests; they are answered one after the other."""

    def __init__(self, session: Session, outcome: dict[str, Any], adviser: Adviser | None = None) -> None:
        """adviser: whom `shorter` asks; None where no language model was named."""
        self.session, self.outcome, self.adviser = session, outcome, adviser
        self.lock = RLock()
        self._read = lru_cache(maxsize=32)(self._read_text)

    def page(self) -> dict[str, Any]:
        """What the page starts with."""
        from harness.report import colours

        model = self.session.description["model"]
        texts = self.session.texts("test")
        return {
            "name": self.session.folder.path.resolve().name,
            "target": self.outcome["target"],
            "model": {k: model[k] for k in ("layers", "heads", "causal")},
            "ramps": {
                n: {"seq": colours.sequential(d), "div": colours.diverging(d)} for n, d in (("light", False), ("dark", True))
            },
            "scale": 10_000,
            "heads": [
                {
                    "name": f"L{r['layer']}H{r['head']}",
                    "kind": r["kind"],
                    "iou": r["iou"]["select"],
                    "gain": r["iou"]["select"] - r["baseline"]["select"],
                    "program": r["program"],
                    "full": None if full["program"] == r["program"] else {k: full[k] for k in ("program", "size")},
                    "full_iou": full["iou"]["select"],
                }
                for r in self.outcome["heads"]
                for full in [r["full_program"]]
            ],
            "concepts": [str(c) for c in self.concepts.values()],
            "asks": [m.name for m in self.adviser.opened.settings.models] if self.adviser else [],
            "text": texts[0].text if texts else "",
            "texts": [],
        }

    def warm(self) -> None:
        """Loads what the first answer needs: the model, and the texts that programs are scored on."""
        with self.lock:
            self._problem()
            self._read(self.page()["text"] or "a text")

    def look(self, head: str, text: str, program: str, off: Collection[int] = ()) -> dict[str, Any]:
        """A program on a text beside the head: matrices, IoU by domain, what each rule adds; or the program's errors."""
        from dsl import Batch, english, evaluate, simplify, size
        from dsl.diagnose import faults
        from harness.live.rules import gains, without
        from harness.report.data import described
        from harness.report.fired import fired
        from harness.report.matrices import bits, pack, quantised, shared_window

        with self.lock:
            row = self._row(head)
            read, true = self._read(_short(text, "text"))
            errors = faults(_short(program, "program"), self.concepts)
            answer: dict[str, Any] = {
                "tokens": list(read.tokens),
                "true": pack(quantised(true[row])),
                "errors": [{"line": e.line, "column": e.column, "message": e.message} for e in errors],
            }
            if errors:
                return answer
            whole = self._parsed(program)
            kept = without(whole, off)
            model = self.session.description["model"]
            batch = Batch([read], model["causal"], shared_window(model))
            pattern = evaluate(kept, batch)[0]
            iou, domains, adds = gains(whole, self._problem(), row, off)
            return answer | {
                "program": pack(quantised(pattern) + bits(fired(kept, batch)[:, 0])),
                "described": described(str(kept)),
                "rules": [
                    {"text": str(rule), "english": said, "adds": a, "on": i not in off}
                    for i, (rule, said, a) in enumerate(zip(whole.rules(), english(whole), adds, strict=True))
                ],
                "size": size(simplify(kept)),
                "iou": iou,
                "domains": domains,
                "here": _iou(true[row], pattern),
            }

    def examples(self, head: str, program: str, off: Collection[int] = ()) -> dict[str, Any]:
        """The queries of `select` texts on which a program and the head agree least and most, and the tokens of these texts."""
        from harness.live.rules import without
        from harness.report.examples import examples

        with self.lock:
            problem = self._problem()
            found = examples(without(self._parsed(program), off), problem, self._row(head))
            used = {text for rows in found.values() for text, *_ in rows}
            return {"examples": found, "texts": {text: list(problem.texts_given[text].tokens) for text in sorted(used)}}

    def shorter(self, head: str, program: str) -> dict[str, Any]:
        """A shorter program for the head by a language model, with constants fitted. Other requests are answered meanwhile."""
        from dsl import simplify, size
        from harness.live.asking import TEXTS, best_of, question, usable
        from harness.live.rules import gains

        if self.adviser is None:
            raise UserError("no language model was named: headscript serve RUN --llm MODEL")
        path, price = str(self.session.folder.path), self.outcome["parsimony"]
        with self.lock:
            row, given = self._row(head), self._parsed(program)
            place = divmod(row, self.session.description["model"]["heads"])
            sample = workspace.sample(path, "fit", TEXTS)
            messages = question(self.adviser.opened, sample, place, row, given, price, self.concepts)
        model, answer = self.adviser.ask(messages, place)
        with self.lock:
            fit, select = workspace.problem(path, "fit"), self._problem()
            iou, _, _ = gains(given, select, row)
            length = size(simplify(given))
            found = best_of(usable(answer, given, self.concepts), fit, select, row, price, length)
            return {"proposal": found, "now": {"iou": iou, "size": length}, "model": model, "spent": self.adviser.spent()}

    def fit(self, head: str, program: str) -> dict[str, Any]:
        """The program with constants fitted to the head on the `fit` texts."""
        from dsl import simplify
        from search.fitting import fit_constants

        with self.lock:
            problem = workspace.problem(str(self.session.folder.path), "fit")
            return {"program": str(simplify(fit_constants(self._parsed(program), problem, [self._row(head)])))}

    def simplify(self, program: str) -> dict[str, Any]:
        """The program's canonical form."""
        from dsl import simplify

        return {"program": str(simplify(self._parsed(program)))}

    def save(self, head: str, program: str) -> dict[str, Any]:
        """Keeps the program in the run as the user's own: it is in the archive of all heads, for `cover` and the fronts."""
        from harness.live.saving import save

        with self.lock:
            self.outcome = save(self.session, self._row(head), self._parsed(program))
            return {"saved": True, "heads": self.page()["heads"]}

    def replace(self, head: str, program: str, text: str) -> dict[str, Any]:
        """The model with the program in place of the head on a text: perplexity, the next token, and how each goes on."""
        import torch

        from harness.patterns import model_inputs, program_patterns
        from harness.replace import replace_heads
        from harness.targets import quiet

        with self.lock, torch.no_grad():
            target = self.session.target
            if not target.lm_head or not target.causal:
                raise UserError("this model does not predict the next token, so that nothing can be continued")
            (read,) = self.session.read([_short(text, "text")])
            row, parsed = self._row(head), self._parsed(program)
            place = divmod(row, target.heads)
            sources = {place: lambda texts: self._patterns(parsed, texts)}
            patterns = program_patterns(target.tokenizer, sources, target.embed, self._annotator)
            ids = model_inputs(target.model, [read])["input_ids"]  # (1, N)
            mask = torch.ones_like(ids)
            # No token ends it: -1 is none.
            greedy = {"do_sample": False, "max_new_tokens": CONTINUATION, "eos_token_id": -1, "pad_token_id": 0}

            def figures() -> dict[str, Any]:
                logits = target.model(input_ids=ids, attention_mask=mask).logits[0].float()  # (N, V)
                chances = logits.log_softmax(-1)
                loss = -chances[:-1].gather(1, ids[0, 1:, None]).mean()
                with quiet():  # of sampling, which a model's own settings may ask for
                    whole = target.model.generate(input_ids=ids, attention_mask=mask, **greedy)
                return {"perplexity": float(loss.exp()), "next": chances[-1].exp(), "goes_on": whole[0, ids.shape[1] :].tolist()}

            original = figures()
            with replace_heads(target.model, patterns):
                replaced = figures()
            likely = (original["next"] + replaced["next"]).topk(min(LIKELY, len(original["next"]))).indices.tolist()
            say = target.tokenizer.decode
            return {
                "perplexity": {"original": original["perplexity"], "replaced": replaced["perplexity"]},
                "next": [
                    {"token": say([i]), "original": float(original["next"][i]), "replaced": float(replaced["next"][i])}
                    for i in likely
                ],
                "goes_on": {"original": say(original["goes_on"]), "replaced": say(replaced["goes_on"])},
            }

    @cached_property
    def _annotator(self) -> Any:
        """The run's annotator, of texts that go on; None where it has none."""
        from harness.annotate import load_annotator

        name = self.session.names["annotator"]
        return load_annotator(name) if name else None

    def _patterns(self, program: Program, texts: Sequence[Text]) -> np.ndarray:
        from dsl import Batch, evaluate
        from harness.report.matrices import shared_window

        model = self.session.description["model"]
        return evaluate(program, Batch(texts, model["causal"], shared_window(model)))

    def _problem(self) -> Any:
        return workspace.problem(str(self.session.folder.path), "select")

    def _row(self, head: str) -> int:
        for record in self.outcome["heads"]:
            if f"L{record['layer']}H{record['head']}" == head:
                return record["layer"] * self.session.description["model"]["heads"] + record["head"]
        raise UserError(f"no head {head} in this run")

    @cached_property
    def concepts(self) -> dict[str, Concept]:
        """The concepts that the run was given (`run --concepts FILE`); programs may use them without defining them."""
        from dsl import parse_concepts

        return parse_concepts("\n".join(self.session.settings.get("concepts", {}).values()))

    def _parsed(self, program: str) -> Program:
        from dsl import parse

        return parse(_short(program, "program"), self.concepts)

    def _read_text(self, text: str) -> tuple[Text, np.ndarray]:
        """The text as the model reads it, and (layers * heads, n, n) attention."""
        from harness.attention import patterns

        (read,) = self.session.read([text])
        (matrices,) = patterns(self.session.target, [read.ids])
        return read, matrices.astype("float32")


def _short(text: str, what: str) -> str:
    if len(text) > MOST_CHARACTERS:
        raise UserError(f"the {what} is longer than {MOST_CHARACTERS:,} characters")
    return text


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    import numpy as np

    return float(np.minimum(a, b).sum() / max(np.maximum(a, b).sum(), 1e-9))
