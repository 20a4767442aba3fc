"""Multiple-choice tasks: what is read, what is refused, and the scores against a naive loop."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.curve import Measurements, replacement
from harness.errors import UserError
from harness.measure import make_sample, masker, measure
from harness.patterns import Memo, previous_token, uniform
from harness.replace import run
from harness.summary import accuracy
from harness.tasks import SOURCES, Question, chosen, load_questions, make_choices, map_rows
from harness.tokens import view

QUESTIONS = [
    Question("the cat sat on", ("the mat .", "a big red dog .", "and ."), 0),
    Question("then a dog", ("ran by the tree", "saw a bird and a cat !"), 1),
    Question("she saw", ("a bird", "the cat"), 0),
]
ROWS = {
    "hellaswag": (
        {"ctx": "A man sits.", "activity_label": "Rest", "endings": ["He runs.", "He rests.", "It rains.", "No."], "label": "1"},
        Question("A man sits.", ("He runs.", "He rests.", "It rains.", "No."), 1),
    ),
    "piqa": (
        {"goal": "Open a jar", "sol1": "turn the lid", "sol2": "turn the jar's label", "label": 0},
        Question("Open a jar", ("turn the lid", "turn the jar's label"), 0),
    ),
    "sciq": (
        {
            "question": "What melts?",
            "distractor1": "air",
            "distractor2": "fire",
            "distractor3": "light",
            "correct_answer": "ice",
            "support": "Ice melts.",
        },
        Question("Ice melts.\nQuestion: What melts?\nAnswer:", ("air", "fire", "light", "ice"), 3),
    ),
    "arc_easy": (
        {"id": "x", "question": "What melts?", "choices": {"text": ["air", "ice"], "label": ["1", "2"]}, "answerKey": "2"},
        Question("Question: What melts?\nAnswer:", ("air", "ice"), 1),
    ),
    "social_iqa": (
        {
            "context": "Kai fell.",
            "question": "How does Kai feel?",
            "answerA": "fine",
            "answerB": "hurt",
            "answerC": "proud",
            "label": "2",
        },
        Question("Kai fell. How does Kai feel?", ("fine", "hurt", "proud"), 1),
    ),
    "copa": (
        {
            "premise": "The glass broke.",
            "choice1": "It fell.",
            "choice2": "It was full.",
            "question": "cause",
            "idx": 0,
            "label": 0,
        },
        Question("The glass broke because", ("it fell.", "it was full."), 0),
    ),
}


@pytest.mark.parametrize("name", list(SOURCES))
def test_published_schemas_through_datasets(name, tmp_path):
    from datasets import load_dataset

    row, expected = ROWS[name]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for _ in range(2)))
    rows = load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert map_rows(name, rows) == [expected] * 2


@pytest.mark.parametrize("name", list(SOURCES))
def test_names_are_loaded_through_datasets(name, monkeypatch):
    import datasets

    asked = []

    def load(path, config, split):
        asked.append((path, config, split))
        return datasets.Dataset.from_list([ROWS[name][0]] * 3)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert load_questions(name.replace("_", "-").upper(), limit=2) == [ROWS[name][1]] * 2
    assert asked == [(SOURCES[name].path, SOURCES[name].name, SOURCES[name].split)]


def test_what_the_hub_does_not_give_is_one_clear_line(monkeypatch):
    import datasets

    def load(path, config, split):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(UserError, match=r"^task piqa: ybisk/piqa cannot be loaded \(ConnectionError: no route"):
        load_questions("piqa")


def test_rows_of_another_schema_are_refused_with_their_number():
    good = ROWS["social_iqa"][0]
    with pytest.raises(UserError, match="task social_iqa, row 2: no field 'answerB'"):
        map_rows("social_iqa", [good, {k: v for k, v in good.items() if k != "answerB"}])
    for label in ("0", "4", ""):
        with pytest.raises(UserError, match="row 1: "):
            map_rows("social_iqa", [good | {"label": label}])


def test_jsonl(tmp_path):
    file = tmp_path / "questions.jsonl"
    rows = [{"context": q.context, "choices": list(q.choices), "label": q.label} for q in QUESTIONS]
    file.write_text("\n\n".join(json.dumps(row) for row in rows) + "\n")
    assert load_questions(str(file)) == QUESTIONS
    assert load_questions(str(file), limit=1) == QUESTIONS[:1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"context": "a", "choices": ["b", "c"]}', "expected the fields"),
        ('{"context": "a", "choices": ["b", "c"], "answer": 0}', "expected the fields .* found .*answer"),
        ('["a"]', "expected the fields .* found list"),
        ('{"context": "a", "choices": ["b", "c"], "label": 2}', "from 0 to 1, found 2"),
        ('{"context": "a", "choices": ["b", "c"], "label": -1}', "from 0 to 1"),
        ('{"context": "a", "choices": ["b", "c"], "label": "0"}', "from 0 to 1, found '0'"),
        ('{"context": "a", "choices": ["b", "c"], "label": true}', "from 0 to 1"),
        ('{"context": "a", "choices": ["b"], "label": 0}', "at least two"),
        ('{"context": "a", "choices": "bc", "label": 0}', "list of strings"),
        ('{"context": "a", "choices": ["b", 3], "label": 0}', "must be a string"),
        ('{"context": " ", "choices": ["b", "c"], "label": 0}', "must be a string that is not empty"),
        ('{"context": "a", ', "Expecting"),
    ],
)
def test_bad_lines_are_refused_with_their_number(tmp_path, line, reason):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"context": "a", "choices": ["b", "c"], "label": 1}\n\n' + line + "\n")
    with pytest.raises(UserError, match=f"line 3: .*{reason}"):
        load_questions(str(file))


def test_files_and_names_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_questions(str(tmp_path / "none.jsonl"))
    with pytest.raises(UserError, match="one of hellaswag, piqa"):
        load_questions("mmlu")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UserError, match="no questions"):
        load_questions(str(tmp_path / "empty.jsonl"))
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        load_questions(str(tmp_path / "bytes.jsonl"))


def choices_of(made, questions=QUESTIONS, max_tokens=64):
    hide = masker(made.tokenizer) if made.readout == "masked" else None
    return make_choices(questions, lambda text: view(made.tokenizer, text, 10**6), max_tokens, made.readout, hide, batch_size=4)


@torch.no_grad()
def naive_scores(made, question, head=None):
    """Mean log-likelihood per token of every option, one pass for each."""
    result = []
    for choice in question.choices:
        start = len(made.tokenizer(question.context).input_ids) - (made.readout == "masked")
        ids = made.tokenizer(f"{question.context} {choice}").input_ids
        end = len(ids) - (made.readout == "masked")
        n = len(ids)
        pattern = {head: torch.tensor(np.eye(n, k=-1) + np.eye(n)[:1].T @ np.eye(n)[:1])[None]} if head else None
        total = 0.0
        for i in range(start, end):
            given = torch.tensor([ids])
            if made.readout == "masked":
                given[0, i] = made.tokenizer.mask_token_id
            read = i if made.readout == "masked" else i - 1
            total += run(made.model, {"input_ids": given}, pattern).logits[0, read].log_softmax(-1)[ids[i]].item()
        result.append(total / (end - start))
    return result


@pytest.mark.parametrize("readout", ["causal", "masked"])
@pytest.mark.parametrize("head", [None, (0, 1)])
def test_scores_equal_a_naive_loop(tiny, readout, head):
    made = tiny(readout)
    choices = choices_of(made)
    sums = measure(made.model, choices.sample, {head: previous_token} if head else {}, Memo(), Memo())
    scores = [-nll / tokens for nll, tokens in zip(sums["nll"], sums["tokens"], strict=True)]
    expected = [naive_scores(made, question, head) for question in QUESTIONS]
    np.testing.assert_allclose(scores, np.concatenate(expected), rtol=1e-4)
    answers = [int(np.argmax(options)) for options in expected]
    assert chosen(sums, QUESTIONS) == answers
    right = np.mean([answer == q.label for answer, q in zip(answers, QUESTIONS, strict=True)])
    found = accuracy(sums, QUESTIONS)
    assert found["accuracy"] == pytest.approx(right)
    assert found["accuracy_interval"][0] <= right <= found["accuracy_interval"][1]


@pytest.mark.parametrize("readout", ["causal", "masked"])
def test_long_contexts_are_cut_from_the_left_with_a_note(tiny, readout):
    made = tiny(readout)
    long = Question("the big dog ran by the red tree and then the cat", ("sat on the mat", "ran"), 0)
    choices = choices_of(made, [QUESTIONS[2], long], max_tokens=8)
    (note,) = choices.notes
    assert note == "context cut from the left to 8 tokens in 1 of 2 questions"
    texts = [p.text for batch in choices.sample.batches for p in batch.passages if p.owner == 2]
    ends = " cat sat on the mat" if readout == "causal" else " cat"
    assert all(len(text) == 8 for text in texts)
    assert all(
        text.tokens[0] == "[CLS]" and text.text.startswith(("then the cat", "the cat")) and ends in text.text for text in texts
    )
    reads = sum(len(p.positions) for b in choices.sample.batches for p in b.passages if p.owner == 2)
    assert reads == 4  # the option whole
    assert not choices_of(made, [long]).notes
    with pytest.raises(UserError, match="question 1: the option 'sat on the mat' leaves no room"):
        choices_of(made, [long], max_tokens=5)


def test_options_without_a_token_are_refused(tiny):
    def blind(text):
        return view(tiny("causal").tokenizer, text.replace("ran", ""), 64)

    with pytest.raises(UserError, match="question 1: the tokenizer leaves nothing of the option 'ran'"):
        make_choices([Question("the cat", ("sat", "ran"), 0)], blind, 64, "causal")


def test_encoders_without_a_head_cannot_answer(tiny):
    with pytest.raises(UserError, match="language-model head"):
        choices_of(tiny("hidden"))


def test_tasks_in_the_result(tiny):
    made = tiny("causal")
    sample = make_sample(made.texts, "causal")
    heads = {(layer, head): uniform for layer in range(2) for head in range(4)}
    result = replacement(Measurements(made.model), sample, sample, heads, 0.5, tasks={"cats": choices_of(made)})["tasks"]["cats"]
    assert result["questions"] == 3 and result["random"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    assert [point["fraction"] for point in result["curve"]] == [0.05, 0.1, 0.25, 0.5, 0.75, 1.0]
    assert result["replaced"] == result["curve"][3]["accuracy"]
    naive = [int(np.argmax(naive_scores(made, question))) == question.label for question in QUESTIONS]
    assert result["original"] == pytest.approx(np.mean(naive))


def test_questions_of_the_demo_model_fit():
    """A subword tokenizer: the option begins where its first character does, whatever white space a token takes with it."""
    folder = Path(__file__).parents[2].parent / "shared" / "models" / "stories260K"
    if not folder.is_dir():
        pytest.skip("shared/models/stories260K is not here")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    question = Question("Once upon a time there was", ("a little girl named Lily.", "zzz"), 0)
    choices = make_choices([question], lambda text: view(tokenizer, text, 10**6), 64, "causal")
    for passage in choices.sample.batches[0].passages:
        spoken = tokenizer.decode(passage.expected).strip()
        assert spoken == question.choices[passage.owner]
