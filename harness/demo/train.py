"""Makes the demo: its stories, its tokenizer, its model, its texts and its questions.

    python -m harness.demo.train --teacher FOLDER_OF_stories260K --out harness/demo

samples 18,000 training stories (seed 1) and 2,000 for the texts (seed 2) at temperature 0.7, eight minutes on one core,
then trains, in two courses, twenty minutes on one core. `--stories FILE` keeps the training stories as sampled, and takes
them from there when the file exists.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.demo import questions, stories

if TYPE_CHECKING:
    import torch

BEGIN = "<|endoftext|>"
CONTEXT = 128
IGNORED = -100  # the label that transformers leaves out of the loss


@dataclass(frozen=True)
class Training:
    """One course of training: `steps` batches of `batch` windows, with the learning rate's peak at `rate`.

    A share of `repeats` of the windows says one fragment of a story over and over; with `shuffled`, the fragment's tokens
    come in random order, so that nothing but the earlier occurrence tells what comes next. At the start every query is
    multiplied by `sharpen`: above 1, each head then looks more at what it looked at most, and the course adapts the model
    to that.
    """

    steps: int
    batch: int = 8
    rate: float = 3e-3
    warmup: int = 200
    repeats: float = 0.12
    shuffled: bool = False
    sharpen: float = 1.0
    seed: int = 0


# The first course learns the stories, the second one makes the heads more decided: easier to recognise.
COURSES = (
    Training(steps=8_500),
    Training(steps=1_500, rate=1e-3, repeats=0.3, shuffled=True, sharpen=2.0, seed=1),
)


def make_tokenizer(texts: Iterable[str], size: int = 512) -> Any:
    """A byte-level BPE of `size` tokens as GPT-2's, learned from the texts, which puts <|endoftext|> before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[BEGIN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    begin = tokenizer.token_to_id(BEGIN)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, begin)]),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=BEGIN,
        unk_token=BEGIN,
        pad_token=BEGIN,
        model_max_length=CONTEXT,
    )


def make_model(vocabulary: int, begin: int, seed: int, layers: int = 4, heads: int = 4, width: int = 128) -> Any:
    """An untrained GPT-2 with tied embeddings and a context of 128 tokens; its weights depend on the seed alone."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=CONTEXT,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own curve, in one fused operation
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=begin,
        eos_token_id=begin,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config)


def windows(
    encoded: list[list[int]], starts: list[list[int]], begin: int, settings: Training, chance: random.Random
) -> Iterator[list[int]]:
    """Endless training windows of at most CONTEXT tokens, each after the token `begin`; no story comes twice in a round.

    Half of the windows begin where their story begins, half at one of the sentences of `starts` (token indices per story).
    """
    while True:
        for index in chance.sample(range(len(encoded)), len(encoded)):
            story = encoded[index]
            if chance.random() < settings.repeats:
                length = chance.randint(12, CONTEXT // 2 - 1)
                start = chance.randrange(max(1, len(story) - length))
                fragment = story[start : start + length]
                if settings.shuffled:
                    chance.shuffle(fragment)
                body = fragment * (CONTEXT // len(fragment) + 1)
            else:
                start = 0 if chance.random() < 0.5 else chance.choice(starts[index])
                body = story[start:]
            yield [begin, *body[: CONTEXT - 1]]


def sentence_starts(tokens: list[str], room: int = CONTEXT // 2) -> list[int]:
    """Indices of byte-level tokens that follow the end of a sentence, and 0; the last `room` tokens begin no window."""
    ends = [i + 1 for i, t in enumerate(tokens[:-room]) if t in {".", "!", "?", '."', '!"', '?"', "Ċ"}]
    return [0, *(i for i in ends if tokens[i].startswith("Ġ"))]


def batch_of(rows: list[list[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels, both (batch, longest): short rows are filled up at the right, outside the loss."""
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([row + [filler] * (longest - len(row)) for row in rows])
    labels = torch.tensor([row + [IGNORED] * (longest - len(row)) for row in rows])
    return ids, labels


