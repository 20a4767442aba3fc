"""Time and memory against the number of heads, on random models. Run: python bench/linear.py

Models of 40, 160 and 640 heads with random weights, of one width per head, on the demo texts: attention is read, and programs are
searched with a small number of evaluations per head. Memory is that of all processes together, each page counted once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.targets import table

ROOT = Path(__file__).parents[1]
SHAPES = {40: (5, 8), 160: (10, 16), 640: (20, 32)}  # heads: layers x heads per layer
WIDTH = 4  # of a head
LOOK = 1.0  # seconds between two looks at the memory


def random_model(folder: Path, heads: int) -> None:
    """A Llama with random weights, and the demo's tokenizer. Weights are large enough for attention that is far from uniform."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    layers, per_layer = SHAPES[heads]
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=per_layer * WIDTH,
        intermediate_size=per_layer * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=per_layer,
        num_key_value_heads=per_layer,
        max_position_embeddings=128,
    )
    torch.manual_seed(heads)
    model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    for file in (ROOT / "harness/demo/model").glob("tokenizer*"):
        shutil.copy(file, folder)


def memory(process: int) -> int:
    """Bytes of a process and its descendants, shared pages divided among those that share them."""
    total, waiting = 0, [process]
    while waiting:
        one = waiting.pop()
        try:
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended meanwhile
            continue
    return total


def measured(heads: int, evaluations: int, workers: int, max_tokens: int) -> dict[str, Any]:
    """Seconds by phase, most memory, and bytes on disk of a run."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        random_model(folder / "model", heads)
        command = [sys.executable, "-m", "harness.cli", "run", str(folder / "model"), "--out", str(folder / "run"), "--json"]
        command += ["--evaluations", str(evaluations * heads), "--workers", str(workers), "--max-tokens", str(max_tokens)]
        environment = {**os.environ, "HEADSCRIPT_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        most = [0]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(LOOK):
                most[0] = max(most[0], memory(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        output, _ = process.communicate()
        ended.set()
        watcher.join()
        if process.returncode:
            raise SystemExit(f"the run on {heads} heads failed ({process.returncode}); try it alone")
        outcome = json.loads(output)
        timing = json.loads((folder / "run/timing.json").read_text())["phases"]

        def bytes_of(name: str) -> int:
            return sum(f.stat().st_size for f in (folder / name).rglob("*") if f.is_file())

        return {
            "heads": heads,
            "seconds": time.perf_counter() - started,
            "phases": timing,
            "memory": most[0],
            "cache": bytes_of("cache"),
            "folder": bytes_of("run"),
            "test": outcome["mean_iou"]["test"],
        }


def main() -> None:
    arguments = ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--heads", type=int, nargs="+", choices=SHAPES, default=list(SHAPES))
    arguments.add_argument("--evaluations", type=int, default=400, help="per head (default: 400)")
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--max-tokens", type=int, default=96)
    args = arguments.parse_args()
    rows = []
    for heads in args.heads:
        rows.append(measured(heads, args.evaluations, args.workers, args.max_tokens))
        print(f"{heads} heads: {rows[-1]['seconds']:.0f} s", file=sys.stderr)
    phases = list(rows[0]["phases"])
    print(f"{args.evaluations} evaluations per head, {args.workers} workers, texts of {args.max_tokens} tokens; seconds\n")
    header = ("heads", *phases, "whole", "per head", "memory (MB)", "patterns (MB)", "run folder (MB)")
    cells = [
        [
            str(r["heads"]),
            *(f"{r['phases'].get(p, 0):.1f}" for p in phases),
            f"{r['seconds']:.0f}",
            f"{r['seconds'] / r['heads']:.2f}",
            *(f"{r[k] / 1e6:.0f}" for k in ("memory", "cache", "folder")),
        ]
        for r in rows
    ]
    print(table(header, cells))


if __name__ == "__main__":
    main()
