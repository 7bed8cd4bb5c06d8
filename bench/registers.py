"""Registers, shared memory and spills of every kernel by architecture, as a Markdown table.

The compiler's report: no GPU is needed, nvcc and c++filt must be on the path. Kernels of cub
are left out.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

CSRC = Path(__file__).resolve().parent.parent / "csrc"
OPTIONS = ["-std=c++17", "-O3", "--expt-extended-lambda", "-Werror", "all-warnings", f"-I{CSRC}"]
OPTIONS += ["-DFPD_SM_90A=1"]
ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+a?)'")
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?, (\d+) bytes smem)?")


def report_of(source, architectures):
    """Lines of the compiler's report on one file."""
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures]
    with tempfile.TemporaryDirectory() as folder:
        command = ["nvcc", *OPTIONS, *targets, "-Xptxas", "-v", "-c", source, "-o", f"{folder}/o"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return done.stderr.splitlines()


def usage_of(lines):
    """Of each mangled kernel and architecture: registers, bytes of shared memory and of spills."""
    usage, kernel, spilled = {}, None, 0
    for line in lines:
        if found := ENTRY.search(line):
            kernel = found.groups()
        elif kernel is None:
            continue
        elif found := SPILLS.search(line):
            spilled = sum(map(int, found.groups()))
        elif found := USED.search(line):
            usage[kernel] = (int(found[1]), int(found[2] or 0), spilled)
            kernel = None
    return usage


def readable(names):
    """Names of kernels with their template arguments, without parameters and namespaces."""
    done = subprocess.run(["c++filt", *names], capture_output=True, text=True, check=True)
    plain = re.sub(
        r"fpd::|cuda::|\(anonymous namespace\)::|\((?:fpd::)?Metric\)|^void ",
        "",
        done.stdout,
        flags=re.MULTILINE,
    )
    return dict(zip(names, re.sub(r"\(.*", "", plain).splitlines(), strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", nargs="+", default=["80", "90a", "120"])
    architectures = parser.parse_args().architectures
    print("| kernel | " + " | ".join(f"sm_{a}" for a in architectures) + " |")
    print("|---" * (1 + len(architectures)) + "|")
    for source in sorted((CSRC / "cuda").rglob("*.cu")):
        usage = usage_of(report_of(source, architectures))
        kernels = {name for name, _ in usage if "cub" not in name}
        for name, shown in sorted(readable(sorted(kernels)).items(), key=lambda item: item[1]):
            cells = []
            for architecture in architectures:
                registers, shared, spilled = usage[name, architecture]
                memory = f", {shared} B shared" if shared else ""
                cells.append(
                    f"{registers}{memory}" + (f", **{spilled} B spilled**" if spilled else "")
                )
            print(f"| `{shown}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
