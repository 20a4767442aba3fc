"""A finished run in a notebook: heads and programs that show themselves, attention as viewers of attention take it.

Here `bertviz` and `circuitsvis` stand for what they import:

    run = Run("runs/demo")
    run                          # a table
    run.head("L2H3")             # scores and program
    bertviz.model_view(run.attention(text=0), run.tokens(text=0))
    circuitsvis.attention.attention_patterns(tokens=run.tokens(0), attention=run.patterns(0)[2][0])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.overview import with_time
from harness.report import colours
from harness.report.data import described
from harness.session import Session, open_run, outcome_of
from search.folder import SPLITS

if TYPE_CHECKING:
    import numpy as np
    import torch

    from dsl.nodes import Program
    from dsl.text import Text
    from harness.highlight import Highlighted


@dataclass(frozen=True)
class HeadResult:
    """What a run found for one head."""

    record: Mapping[str, Any] = field(repr=False)
    session: Session = field(repr=False)

    @property
    def name(self) -> str:
        """As in L2H3."""
        return f"L{self.record['layer']}H{self.record['head']}"

    @property
    def scores(self) -> dict[str, float]:
        """Mean IoU by split, as the run found it."""
        return dict(self.record["iou"])

    @cached_property
    def program(self) -> Program:
        """The head's own program."""
        from dsl import parse

        return parse(self.record["program"])

    @cached_property
    def english(self) -> list[str]:
        """One sentence per rule."""
        return described(self.record["program"])["english"]

    def pattern(self, text: str | Text) -> np.ndarray:
        """(n, n) float32, query x key: what the head's program says of a text, each row summing to 1 (or 0)."""
        from dsl import Batch, evaluate
        from harness.report.matrices import shared_window

        model, (read,) = self.session.description["model"], self.session.read([text])
        return evaluate(self.program, Batch([read], model["causal"], shared_window(model)))[0]

    def attention(self, text: str | Text) -> np.ndarray:
        """(n, n) float32, query x key: the model's own attention in this head; loads the model when first asked."""
        from harness.attention import patterns

        (read,) = self.session.read([text])
        (matrices,) = patterns(self.session.target, [read.ids])
        return matrices[self.record["layer"] * self.session.target.heads + self.record["head"]].astype("float32")

    def iou(self, texts: Sequence[str | Text]) -> np.ndarray:
        """(T,) float64: the IoU of the head's program with its attention on each text; loads the model when first asked.

        sum(min(A, P)) / sum(max(A, P)) over the cells of a text.
        """
        import numpy as np

        found = []
        for text in self.session.read(texts):
            a, p = self.attention(text).astype(float), self.pattern(text).astype(float)
            found.append(np.minimum(a, p).sum() / np.maximum(a, p).sum())
        return np.array(found)

    def show(self, text: str | Text | int = 0, queries: int = 3) -> Highlighted:
        """The text with each token shaded by what the head, and the program, look at from some queries; for notebooks.

        text: a text, or the number of a held-out one.
        """
        from harness.highlight import Highlighted

        if isinstance(text, int):
            here = self.session.texts("test")[text]
            true = self.session.store("test").matrix(self.record["layer"], self.record["head"], text).astype("float32")
        else:
            (here,) = self.session.read([text])
            true = self.attention(here)
        return Highlighted(tuple(here.tokens), true, self.pattern(here), queries)

    def __repr__(self) -> str:
        return f"{self.name}: IoU {self.scores['test']:.3f} on test, {self.record['kind']}\n{self.record['program']}"

    def _repr_html_(self) -> str:
        low, high = self.record["interval"]
        scores = ", ".join(f"{split} {self.scores[split]:.3f}" for split in SPLITS)
        sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.english)
        return (
            f"<div><b>{self.name}</b>, {escape(self.record['kind'])}: IoU {scores} (test 95% {low:.3f} to {high:.3f})"
            f"<pre>{escape(self.record['program'])}</pre><ol>{sentences}</ol>{self.show()._repr_html_()}</div>"
        )


