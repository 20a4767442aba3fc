"""Story text for the demo: sampled from a small story model, cleaned, and given a wider choice of names.

The teacher is `stories260K`, a Llama of 260,000 parameters trained on TinyStories. It writes simple stories that all share
a handful of names; every story gets other names here, drawn from a longer list, so that the second mention of a name can
only be predicted by looking back at the first. This is what lets a small model learn induction heads from little text.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def _names(listed: str) -> tuple[str, ...]:
    return tuple(listed.split())


GIRLS = _names(
    """
    Lily Lucy Mia Anna Sara Sarah Amy Jane Mary Sue Jill Emma Lila Daisy Molly Jenny Ella Ellie Mandy Kitty Sally
    """
)
BOYS = _names(
    """
    Tim Timmy Tom Tommy Ben Benny Max Jack Sam Sammy Bob Bobby John Johnny Billy Joe Joey Mike Peter Fred Freddy
    """
)
NEW_GIRLS = _names(
    """
    Alice Agnes Bella Bridget Clara Cora Dora Edith Eliza Esther Fiona Flora Gloria Greta Hannah Hazel Ida Irene
    Iris Ivy Julia Kate Laura Lena Lily Lucy Mabel Margaret Martha Matilda Mia Nancy Nina Nora Olive Pearl Polly
    Rachel Rosa Ruth Sara Sophie Stella Susan Tessa Tilly Ursula Vera Violet Wendy Willa Yvonne Zelda Zoe Anna Amy
    """
)
NEW_BOYS = _names(
    """
    Adam Alfred Arthur Ben Bruno Carl Cedric Chester David Dexter Edgar Edwin Felix Finn Frank George Gilbert Gus
    Harold Harry Henry Hugo Isaac Ivan Jack Jasper Kevin Kurt Leo Lewis Louis Martin Max Milo Ned Nathan Oliver
    Oscar Otto Patrick Paul Quentin Ralph Robert Rufus Samuel Simon Theo Tim Tom Toby Victor Vincent Walter
    William Xavier Zach
    """
)

_NAME = re.compile(r"\b(?:" + "|".join(sorted(GIRLS + BOYS)) + r")\b")
_SENTENCE = re.compile(r'[^.!?]*[.!?]+"?(?=\s|$)\s*')
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_PLAIN = re.compile(r"[A-Za-z \n,.!?'\"-]+")


@dataclass(frozen=True)
class Sampling:
    """How stories are drawn: `stories` of them in batches of `batch`, at most `tokens` teacher tokens each."""

    stories: int
    tokens: int = 224
    batch: int = 100
    temperature: float = 0.7


def sample(teacher: Any, tokenizer: Any, settings: Sampling, generator: torch.Generator) -> Iterator[str]:
    """Raw stories from a causal language model, batch by batch, each cut at its end marker or at `settings.tokens`."""
    import torch

    begin = tokenizer.bos_token_id
    ends = [begin, tokenizer.eos_token_id]
    left = settings.stories
    while left > 0:
        rows = min(settings.batch, left)
        token = torch.full((rows, 1), begin)
        drawn, cache, ended = [], None, torch.zeros(rows, dtype=torch.bool)
        with torch.inference_mode():
            for _ in range(settings.tokens):
                out = teacher(input_ids=token, past_key_values=cache, use_cache=True)
                cache = out.past_key_values
                chances = (out.logits[:, -1] / settings.temperature).softmax(-1)  # (rows, vocabulary)
                token = torch.multinomial(chances, 1, generator=generator)
                drawn.append(token)
                ended |= torch.isin(token[:, 0], torch.tensor(ends))
                if ended.all():
                    break
        for row in torch.cat(drawn, dim=1).tolist():
            stop = next((i for i, t in enumerate(row) if t in ends), len(row))
            yield tokenizer.decode(row[:stop], skip_special_tokens=True)
        left -= rows


def sentences(text: str) -> list[str]:
    """The complete sentences of a text, without the space around them; what follows the last full stop is dropped."""
    return [found.group().strip() for found in _SENTENCE.finditer(text)]


def clean(text: str, shortest: int = 60, longest: int = 10_000) -> str | None:
    """The story's complete sentences, at most `longest` words of them, paragraphs parted by one newline.

    None where that leaves fewer than `shortest` words, an unclosed quotation, unusual characters, a word twice in a row or
    eight words in a row that stood there before (a small model that repeats itself rarely stops).
    """
    kept = ""
    for paragraph in text.strip().splitlines():
        gap = "\n" if kept else ""
        for sentence in sentences(" ".join(paragraph.split())):
            longer = kept + gap + sentence
            if len(longer.split()) > longest:
                break
            kept, gap = longer, " "
        else:
            continue
        break
    words = kept.split()
    if len(words) < shortest or not _PLAIN.fullmatch(kept) or kept.count('"') % 2:
        return None
    eights = [tuple(words[i : i + 8]) for i in range(len(words) - 7)]
    if len(set(eights)) < len(eights) or any(a == b for a, b in pairwise(words)):
        return None
    return kept


def rename(story: str, chance: random.Random) -> str:
    """The story with each of the teacher's usual names replaced, everywhere in it, by a name from the longer lists."""
    given: dict[str, str] = {}
    for name in dict.fromkeys(_NAME.findall(story)):
        names = NEW_GIRLS if name in GIRLS else NEW_BOYS
        given[name] = chance.choice([new for new in names if new not in given.values()])
    return _NAME.sub(lambda found: given[found.group()], story)


def distinct(stories: Iterable[str], opening: int = 30) -> list[str]:
    """The stories in their order, without those that share their first `opening` words with an earlier one."""
    first: dict[tuple[str, ...], str] = {}
    for story in stories:
        first.setdefault(tuple(story.split()[:opening]), story)
    return list(first.values())


def common_words(stories: Iterable[str], least: int) -> frozenset[str]:
    """Words, in lower case, of at least `least` of the stories: the teacher's misspellings are each rarer than that."""
    counts = Counter(word for story in stories for word in set(_WORD.findall(story.lower())))
    return frozenset(word for word, count in counts.items() if count >= least)


def words_of(story: str) -> list[str]:
    """The words of a story in lower case, without punctuation."""
    return _WORD.findall(story.lower())
