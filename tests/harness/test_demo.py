"""The embedded demo: that its files are what they should be, and that the functions which made them do what they say."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections import Counter
from pathlib import Path

import pytest
import torch

from harness.demo import evaluate, questions, stories
from harness.demo import train as training

FOLDER = Path(evaluate.__file__).parent
SPLITS = ("train", "validation", "test")

CORPUS = [
    f"Once upon a time, there was a {size} {animal} named {name}. {name} loved to {verb} in the {place} all day long. One day, "
    f'{name} met a {other} near the {place}.\nThe {other} said, "Do you want to {verb} with me?" {name} was happy to {verb} '
    f"with the {other}. They went home when the sun was low and {name} told mom about the {size} {other}."
    for size, animal, name, verb, place, other in itertools.product(
        ("big", "small"), ("cat", "dog"), ("Lily", "Tim"), ("run", "sing"), ("park", "garden"), ("bird", "fish")
    )
]


@pytest.fixture(scope="module")
def demo():
    return evaluate.load()


@pytest.fixture(scope="module")
def told():
    return {name: evaluate.texts(name) for name in SPLITS}


@pytest.fixture(scope="module")
def tokenizer():
    return training.make_tokenizer(CORPUS, size=320)


# --- the files that ship ---


def test_weights_are_small_and_load_in_single_precision(demo):
    model, tokenizer = demo
    assert sum(path.stat().st_size for path in (FOLDER / "model").iterdir()) <= 4_000_000
    assert model.dtype == torch.float32
    assert all(torch.equal(p, p.half().float()) for p in model.parameters())
    assert model.config.model_type == "gpt2"
    assert (model.config.n_layer, model.config.n_head, model.config.n_positions) == (4, 4, 128)
    assert len(tokenizer) == model.config.vocab_size == 512


def test_a_text_begins_with_the_beginning_token_and_comes_back_whole(demo, told):
    _, tokenizer = demo
    for text in told["test"] + ["Smörgås, 東京 — and\n a\ttab."]:
        ids = tokenizer(text, verbose=False).input_ids
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_texts_are_short_stories_and_no_split_shares_one(told):
    everything = [text for name in SPLITS for text in told[name]]
    assert {name: len(told[name]) for name in SPLITS} == {"train": 120, "validation": 40, "test": 40}
    assert len(set(everything)) == len(everything)
    assert all(60 <= len(text.split()) <= 130 and stories.clean(text) == text for text in everything)


def test_the_model_knows_far_more_than_token_frequencies(demo, told):
    model, tokenizer = demo
    known, asked = (evaluate.encode(tokenizer, told[name]) for name in ("train", "validation"))
    found = evaluate.perplexity([loss for ids in asked for loss in evaluate.losses(model, ids)])
    assert found < evaluate.perplexity(evaluate.unigram_losses(known, asked, len(tokenizer))) / 10
    assert found < evaluate.perplexity(evaluate.bigram_losses(known, asked, len(tokenizer))) / 2


def test_some_heads_are_recognisable(demo, told):
    model, tokenizer = demo
    encoded = evaluate.encode(tokenizer, told["validation"])
    heads = evaluate.head_masses(model, encoded)
    twice = evaluate.head_masses(model, evaluate.said_twice(encoded, random.Random(1)))
    uniform = sum(1 / (q + 1) for ids in encoded for q in range(2, len(ids))) / sum(len(ids) - 2 for ids in encoded)
    assert len(heads) == 16
    assert max(head.previous for head in heads.values()) > 8 * uniform
    assert max(head.first for head in heads.values()) > 15 * uniform
    assert max(head.after_same for head in twice.values()) > 0.5


def test_questions_go_on_a_demo_text_and_fit_the_context(demo, told):
    _, tokenizer = demo
    wholes = {" ".join(stories.sentences(text)) for name in SPLITS for text in told[name]}
    asked = evaluate.rows(FOLDER / "stories.jsonl")
    assert Counter(question["label"] for question in asked) == {0: 25, 1: 25, 2: 25, 3: 25}
    for question in asked:
        assert set(question) == {"context", "choices", "label"}
        assert len(set(question["choices"])) == 4
        for label, choice in enumerate(question["choices"]):
            told_so = question["context"] + " " + choice
            assert any(whole.startswith(told_so) for whole in wholes) == (label == question["label"])
            assert len(tokenizer(told_so).input_ids) <= training.CONTEXT


# --- how they were made ---


def test_sampling_at_no_temperature_is_greedy_decoding(tokenizer):
    model = training.make_model(len(tokenizer), tokenizer.bos_token_id, seed=3, layers=1, heads=2, width=16).eval()
    settings = stories.Sampling(stories=3, tokens=9, batch=2, temperature=1e-6)
    ids = [tokenizer.bos_token_id]
    for _ in range(settings.tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == tokenizer.bos_token_id:
            break
    expected = tokenizer.decode(ids, skip_special_tokens=True)
    assert list(stories.sample(model, tokenizer, settings, torch.Generator().manual_seed(0))) == [expected] * 3


def test_sampling_depends_on_the_generator_alone(tokenizer):
    model = training.make_model(len(tokenizer), tokenizer.bos_token_id, seed=3, layers=1, heads=2, width=16).eval()
    settings = stories.Sampling(stories=5, tokens=12, batch=2)
    once, again, other = (
        list(stories.sample(model, tokenizer, settings, torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)
    )
    assert once == again != other
    assert len(once) == 5


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("A cat sat. It was  big!\n\n A dog", "A cat sat. It was big!"),
        ('She said, "Come here." They ran.\nThe end', 'She said, "Come here." They ran.'),
        ("A cat cat sat. It was big.", None),
        ('She said, "Come here. They ran.', None),
        ("A b c d e f g h. And a b c d e f g h. A b c d e f g h.", None),
        ("No end", None),
        ("A $5 cat sat.", None),
    ],
)
def test_clean(text, kept):
    assert stories.clean(text, shortest=3) == kept


def test_clean_cuts_at_a_sentence():
    assert stories.clean("One two three. Four five six. Seven.", shortest=2, longest=6) == "One two three. Four five six."


def test_a_name_becomes_the_same_other_name_everywhere():
    text = "Lily met Tim. Tim saw Lily's hat, not Timmy's."
    found = stories.rename(text, random.Random(5))
    girl, boy, third = found.split()[0], found.split()[2][:-1], found.split()[-1][:-3]
    assert found == f"{girl} met {boy}. {boy} saw {girl}'s hat, not {third}'s."
    assert girl in stories.NEW_GIRLS
    assert {boy, third} <= set(stories.NEW_BOYS)
    assert len({girl, boy, third}) == 3


def test_demo_texts_are_none_of_the_corpus_and_use_its_common_words():
    fresh = [text.replace("One day", "One morning").replace("Once upon a time", "One night") for text in CORPUS[:6]]
    known = CORPUS + [text.replace("One day", "One morning").replace("Once", "One night") for text in CORPUS[6:12]]
    odd = fresh[0].replace("mom", "mmom").replace("One night", "That night")
    assert questions.demo_texts([CORPUS[0], odd, *fresh], known, 2) == fresh[:2]
    with pytest.raises(ValueError, match="only 6 of 8"):
        questions.demo_texts([CORPUS[0], odd, *fresh], known, 7)


def test_windows_are_pieces_of_stories_or_fragments_said_again(tokenizer):
    encoded = tokenizer(CORPUS, add_special_tokens=False, verbose=False).input_ids
    starts = [training.sentence_starts(tokenizer.convert_ids_to_tokens(ids), room=20) for ids in encoded]
    for ids, places in zip(encoded, starts, strict=True):
        assert places[0] == 0
        assert len(places) > 1
        assert all(tokenizer.decode(ids[p:])[:2].strip().istitle() for p in places)

    def first(count: int, repeats: float, shuffled: bool = False) -> list[list[int]]:
        settings = training.Training(steps=1, repeats=repeats, shuffled=shuffled)
        return list(itertools.islice(training.windows(encoded, starts, 7, settings, random.Random(1)), count))

    pieces = {tuple(ids[p : p + 127]) for ids, places in zip(encoded, starts, strict=True) for p in places}
    plain = first(len(CORPUS), 0.0)
    assert all(window[0] == 7 and tuple(window[1:]) in pieces for window in plain)
    said = [" ".join(map(str, ids)) for ids in encoded]
    counts = [Counter(ids) for ids in encoded]
    for shuffled in (False, True):
        for window in first(20, 1.0, shuffled):
            assert len(window) == training.CONTEXT
            period = next(p for p in range(12, 64) if window[1:-p] == window[1 + p :])
            fragment = window[1 : 1 + period]
            assert any(Counter(fragment) <= count for count in counts)
            assert any(" ".join(map(str, fragment)) in story for story in said) != shuffled


def test_a_few_steps_of_training_save_and_load(tokenizer, tmp_path):
    encoded = tokenizer(CORPUS, add_special_tokens=False, verbose=False).input_ids
    settings = training.Training(steps=12, batch=4, rate=1e-2, warmup=3)
    begin = tokenizer.bos_token_id

    def run():
        source = training.windows(encoded, [[0]] * len(encoded), begin, settings, random.Random(0))
        model = training.make_model(len(tokenizer), begin, seed=0, layers=1, heads=2, width=16)
        return model, [loss for _, loss in training.train(model, source, begin, settings)]

    model, falling = run()
    assert abs(falling[0] - math.log(len(tokenizer))) < 0.3  # an untrained model knows nothing
    assert falling[-1] < falling[0] - 0.5
    assert run()[1] == falling

    training.save(model, tokenizer, tmp_path / "model")
    loaded, words = evaluate.load(tmp_path / "model")
    assert loaded.dtype == torch.float32
    assert words(CORPUS[0], verbose=False).input_ids == tokenizer(CORPUS[0], verbose=False).input_ids
    ids = [begin, *encoded[0][:50]]
    assert evaluate.losses(loaded, ids) == pytest.approx(evaluate.losses(model.half().float(), ids), abs=1e-4)


def test_sharpening_multiplies_the_scores(tokenizer):
    model = training.make_model(len(tokenizer), tokenizer.bos_token_id, seed=0, layers=1, heads=2, width=16).eval()
    model.set_attn_implementation("eager")
    ids = tokenizer(CORPUS[0], return_tensors="pt").input_ids[:, :30]

    def scores():  # as differences to the score of the first key: the softmax hides what a row has in common
        with torch.inference_mode():
            (pattern,) = model(ids, output_attentions=True).attentions
        return (pattern.log() - pattern[..., :1].log()).tril()

    before = scores()
    training.sharpen(model, 3.0)
    assert torch.allclose(scores().nan_to_num(), 3 * before.nan_to_num(), atol=1e-4)
    assert before.nan_to_num().abs().max() > 1e-3


def test_short_rows_are_filled_outside_the_loss():
    ids, labels = training.batch_of([[5, 6, 7], [5]], filler=0)
    assert ids.tolist() == [[5, 6, 7], [5, 0, 0]]
    assert labels.tolist() == [[5, 6, 7], [5, -100, -100]]


# --- how they are measured ---


@pytest.mark.parametrize("losses", [evaluate.unigram_losses, evaluate.bigram_losses])
def test_baselines_are_distributions(losses):
    known = [[0, 1, 2, 1, 3], [0, 1, 2, 2]]
    for before in range(5):
        every = losses(known, [[before, token] for token in range(5)], 5)
        assert sum(math.exp(-loss) for loss in every) == pytest.approx(1)


@torch.inference_mode()
def test_masses_equal_a_double_loop(tokenizer):
    model = training.make_model(len(tokenizer), tokenizer.bos_token_id, seed=1, layers=2, heads=2, width=16)
    model.set_attn_implementation("eager")
    encoded = [ids[:20] for ids in tokenizer(CORPUS[:2], verbose=False).input_ids]
    sums = {place: torch.zeros(2, 2) for place in ("first", "previous", "itself", "same", "after_same")}
    late = again = 0
    for ids in encoded:
        pattern = torch.cat(model(torch.tensor([ids]), output_attentions=True).attentions)
        for q in range(2, len(ids)):
            late += 1
            again += ids[q] in ids[:q]
            sums["first"] += pattern[:, :, q, 0]
            sums["previous"] += pattern[:, :, q, q - 1]
            sums["itself"] += pattern[:, :, q, q]
            for k in range(q):
                sums["same"] += pattern[:, :, q, k] * (ids[k] == ids[q])
                sums["after_same"] += pattern[:, :, q, k] * (k > 0 and ids[k - 1] == ids[q])
    assert 0 < again < late
    for (layer, head), masses in evaluate.head_masses(model, encoded).items():
        for place, total in sums.items():
            queries = again if place in ("same", "after_same") else late
            assert getattr(masses, place) == pytest.approx(float(total[layer, head]) / queries, abs=1e-5)


def test_said_twice_is_a_shuffled_beginning_and_the_same_again():
    (found,) = evaluate.said_twice([[9, 1, 2, 3, 4, 5, 6, 7]], random.Random(0), length=5)
    assert found[0] == 9
    assert found[1:6] == found[6:] != [1, 2, 3, 4, 5]
    assert sorted(found[1:6]) == [1, 2, 3, 4, 5]


@torch.inference_mode()
def test_accuracy_counts_the_likeliest_choice(tokenizer):
    model = training.make_model(len(tokenizer), tokenizer.bos_token_id, seed=1, layers=1, heads=2, width=16).eval()
    context, choices = "A cat sat.", ["It was big.", "They ran home.", "Tim sang with the bird."]

    def mean_loss(choice):
        ids = tokenizer(context + " " + choice, return_tensors="pt").input_ids
        start = len(tokenizer(context).input_ids)
        chances = model(ids).logits.log_softmax(-1)
        return -sum(float(chances[0, i - 1, ids[0, i]]) for i in range(start, ids.shape[1])) / (ids.shape[1] - start)

    best = min(range(3), key=lambda i: mean_loss(choices[i]))
    asked = [json.loads(json.dumps({"context": context, "choices": choices, "label": label})) for label in range(3)]
    assert evaluate.accuracy(model, tokenizer, asked) == pytest.approx(1 / 3)
    assert evaluate.accuracy(model, tokenizer, [asked[best]]) == 1
