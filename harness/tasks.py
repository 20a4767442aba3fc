"""Multiple-choice questions, answered by the likelihood of the options, with heads replaced or not.

Questions come from a jsonl file ({"context", "choices", "label"}) or, by name, through `datasets`. Wording, white space, tokens
and accuracies are those of the lm-eval harness (0.4.13): an option is scored as the continuation " " + choice of its context; the
tokens of the whole after as many as the context alone has are the option's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsl.text import Text
from harness.errors import UserError
from harness.measure import NO_MASKER, Masker, Passage, Readout, Sample, into_batches
from harness.questions import Forest, forest
from search.domains import one_domain

DIGITS = 4  # of nats that are compared: options of the same tokens may differ in what follows
View = Callable[[str], Text]  # the whole text as the model reads it, however long
Again = Callable[[Sequence[int]], Text]  # the text that these tokens make


@dataclass(frozen=True)
class Question:
    """An option is scored as the continuation of the context: `context + " " + choice`, as they are. label: of the right one."""

    context: str
    choices: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class Source:
    """A published task: where `datasets` finds it, and how one of its rows becomes a question."""

    path: str
    name: str | None
    split: str
    question: Callable[[Mapping[str, Any]], Question]


def _hellaswag(row: Mapping[str, Any]) -> Question:
    def plain(text: str) -> str:
        return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")

    context = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
    return Question(plain(context), tuple(map(plain, row["endings"])), int(row["label"]))


def _piqa(row: Mapping[str, Any]) -> Question:
    return Question(f"Question: {row['goal']}\nAnswer:", (row["sol1"], row["sol2"]), int(row["label"]))


def _sciq(row: Mapping[str, Any]) -> Question:
    context = f"{row['support'].lstrip()}\nQuestion: {row['question']}\nAnswer:"
    return Question(context, (row["distractor1"], row["distractor2"], row["distractor3"], row["correct_answer"]), 3)


def _arc(row: Mapping[str, Any]) -> Question:
    context = f"Question: {row['question']}\nAnswer:"
    return Question(context, tuple(row["choices"]["text"]), list(row["choices"]["label"]).index(row["answerKey"]))


def _social_iqa(row: Mapping[str, Any]) -> Question:
    context = f"Q: {row['context']} {row['question']}\nA:"
    return Question(context, (row["answerA"], row["answerB"], row["answerC"]), int(row["label"]) - 1)  # labels are 1, 2, 3


def _copa(row: Mapping[str, Any]) -> Question:
    link = {"cause": "because", "effect": "therefore"}[row["question"]]
    choices = (row["choice1"], row["choice2"])
    # The harness puts a space before an option and one more between it and the context.
    options = tuple(f" {choice[:1].lower()}{choice[1:]}" for choice in choices)
    return Question(f"{row['premise'].strip()[:-1]} {link}", options, int(row["label"]))


SOURCES = {
    "hellaswag": Source("Rowan/hellaswag", None, "validation", _hellaswag),
    "piqa": Source("ybisk/piqa", None, "validation", _piqa),
    "sciq": Source("allenai/sciq", None, "test", _sciq),
    "arc_easy": Source("allenai/ai2_arc", "ARC-Easy", "test", _arc),
    "social_iqa": Source("allenai/social_i_qa", None, "validation", _social_iqa),
    "copa": Source("aps/super_glue", "copa", "validation", _copa),
}


def load_questions(spec: str, limit: int | None = None) -> list[Question]:
    """Questions of a .jsonl file or of a task in SOURCES, the first `limit`. UserError: what is wrong, with the line number."""
    path = Path(spec)
    if path.suffix == ".jsonl" or path.is_file():
        return read_questions(path)[:limit]
    name = spec.lower().replace("-", "_")
    if name not in SOURCES:
        raise UserError(f"no task {spec!r}: give a .jsonl file or one of {', '.join(SOURCES)}")
    from datasets import load_dataset

    source = SOURCES[name]
    try:
        rows = load_dataset(source.path, source.name, split=source.split)
    except Exception as error:  # the hub's own errors are of many kinds
        raise UserError(f"task {name}: {source.path} cannot be loaded ({type(error).__name__}: {str(error)[:200]})") from error
    return map_rows(name, rows if limit is None else rows.select(range(min(limit, len(rows)))))


def map_rows(name: str, rows: Iterable[Mapping[str, Any]]) -> list[Question]:
    """The rows of task `name`, in its published schema, as questions. UserError names the row and what is wrong with it."""
    questions = []
    for number, row in enumerate(rows, 1):
        try:
            questions.append(_checked(SOURCES[name].question(row)))
        except KeyError as error:
            raise UserError(f"task {name}, row {number}: no field {error}") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"task {name}, row {number}: {error}") from error
    return questions


def read_questions(path: Path) -> list[Question]:
    """Questions of a jsonl file; empty lines are skipped. UserError: path, line number and what is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    questions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or set(row) != {"context", "choices", "label"}:
                found = sorted(row) if isinstance(row, dict) else type(row).__name__
                raise ValueError(f'expected the fields "context", "choices" and "label", found {found}')
            if not isinstance(row["choices"], list):
                raise ValueError('"choices" must be a list of strings')
            questions.append(_checked(Question(row["context"], tuple(row["choices"]), row["label"])))
        except ValueError as error:  # also what json raises
            raise UserError(f"{path}, line {number}: {error}") from error
    if not questions:
        raise UserError(f"{path} has no questions")
    return questions


