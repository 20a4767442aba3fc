"""The demo's texts and its multiple-choice questions, both made from stories that the model was not trained on."""

from __future__ import annotations

import math
import random
from typing import Any

from harness.demo import stories


def demo_texts(candidates: list[str], corpus: list[str], count: int, rare: float = 1 / 750) -> list[str]:
    """The first `count` candidates that begin like no story of the corpus and use no rare word: none of less than the
    share `rare` of its stories.

    Such words are mostly misspelt. Names are not asked for: they are given to the stories afterwards.
    Raises ValueError where too few candidates are left.
    """
    names = frozenset(name.lower() for name in stories.NEW_GIRLS + stories.NEW_BOYS)
    known = names | stories.common_words(corpus, math.ceil(rare * len(corpus)))
    fresh = stories.distinct(corpus + candidates)[len(stories.distinct(corpus)) :]
    plain = [text for text in fresh if known.issuperset(stories.words_of(text))]
    if len(plain) < count:
        raise ValueError(f"only {len(plain)} of {len(candidates)} stories are fit for demo texts; {count} are wanted")
    return plain[:count]


def split(texts: list[str]) -> dict[str, list[str]]:
    """Three fifths train, one fifth validation, the rest test; the texts are in random order already."""
    fifth = len(texts) // 5
    return {"train": texts[: 3 * fifth], "validation": texts[3 * fifth : 4 * fifth], "test": texts[4 * fifth :]}


def make(texts: list[str], tokenizer: Any, count: int, context: int, chance: random.Random) -> list[dict[str, Any]]:
    """`count` questions {"context", "choices", "label"}: which of four sentences comes next in the story?

    A context is the story's beginning, of three sentences or more and as long as it and every choice fit in `context`
    tokens together. The three wrong choices are sentences from the same place in other stories. No choice is, or is part
    of, a quotation. Each label is right equally often. Raises ValueError where the texts do not give enough questions.
    """

    def size(text: str) -> int:
        return len(tokenizer(text, verbose=False).input_ids)

    told = [stories.sentences(text) for text in texts]
    labels = [i % 4 for i in range(count)]
    chance.shuffle(labels)
    made: list[dict[str, Any]] = []
    for index in chance.sample(range(len(told)), len(told)):
        if len(made) == count:
            break
        own = told[index]
        for cut in range(len(own) - 1, 2, -1):
            start = " ".join(own[:cut])
            room = context - size(start)
            others = sorted({other[cut] for other in told if len(other) > cut} - set(own))
            others = [other for other in others if _stands_alone(other) and size(other) <= room]
            if len(others) >= 3 and _stands_alone(own[cut]) and size(own[cut]) <= room:
                choices = chance.sample(others, 3)
                choices.insert(labels[len(made)], own[cut])
                made.append({"context": start, "choices": choices, "label": labels[len(made)]})
                break
    if len(made) < count:
        raise ValueError(f"{len(texts)} texts give only {len(made)} questions; {count} are wanted")
    return made


def _stands_alone(sentence: str) -> bool:
    """Whether the sentence is none of a dialogue: `"Wait!" he said.` counts as two sentences, of which neither is a choice."""
    return '"' not in sentence and sentence[0].isupper() and len(sentence.split()) >= 4
