"""The questions of `headscript replace --tasks`: read by name or file, and made ready for the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import output
from harness.errors import UserError

if TYPE_CHECKING:
    from dsl.text import Text
    from harness.annotate import Annotator
    from harness.targets import Target
    from harness.tasks import Choices, Question

DEMO_TASK = "demo-stories"
DEMO_QUESTIONS = Path(__file__).parents[1] / "demo" / "stories.jsonl"
WHOLE = 10**6  # tokens: more than a question has


def load_tasks(specs: Sequence[str], most: int) -> dict[str, list[Question]]:
    """The first `most` questions of each task, by a name that no other has. UserError: what is wrong, with the line."""
    from harness.tasks import load_questions

    tasks = {}
    for spec in specs:
        path = Path(spec)
        name = path.stem if path.suffix == ".jsonl" else spec
        tasks[spec if name in tasks else name] = load_questions(str(DEMO_QUESTIONS) if spec == DEMO_TASK else spec, most)
    return tasks


def prepared_tasks(
    questions: Mapping[str, Sequence[Question]],
    target: Target,
    annotator: Annotator | None,
    max_tokens: int | None,
    readout: Any,
    hide: Any,
    batch_size: int,
) -> dict[str, Choices]:
    """The questions of each task ready for the target, cut at `max_tokens` or at its context. UserError names the task."""
    from dataclasses import replace
    from functools import partial

    from harness.annotate import annotate
    from harness.patterns import text_of
    from harness.questions import can_share
    from harness.tasks import make_choices
    from harness.tokens import view

    def complete(text: Text) -> Text:
        if annotator is not None:
            (text,) = annotate([text], annotator)
        return replace(text, embeddings=target.embed(text.ids))

    limit = min((n for n in (max_tokens, target.context) if n is not None), default=None)
    shares = partial(can_share, target.model) if set(target.windows) == {None} else lambda options: False
    tasks = {}
    for name, asked in questions.items():
        try:
            tasks[name] = make_choices(
                asked,
                lambda string: complete(view(target.tokenizer, string, WHOLE)),
                lambda ids: complete(text_of(target.tokenizer, ids)),
                limit,
                readout,
                hide,
                batch_size,
                shares,
            )
        except UserError as error:
            raise UserError(f"task {name}: {error}") from None
        for line in tasks[name].notes:
            output.note(f"task {name}: {line}")
    return tasks