def _checked(question: Question) -> Question:
    strings = (question.context, *question.choices)
    if not all(isinstance(s, str) and s.strip() for s in strings):
        raise ValueError('"context" and every one of "choices" must be a string that is not empty')
    if len(question.choices) < 2:
        raise ValueError('"choices" must have at least two options')
    if type(question.label) is not int or not 0 <= question.label < len(question.choices):
        raise ValueError(f'"label" must be an integer from 0 to {len(question.choices) - 1}, found {question.label!r}')
    return question


@dataclass(frozen=True)
class Choices:
    """Questions ready for a model: owner i of the sample is the i-th option of all questions counted through."""

    questions: tuple[Question, ...]
    sample: Sample | Forest
    notes: tuple[str, ...]


def make_choices(
    questions: Sequence[Question],
    view: View,
    again: Again,
    limit: int | None,
    readout: Readout,
    hide: Masker | None = None,
    batch_size: int = 8,
    shares: Callable[[Sequence[tuple[Text, int]]], bool] = lambda options: False,
) -> Choices:
    """What scores every option of every question. A text of more than `limit` tokens is cut from the left, with a note.

    view: a string as the model reads it; again: the text that these tokens make. Causal models predict the option's tokens in one
    pass, the options of a question in one sequence where `shares` says of a first question that this is the same; for masked models
    every token of the option is hidden in a pass of its own. UserError: the model has no language-model head, or an option alone is
    longer than `limit`.
    """
    if readout == "hidden":
        raise UserError("tasks need a model with a language-model head; this one gives hidden states only")
    options: list[list[tuple[Text, int]]] = []
    cut = 0
    for number, question in enumerate(questions, 1):
        found = [_continuation(question.context, c, view, again, limit, number, readout == "causal") for c in question.choices]
        cut += any(was_cut for _, _, was_cut in found)
        options.append([(text, first) for text, first, _ in found])
    notes = (f"context cut from the left to {limit} tokens in {cut} of {len(questions)} questions",) if cut else ()
    if readout == "causal":
        return Choices(tuple(questions), forest(options, shares(options[0])), notes)
    if hide is None:
        raise ValueError(NO_MASKER)
    flat = [option for question in options for option in question]
    passages = [
        Passage(owner, hide(text, i), (i,), (text.ids[i],))
        for owner, (text, first) in enumerate(flat)
        for i in range(first, len(text))
        if not (text.special and text.special[i] and _empty(text, i))
    ]
    return Choices(tuple(questions), Sample(readout, len(flat), into_batches(passages, batch_size), one_domain(len(flat))), notes)


def _empty(text: Text, position: int) -> bool:
    start, end = text.offsets[position]
    return start == end


def _continuation(
    context: str, choice: str, view: View, again: Again, limit: int | None, number: int, causal: bool
) -> tuple[Text, int, bool]:
    """The text of context and choice within `limit`, the position of the choice's first token, whether it was cut."""
    text = view(f"{context} {choice}")
    first = len(_trimmed(view(context.rstrip())))
    if first >= len(_trimmed(text)):
        raise UserError(f"question {number}: the tokenizer leaves nothing of the option {choice[:40]!r}")
    first = max(first, 1)
    # The last token is predicted only, so that a causal model need not take it.
    extra = len(text) - limit - causal if limit is not None else 0
    if extra <= 0:
        return text, first, False
    lead = 0 if causal else next((i for i in range(len(text)) if not _empty(text, i)), 0)  # the harness keeps no first token
    if first - extra < max(lead, 1):
        raise UserError(f"question {number}: the option {choice[:40]!r} leaves no room for context in {limit} tokens")
    return again((*text.ids[:lead], *text.ids[lead + extra :])), first - extra, True


def _trimmed(text: Text) -> tuple[int, ...]:
    """The tokens without the special ones that a tokenizer puts at the end."""
    ids = list(text.ids)
    while ids and text.special and text.special[len(ids) - 1] and _empty(text, len(ids) - 1):
        ids.pop()
    return tuple(ids)


def chosen(sums: Mapping[str, Sequence[float]], questions: Sequence[Question], per_character: bool = False) -> list[int]:
    """The option of every question with the highest log-likelihood, or the highest per character; the first of equals."""
    answers, owner = [], 0
    for question in questions:
        sizes = [len(choice) if per_character else 1 for choice in question.choices]
        answers.append(min(range(len(sizes)), key=lambda i: round(sums["nll"][owner + i] / sizes[i], DIGITS)))
        owner += len(sizes)
    return answers
