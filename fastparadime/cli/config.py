"""What is installed and what the native core can use here."""

from __future__ import annotations

import platform
from importlib import metadata

import torch

from fastparadime import ops
from fastparadime.neighbors import find_faiss

_FAISS_FLAVOURS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs")


def _devices() -> str:
    if not torch.cuda.is_available():
        return "none"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join(names)


def _faiss() -> str:
    faiss = find_faiss()
    if faiss is None:
        return (
            "none: 'manhattan' and 'inner_product' are slow; pip install 'fastparadime[cpu]' (or "
            "[cuda12], [cuda13])"
        )
    installed = []
    for name in _FAISS_FLAVOURS:
        try:
            installed.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    gpus = faiss.get_num_gpus() if hasattr(faiss, "StandardGpuResources") else 0
    clash = "" if len(installed) < 2 else "; they overwrite one another: keep one"
    return f"{' and '.join(installed) or faiss.__version__}, {gpus} GPUs{clash}"


def config() -> dict[str, str]:
    """Versions, compiler, instruction set, threads, CUDA and faiss, as text by name."""
    core = ops.build_info()
    cuda = core["cuda_version"] and f"{core['cuda_version']} for {core['cuda_architectures']}"
    return {
        "fastparadime": core["version"],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "compiler": core["compiler"],
        "SIMD": core["simd_level"],
        "threads": str(torch.get_num_threads()),
        "CUDA in this build": cuda or "none",
        "CUDA in torch": torch.version.cuda or "none",
        "CUDA devices": _devices(),
        "faiss": _faiss(),
    }


def show_config() -> None:
    """Prints what `config` returns, one line each."""
    entries = config()
    width = max(len(name) for name in entries)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in entries.items()))  # noqa: T201
