"""A run as an object: its heads and programs, in a notebook, in a running model, in the tools of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.notebook import HeadResult
from harness.notebook import Run as Shown

if TYPE_CHECKING:
    import numpy as np
    import torch

    from dsl.text import Text
    from harness.patterns import PatternSource
    from harness.replace import Head


class Run(Shown):
    """A finished run folder. `heads` maps names such as "L2H3" to what was found for each head."""

    @contextmanager
    def replace(self, model: Any, heads: str | Sequence[str] = "all", tokenizer: Any = None) -> Iterator[Any]:
        """Inside the `with` block `model`, a Hugging Face model that is already loaded, runs on programs in place of these heads.

        heads: as on the command line ("all", "L2", "L0-L3,not:L1H2"), or names. tokenizer: the run's own by default.
        For `generate` pass use_cache=False, so that programs see the whole text. UserError: the model cannot be served.
        """
        from harness.patterns import program_patterns
        from harness.replace import replace_heads

        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        tokenizer = tokenizer or self.session.target.tokenizer
        patterns = program_patterns(tokenizer, self._sources(heads), self._embed(base), self._annotator())
        with replace_heads(base, patterns):
            yield model

    def pattern_tensors(self, ids: torch.Tensor, heads: str | Sequence[str] = "all") -> dict[Head, torch.Tensor]:
        """{(layer, head): (B, N, N)}, batch x query x key: the patterns of programs on token ids (B, N) of the run's tokenizer."""
        from harness.patterns import program_patterns

        target = self.session.target
        patterns = program_patterns(target.tokenizer, self._sources(heads), target.embed, self._annotator())(ids, None)
        return {head: pattern() if callable(pattern) else pattern for head, pattern in patterns.items()}

    def transformer_lens_hooks(
        self, ids: torch.Tensor, heads: str | Sequence[str] = "all"
    ) -> list[tuple[str, Callable[[torch.Tensor, Any], torch.Tensor]]]:
        """Hooks for `HookedTransformer.run_with_hooks(ids, fwd_hooks=…)` that put programs in place of heads.

        ids: (B, N), the tokens of that very call. Each hook gets a pattern (B, head, query, key).
        """
        layers: dict[int, dict[int, torch.Tensor]] = {}
        for (layer, head), pattern in self.pattern_tensors(ids, heads).items():
            layers.setdefault(layer, {})[head] = pattern

        def put(pattern: torch.Tensor, hook: Any, programs: dict[int, torch.Tensor]) -> torch.Tensor:
            pattern = pattern.clone()
            for head, rows in programs.items():
                pattern[:, head] = rows.to(pattern)
            return pattern

        return [(f"blocks.{layer}.attn.hook_pattern", partial(put, programs=found)) for layer, found in sorted(layers.items())]

    def _chosen(self, heads: str | Sequence[str]) -> list[HeadResult]:
        from harness.heads import name, parse_heads

        if not isinstance(heads, str):
            return [self.head(h) for h in heads]
        model = self.session.description["model"]
        wanted = {name(h) for h in parse_heads(heads, model["layers"], model["heads"], self.session.folder.path)}
        found = [head for head in self.heads.values() if head.name in wanted]
        if not found:
            self.head(min(wanted))  # says which heads there are
        return found

    def _sources(self, heads: str | Sequence[str]) -> dict[Head, PatternSource]:
        from dsl import Batch, evaluate
        from harness.report.matrices import shared_window

        model = self.session.description["model"]

        def source(head: HeadResult, texts: Sequence[Text]) -> np.ndarray:
            return evaluate(head.program, Batch(texts, model["causal"], shared_window(model)))

        return {(h.record["layer"], h.record["head"]): partial(source, h) for h in self._chosen(heads)}

    def _embed(self, model: Any) -> Callable[[Sequence[int]], np.ndarray]:
        from harness.targets import unit_rows

        return partial(unit_rows, model)

    def _annotator(self) -> Any:
        from harness.annotate import load_annotator

        spec = self.session.names["annotator"]
        return load_annotator(spec) if spec else None


def load(path: str | Path) -> Run:
    """The run in a folder. Raises FolderError or UserError, one line, for anything else."""
    return Run(path)
