"""Multiple-choice tasks: what is read, what is refused, and the scores against a naive loop."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.curve import Measurements, replacement
from harness.errors import UserError
from harness.measure import make_sample, masker
from harness.patterns import PROGRAMS, previous_token, text_of, uniform
from harness.questions import can_share
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
        {"ctx_a": "A man [step] sits.", "ctx_b": "he", "activity_label": "Rest", "label": "1"}
        | {"endings": ["runs.", " [title] Rests. [substeps] On.", "is  rained on.", "No."]},
        Question("Rest: A man sits. He", ("runs.", " Rests. On.", "is rained on.", "No."), 1),
    ),
    "piqa": (
        {"goal": "Open a jar", "sol1": "turn the lid", "sol2": "turn the jar's label", "label": 0},
        Question("Question: Open a jar\nAnswer:", ("turn the lid", "turn the jar's label"), 0),
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
        Question("Q: Kai fell. How does Kai feel?\nA:", ("fine", "hurt", "proud"), 1),
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
        Question("The glass broke because", (" it fell.", " it was full."), 0),
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


def choices_of(made, questions=QUESTIONS, max_tokens=64, together=True):
    hide = masker(made.tokenizer) if made.readout == "masked" else None
    return make_choices(
        questions,
        lambda text: view(made.tokenizer, text, 10**6),
        lambda ids: text_of(made.tokenizer, ids),
        max_tokens,
        made.readout,
        hide,
        batch_size=4,
        shares=lambda options: together,
    )


def scored(made, choices, sources):
    """Sums by option."""
    return Measurements(made.model).sums("task", choices.sample, [(PROGRAMS, sources)])[0]


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
@pytest.mark.parametrize("together", [True, False])
def test_scores_equal_a_naive_loop(tiny, readout, head, together):
    made = tiny(readout)
    sums = scored(made, choices_of(made, together=together), {head: previous_token} if head else {})
    scores = [-nll / tokens for nll, tokens in zip(sums["nll"], sums["tokens"], strict=True)]
    expected = [naive_scores(made, question, head) for question in QUESTIONS]
    np.testing.assert_allclose(scores, np.concatenate(expected), rtol=1e-4)
    for per_character, figure in ((False, "acc"), (True, "acc_norm")):
        answers = []
        for options, question in zip(expected, QUESTIONS, strict=True):
            words = [len(choice.split()) for choice in question.choices]  # a word is a token here
            sizes = [len(choice) if per_character else 1 for choice in question.choices]
            answers.append(int(np.argmax([mean * n / size for mean, n, size in zip(options, words, sizes, strict=True)])))
        assert chosen(sums, QUESTIONS, per_character) == answers
        right = np.mean([answer == q.label for answer, q in zip(answers, QUESTIONS, strict=True)])
        found = accuracy(sums, sums, QUESTIONS)
        assert found[figure] == pytest.approx(right) and found[f"{figure}_difference_interval"] == [0, 0]
        assert found[f"{figure}_interval"][0] <= right <= found[f"{figure}_interval"][1]


def test_differences_are_paired():
    questions = [Question("x", ("a", "b"), i % 2) for i in range(40)]
    always_first = {"nll": [1.0, 2.0] * 40}
    all_but_one = {"nll": [1.0, 2.0] * 39 + [1.0, 0.5]}
    found = accuracy(all_but_one, always_first, questions)
    assert found["acc"] == pytest.approx(21 / 40) and found["acc_difference"] == pytest.approx(1 / 40)
    low, high = found["acc_difference_interval"]
    assert low == 0 and high < 0.1 < found["acc_interval"][1] - found["acc_interval"][0]


def test_a_context_is_read_once_for_all_its_options(tiny):
    made = tiny("causal")
    tokens = [
        sum(len(tree) for grove in choices_of(made, together=t).sample.batches for tree in grove.trees) for t in (True, False)
    ]
    words = [(len(q.context.split()) + 1, [len(c.split()) for c in q.choices]) for q in QUESTIONS]  # [CLS] first
    assert tokens[0] == sum(context + sum(c - 1 for c in choices) for context, choices in words)  # the last are not read
    assert tokens[1] == sum(context + c - 1 for context, choices in words for c in choices)
    options = [(view(made.tokenizer, f"the cat {c}", 64), 3) for c in ("sat on the mat", "ran")]
    assert can_share(made.model, options)


def test_models_whose_positions_are_no_argument_get_a_sequence_for_each_option():
    import transformers

    sizes = {"hidden_size": 16, "n_layer": 2, "n_head": 4, "vocab_size": 30}
    bloom = transformers.BloomForCausalLM(transformers.BloomConfig(**sizes)).eval()
    from dsl.text import plain_text

    assert not can_share(bloom, [(plain_text(["a", "b", "c"]), 1), (plain_text(["a", "d"]), 1)])


@pytest.mark.parametrize("readout", ["causal", "masked"])
def test_long_contexts_are_cut_from_the_left_with_a_note(tiny, readout):
    made = tiny(readout)
    long = Question("the big dog ran by the red tree and then the cat", ("sat on the mat", "ran"), 0)
    choices = choices_of(made, [QUESTIONS[2], long], max_tokens=8)
    (note,) = choices.notes
    assert note == "context cut from the left to 8 tokens in 1 of 2 questions"
    if readout == "causal":
        (text,) = (t.texts[0] for batch in choices.sample.batches for t in batch.trees if t.owner == 2)
        whole = made.tokenizer(f"{long.context} sat on the mat").input_ids
        assert list(text.ids) == whole[-9:] and text.text == "tree and then the cat sat on the mat"  # the last is not read
        starts = [t.starts[0] for batch in choices.sample.batches for t in batch.trees if t.owner == 2]
        assert starts == [5]  # the option whole
    else:
        passages = [p for batch in choices.sample.batches for p in batch.passages if p.owner == 2]
        assert len(passages) == 4 and all(len(p.text) == 8 and p.text.tokens[0] == "[CLS]" for p in passages)
        assert all(" cat" in p.text.text for p in passages)
    assert not choices_of(made, [long]).notes
    with pytest.raises(UserError, match="question 1: the option 'sat on the mat' leaves no room"):
        choices_of(made, [long], max_tokens=3)


def test_options_without_a_token_are_refused(tiny):
    def blind(text):
        return view(tiny("causal").tokenizer, text.replace("ran", ""), 64)

    with pytest.raises(UserError, match="question 1: the tokenizer leaves nothing of the option 'ran'"):
        make_choices([Question("the cat", ("sat", "ran"), 0)], blind, blind, 64, "causal")


def test_encoders_without_a_head_cannot_answer(tiny):
    with pytest.raises(UserError, match="language-model head"):
        choices_of(tiny("hidden"))


def test_tasks_in_the_result(tiny):
    made = tiny("causal")
    sample = make_sample(made.texts, "causal")
    heads = {(layer, head): uniform for layer in range(2) for head in range(4)}
    result = replacement(Measurements(made.model), sample, sample, heads, [0.5], tasks={"cats": choices_of(made)})["tasks"]["cats"]
    assert result["questions"] == 3 and result["random"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    assert [point["fraction"] for point in result["curve"]] == [0.1, 0.25, 0.5, 1.0]
    assert result["replaced"]["acc"] == result["curve"][2]["acc"]
    naive = []
    for question in QUESTIONS:
        means = zip(naive_scores(made, question), question.choices, strict=True)
        naive.append(int(np.argmax([mean * len(choice.split()) for mean, choice in means])) == question.label)
    assert result["original"]["acc"] == pytest.approx(np.mean(naive))


def test_questions_of_the_demo_model_fit():
    """A subword tokenizer: the option's tokens are those after as many as the context alone has."""
    folder = Path(__file__).parents[2].parent / "shared" / "models" / "stories260K"
    if not folder.is_dir():
        pytest.skip("shared/models/stories260K is not here")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    question = Question("Once upon a time there was", ("a little girl named Lily.", "zzz"), 0)
    choices = make_choices([question], lambda text: view(tokenizer, text, 10**6), lambda ids: None, 64, "causal")
    for tree in choices.sample.batches[0].trees:
        (text,), (start,) = tree.texts, tree.starts
        assert tokenizer.decode(text.ids[start:]).strip() == question.choices[tree.owner]