class Run:
    """A finished run folder. Raises FolderError or UserError, one line, for anything else."""

    kept: Any = None  # a temporary folder that goes when the run does

    def __init__(self, path: str | Path) -> None:
        self.session: Session = open_run(path)
        self.outcome = with_time(self.session, outcome_of(self.session))

    @cached_property
    def heads(self) -> Mapping[str, HeadResult]:
        """The heads of the run by name, in ascending order."""
        found = (HeadResult(record, self.session) for record in self.outcome["heads"])
        return {head.name: head for head in found}

    def head(self, name: str) -> HeadResult:
        """The head called `name`, as in L2H3. Raises UserError where the run has none of that name."""
        try:
            return self.heads[name.strip().upper()]
        except KeyError:
            names = list(self.heads)
            raise UserError(f"no head {name} in this run; it has {names[0]} to {names[-1]}") from None

    @property
    def library(self) -> dict[str, Program]:
        """The shared programs by their ids."""
        from dsl import parse

        return {p["id"]: parse(p["program"]) for p in self.outcome["library"]}

    def tokens(self, text: int = 0, split: str = "test") -> list[str]:
        """The n tokens of a text."""
        return list(self.session.texts(split)[text].tokens)

    def attention(self, text: int = 0, split: str = "test") -> list[torch.Tensor]:
        """The model's attention: for each layer (1, head, query, key) float32."""
        import torch

        store = self.session.store(split)
        layers = []
        for layer in range(store.layers):
            heads = [torch.tensor(store.matrix(layer, head, text), dtype=torch.float32) for head in range(store.heads)]
            layers.append(torch.stack(heads)[None])  # (1, H, n, n)
        return layers

    def patterns(self, text: int = 0, split: str = "test") -> list[torch.Tensor]:
        """The heads' own programs in the place of their attention: for each layer (1, head, query, key) float32.

        Heads that are not in the run are zero everywhere.
        """
        import torch

        from dsl import Batch, evaluate
        from harness.report.matrices import shared_window

        model = self.session.description["model"]
        batch = Batch([self.session.texts(split)[text]], model["causal"], shared_window(model))
        layers = [torch.zeros(1, model["heads"], batch.size, batch.size) for _ in range(model["layers"])]
        for head in self.heads.values():
            layers[head.record["layer"]][0, head.record["head"]] = torch.from_numpy(evaluate(head.program, batch)[0])
        return layers

    def __repr__(self) -> str:
        from harness.overview import run_table

        return run_table(self.outcome)

    def _repr_html_(self) -> str:
        """The map of all heads, with a head's program as the title of its cell."""
        model, found = self.session.description["model"], {(h.record["layer"], h.record["head"]): h for h in self.heads.values()}
        rows = []
        for layer in reversed(range(model["layers"])):
            cells = "".join(_cell(found.get((layer, head))) for head in range(model["heads"]))
            rows.append(f"<tr><th>{layer}</th>{cells}</tr>")
        top = "".join(f"<th>{head}</th>" for head in range(model["heads"]))
        low, high = self.outcome["interval"]
        return (
            f"<div><b>{escape(self.outcome['target'])}</b>: mean IoU {self.outcome['mean_iou']['test']:.3f} on test"
            f" (95% {low:.3f} to {high:.3f}), library of {len(self.outcome['library'])}:"
            f" {self.outcome['library_mean_iou']['test']:.3f}<table><tr><th>layer</th>{top}</tr>{''.join(rows)}</table></div>"
        )


def _cell(head: HeadResult | None) -> str:
    if head is None:
        return "<td></td>"
    iou = head.scores["test"]
    ground = colours.at(colours.sequential(False), iou)
    ink = "#14181d" if colours.is_light(ground) else "#ffffff"
    title = escape(repr(head), quote=True)
    return f'<td title="{title}" style="background:{ground};color:{ink};text-align:center">{100 * iou:.0f}</td>'
