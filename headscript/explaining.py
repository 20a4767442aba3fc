"""Explaining the heads of a model that is already in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from headscript.run import Run, load


def explain(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str] | Mapping[str, Sequence[str]],
    heads: str | Sequence[str] = "all",
    out: str | Path | None = None,
    **settings: Any,
) -> Run:
    """Searches programs for heads of a Hugging Face model as it stands in memory: with adapters, quantised, changed by hand.

    texts: of one kind, or {name: texts} of several, which then count alike; each kind is split into 60% to search on, 20% to choose
    on, 20% to report. out: the run folder, which goes on if it is there (default: a temporary one that lives as long as the run).
    settings: options of `headscript run` with underscores, as in evaluations=20_000, seed=1, workers=2, max_tokens=64.
    workers=1, the default, works in this process; more of them import the caller's main module again, which then needs
    `if __name__ == "__main__":`. Raises UserError, one line, for what cannot be used.
    """
    from harness.cli import parse_arguments
    from harness.commands.run import plan_of
    from harness.lock import locked
    from harness.progress import board
    from harness.session import begin_run
    from harness.targets import borrowed
    from search.campaign import Campaign
    from search.executors import Here, executor

    workers = settings.pop("workers", 1)
    name = getattr(model, "name_or_path", "") or type(model).__name__
    options = [part for key, value in settings.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    spec = heads if isinstance(heads, str) else ",".join(heads)
    kept = tempfile.TemporaryDirectory(prefix="headscript-") if out is None else None
    path = Path(kept.name) / "run" if kept else Path(str(out))
    with ExitStack() as stack:
        given = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headscript-texts-")))
        kinds = texts if isinstance(texts, Mapping) else {"text": texts}
        for kind, part in kinds.items():
            file = given / f"{len(options)}.jsonl"
            file.write_text("".join(json.dumps({"text": t}) + "\n" for t in part), encoding="utf-8")
            options += ["--text", f"{kind}={file}"]
        args = parse_arguments(["run", name, f"--heads={spec}", "--out", str(path), *options])
        target = stack.enter_context(borrowed(model, tokenizer, name))
        stack.enter_context(locked(path))
        session = begin_run(args, path, {"proposers": ["library", "grammar"]}, target)
        if not session.folder.has("result.json"):
            pool = Here() if workers == 1 else stack.enter_context(executor(None, workers))
            campaign = Campaign(session.folder, plan_of(session), pool, workers, stack.enter_context(board()))
            campaign.run({**session.labels, "seed": session.settings["seed"]})
    run = load(path)
    run.session.loaded = target
    run.kept = kept
    return run
