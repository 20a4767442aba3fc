"""Keeps the conversations of a run with a language model as a few kilobytes that `--llm replay:FOLDER` reads.

python bench/record.py RUN FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from search.llm.recording import write


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    run, target = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        files = write(run / "llm" if (run / "llm").is_dir() else run, target)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(files) - 1} conversations, {sum(f.stat().st_size for f in files) / 1000:.0f} kB in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