def train(model: Any, source: Iterator[list[int]], filler: int, settings: Training) -> Iterator[tuple[int, float]]:
    """Trains the model in place on the windows of `source`; yields (step, loss in nats per token) after every step."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.rate, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / settings.warmup, 1.0, settings.warmup)
    rest = max(1, settings.steps - settings.warmup)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rest)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, fall], [settings.warmup])
    sharpen(model, settings.sharpen)
    model.train()
    for step in range(settings.steps):
        ids, labels = batch_of([next(source) for _ in range(settings.batch)], filler)
        loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        yield step, loss.item()
    model.eval()


def sharpen(model: Any, factor: float) -> None:
    """Multiplies every query of a GPT-2, and with it every attention score before the softmax, by `factor`, in place."""
    import torch

    with torch.no_grad():
        for block in model.transformer.h:
            projection = block.attn.c_attn  # one projection for queries, keys and values, in this order
            projection.weight[:, : projection.nf // 3] *= factor
            projection.bias[: projection.nf // 3] *= factor


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes the weights in half precision; the configuration asks for single precision, in which they are then loaded."""
    import copy

    half = copy.deepcopy(model).half()
    half.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.save_pretrained(folder)


def sampled(teacher: Path, settings: stories.Sampling, seed: int) -> Iterator[str]:
    """Raw stories from the model in the folder `teacher`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(teacher).eval()
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    return stories.sample(model, tokenizer, settings, torch.Generator().manual_seed(seed))


def read_jsonl(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def prepare(raw: Iterable[str], seed: int, longest: int = 10_000) -> list[str]:
    """Clean, distinct, renamed stories from raw ones."""
    chance = random.Random(seed)
    cleaned = [story for text in raw if (story := stories.clean(text, longest=longest)) is not None]
    return [stories.rename(story, chance) for story in stories.distinct(cleaned)]


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m harness.demo.train", description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the model stories260K")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets model/, texts/ and stories.jsonl")
    parser.add_argument("--stories", type=Path, help="keep the sampled stories in this file, or take them from it")
    parser.add_argument("--count", type=int, default=18_000, help="training stories to sample")
    parser.add_argument("--texts", type=int, default=200, help="demo texts: 3/5 train, 1/5 validation, 1/5 test")
    parser.add_argument("--questions", type=int, default=100, help="multiple-choice questions")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(1)  # sums in another order would give other weights
    if options.stories and options.stories.exists():
        raw = [row["text"] for row in read_jsonl(options.stories)]
    else:
        raw = list(sampled(options.teacher, stories.Sampling(options.count), seed=options.seed + 1))
        if options.stories:
            write_jsonl(options.stories, ({"text": text} for text in raw))
    corpus = prepare(raw, options.seed)
    print(f"{len(corpus)} of {len(raw)} stories are clean", file=sys.stderr)

    spare = sampled(options.teacher, stories.Sampling(options.texts * 10), seed=options.seed + 2)
    texts = questions.demo_texts(prepare(spare, options.seed + 1, longest=130), corpus, options.texts)
    for name, part in questions.split(texts).items():
        write_jsonl(options.out / "texts" / f"{name}.jsonl", ({"text": text} for text in part))

    tokenizer = make_tokenizer(corpus)
    asked = questions.make(texts, tokenizer, options.questions, CONTEXT, random.Random(options.seed))
    write_jsonl(options.out / "stories.jsonl", asked)

    encoded = tokenizer(corpus, add_special_tokens=False, verbose=False).input_ids
    starts = [sentence_starts(tokenizer.convert_ids_to_tokens(ids)) for ids in encoded]
    begin = tokenizer.bos_token_id
    model = make_model(len(tokenizer), begin, options.seed)
    print(f"{sum(map(len, encoded))} tokens, {model.num_parameters()} parameters", file=sys.stderr)
    for course in COURSES:
        source = windows(encoded, starts, begin, course, random.Random(options.seed + course.seed))
        for step, loss in train(model, source, begin, course):
            if step % 100 == 0 or step == course.steps - 1:
                print(f"step {step} loss {loss:.3f}", file=sys.stderr, flush=True)
        save(model, tokenizer, options.out / "model")
        model = model.half().float()  # the next course goes on from what is saved


if __name__ == "__main__":
    main()
