"""Whether a machine has what bench/gpu.sh takes: seconds before a build would say so.

Prints what is there. Exits with 2 if something is missing, 3 without a device.
"""

import argparse
import importlib.util
import pathlib
import shutil
import subprocess
import sysconfig


def output_of(*command):
    """What a program prints, or why it did not run."""
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)


def missing():
    """What a build and the stages after it need and do not find."""
    header = pathlib.Path(sysconfig.get_path("include")) / "Python.h"
    lacking = [] if header.is_file() else [str(header)]
    modules = ("torch", "pybind11", "scikit_build_core", "pytest", "xdist", "sklearn")
    lacking += [name for name in modules if importlib.util.find_spec(name) is None]
    return lacking + [tool for tool in ("nvcc", "cmake", "ninja") if shutil.which(tool) is None]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stub", action="store_true", help="only say what there is")
    stub = parser.parse_args().stub
    query = "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem"
    print("gpu:", output_of("nvidia-smi", query, "--format=csv,noheader"))
    print("nvcc:", output_of("nvcc", "--version").splitlines()[-1])
    lacking = missing()
    print("missing:", ", ".join(lacking) or "nothing")
    if stub:
        return
    if lacking:
        raise SystemExit(2)
    import torch

    print("torch:", torch.__version__, torch.version.cuda)
    if not torch.cuda.is_available():
        raise SystemExit(3)
    print("sum:", float(torch.ones(1000, device="cuda").sum()))


if __name__ == "__main__":
    main()
