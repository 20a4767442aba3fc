"""What the demo's model can do, and what its heads look at.

    python -m harness.demo.evaluate [FOLDER]

prints its perplexity on the validation texts beside a unigram and a bigram model of the train texts, its accuracy on the
story questions, and, for every head, the mean attention mass on a few known places.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections import Counter, defaultdict
from dataclasses import astuple, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Masses:
    """Mean attention mass, 0 to 1, of one head on places that a query (at index 2 or later) can look at.

    `same` counts queries whose token occurred before: the mass on all those occurrences. `after_same` counts the same
    queries: the mass on the tokens that follow those occurrences, which is where an induction head looks.
    """

    first: float
    previous: float
    itself: float
    same: float
    after_same: float


def load(folder: Path = FOLDER / "model") -> tuple[Any, Any]:
    """The demo's model, with attention that can be read, and its tokenizer; nothing is fetched from a hub."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, attn_implementation="eager").eval()
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def texts(name: str, folder: Path = FOLDER) -> list[str]:
    """The demo texts of one split: train, validation or test."""
    return [row["text"] for row in rows(folder / "texts" / f"{name}.jsonl")]


def rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a .jsonl file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def encode(tokenizer: Any, told: list[str]) -> list[list[int]]:
    """Token ids of each text, from <|endoftext|> on, cut at the model's context."""
    return tokenizer(told, truncation=True).input_ids


def losses(model: Any, ids: list[int]) -> list[float]:
    """The negative log-likelihood, in nats, of each token of a text but its first."""
    import torch

    row = torch.tensor([ids])
    with torch.inference_mode():
        logits = model(input_ids=row, use_cache=False).logits[0, :-1].float()  # (tokens - 1, vocabulary)
    return torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="none").tolist()


def perplexity(per_token: list[float]) -> float:
    """exp of the mean loss."""
    return math.exp(sum(per_token) / len(per_token))


def unigram_losses(known: list[list[int]], asked: list[list[int]], vocabulary: int) -> list[float]:
    """Loss per token, in nats, of a model that knows token frequencies alone (each counted once more than it occurs)."""
    counts = Counter(token for ids in known for token in ids[1:])
    total = counts.total() + vocabulary
    return [-math.log((counts[token] + 1) / total) for ids in asked for token in ids[1:]]


def bigram_losses(known: list[list[int]], asked: list[list[int]], vocabulary: int) -> list[float]:
    """Loss per token, in nats, of a model that knows the token before.

    Witten and Bell (1991): a context seen n times with t different successors leaves t / (n + t) to the unigram model.
    """
    counts = Counter(token for ids in known for token in ids[1:])
    total = counts.total() + vocabulary
    pairs: dict[int, Counter[int]] = defaultdict(Counter)
    for ids in known:
        for before, token in pairwise(ids):
            pairs[before][token] += 1
    found = []
    for ids in asked:
        for before, token in pairwise(ids):
            after = pairs[before]
            single = (counts[token] + 1) / total
            chance = (after[token] + len(after) * single) / (after.total() + len(after)) if after else single
            found.append(-math.log(chance))
    return found


def head_masses(model: Any, encoded: list[list[int]]) -> dict[tuple[int, int], Masses]:
    """The masses of every head, by (layer, head), as means over all queries of all texts."""
    import torch

    sums: Any = 0.0
    sizes = torch.zeros(len(fields(Masses)))
    for ids in encoded:
        row = torch.tensor(ids)
        with torch.inference_mode():
            found = model(input_ids=row[None], output_attentions=True, use_cache=False).attentions
        pattern = torch.cat(found).float()  # (layer, head, query, key)
        n = len(ids)
        earlier = torch.ones(n, n, dtype=torch.bool).tril(-1)
        same = (row[:, None] == row[None, :]) & earlier
        after = torch.zeros_like(same)
        after[:, 1:] = same[:, :-1]
        after &= earlier  # a token that follows its own equal would be the query itself
        late = torch.arange(n) >= 2
        again = late & same.any(dim=1)
        on_first = torch.zeros(n, n)
        on_first[:, 0] = 1
        places = [on_first, torch.eye(n).roll(-1, 1), torch.eye(n), same.float(), after.float()]
        queries = [late, late, late, again, again]
        sums = sums + torch.stack(
            [(pattern * place).sum(-1)[..., who].sum(-1) for place, who in zip(places, queries, strict=True)], dim=-1
        )
        sizes += torch.tensor([int(who.sum()) for who in queries])
    means = (sums / sizes).tolist()  # (layer, head, place)
    return {(layer, head): Masses(*mass) for layer, heads in enumerate(means) for head, mass in enumerate(heads)}


def said_twice(encoded: list[list[int]], chance: random.Random, length: int = 60) -> list[list[int]]:
    """The first `length` tokens of each text in random order, twice, after its first token: only copying predicts that.

    On such sequences `after_same` is the usual measure of an induction head (Olsson et al. 2022).
    """
    found = []
    for ids in encoded:
        fragment = chance.sample(ids[1 : length + 1], min(length, len(ids) - 1))
        found.append([ids[0], *fragment, *fragment])
    return found


def accuracy(model: Any, tokenizer: Any, asked: list[dict[str, Any]]) -> float:
    """The share of the questions whose right choice has the least mean loss per token."""
    right = 0
    for question in asked:
        start = len(tokenizer(question["context"]).input_ids) - 1
        scores = []
        for choice in question["choices"]:
            tail = losses(model, tokenizer(question["context"] + " " + choice).input_ids)[start:]
            scores.append(sum(tail) / len(tail))
        right += scores.index(min(scores)) == question["label"]
    return right / len(asked)


def main() -> None:
    """The command line."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    model, tokenizer = load(folder / "model")
    known, asked = (encode(tokenizer, texts(name, folder)) for name in ("train", "validation"))
    print(f"perplexity per token on {len(asked)} validation texts, the first {tokenizer.model_max_length} tokens of each")
    print(f"  model    {perplexity([loss for ids in asked for loss in losses(model, ids)]):7.2f}")
    print(f"  bigram   {perplexity(bigram_losses(known, asked, len(tokenizer))):7.2f}")
    print(f"  unigram  {perplexity(unigram_losses(known, asked, len(tokenizer))):7.2f}")
    questions = rows(folder / "stories.jsonl")
    print(f"accuracy on {len(questions)} story questions: {accuracy(model, tokenizer, questions):.2f} (by chance 0.25)")
    print("mean attention mass on validation texts, and of induction on their first 60 tokens shuffled and said twice")
    print("  head  " + "  ".join(field.name for field in fields(Masses)) + "  induction")
    twice = head_masses(model, said_twice(asked, random.Random(0)))
    for (layer, head), masses in head_masses(model, asked).items():
        numbers = zip(fields(Masses), astuple(masses), strict=True)
        columns = [f"{mass:{len(field.name)}.2f}" for field, mass in numbers]
        print(f"  L{layer}H{head}  " + "  ".join(columns) + f"  {twice[layer, head].after_same:9.2f}")


if __name__ == "__main__":
    main()
