"""Runs a timing program of this folder or of a stage by its name, with the program's own options.

python bench/run.py rerank --sizes 10000
"""

import runpy
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent
PROGRAMS = {path.stem.removeprefix("bench_"): path for path in sorted(BENCH.rglob("bench_*.py"))}


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name not in PROGRAMS:
        raise SystemExit(f"name one of {', '.join(PROGRAMS)}, not {name}")
    sys.argv = [str(PROGRAMS[name]), *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
