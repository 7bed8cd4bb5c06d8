"""All timing programs of single operations that have a kernel, in one process, one after the other.

python bench/gpu_operations.py [--device cuda] [--sizes N ...] [--json figures.jsonl]

Those with stages of their own in bench/gpu_stages.py, sgd_layout and symmetrize, are left to them.
"""

import sys
import traceback

import run

OPERATIONS = (
    "anchor_loss", "anchor_modes", "density", "edge_loss", "edge_sampler", "edge_step", "embed_rows", "gather_rows",
    "graph_matmul", "hidden_layers", "nearest_by_cosines", "nearest_by_differences",
    "nearest_in_tile", "perplexity", "rerank", "segments", "shared_neighbors", "smooth_knn",
    "subgraph",
)  # fmt: skip


def main():
    options, failed = sys.argv[1:], []
    for name in OPERATIONS:
        sys.argv = ["run.py", name, *options]
        sys.path.insert(0, str(run.PROGRAMS[name].parent))
        try:
            run.main()
        except (RuntimeError, TypeError, ValueError):  # the others are worth their figures
            traceback.print_exc()
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
