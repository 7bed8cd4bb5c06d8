"""What bench/gpu.sh runs: its stages by worth, each within its time, results kept as they come.

python bench/gpu_stages.py [--stub] CARRIED OUT
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, field

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
PLANNED, BUDGET = 480, 525  # seconds: of the sum of the plan, and when all ends
TAIL = 4000  # characters of a failed stage's log that are shown
SANITIZED = ["--error-exitcode", "1", "--kernel-regex", "kns=fpd"]


@dataclass(frozen=True)
class Stage:
    """A command with the seconds it is planned to take on a device, and the most it may take."""

    name: str
    planned: int
    most: int
    command: list[str]
    stub: list[str]  # what stands for it on a machine without a device
    needed: bool = False  # by all that follows
    variables: dict[str, str] = field(default_factory=dict)
    otherwise: dict[str, str] = field(default_factory=dict)  # of all that follows if it fails


def program(name, *options):
    return [sys.executable, str(BENCH / "run.py"), name, *options]


def installed(*what):
    pip = (
        "-m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target site"
    )
    return [sys.executable, *pip.split(), *map(str, what)]


def preparations(carried):
    """What must be there: a probe, wheels, and the package unless its wheel came along."""
    probe = [sys.executable, str(BENCH / "gpu_probe.py")]
    stages = [Stage("probe", 10, 30, probe, [*probe, "--stub"], needed=True)]
    wheels = sorted(carried.glob("*.whl"))
    nothing = [sys.executable, "-c", "print('what is installed here')"]
    if wheels:
        stages.append(Stage("wheels", 10, 60, installed(*wheels), nothing, needed=True))
    if not any(wheel.name.startswith("fastparadime-") for wheel in wheels):
        built = installed("--no-build-isolation", ROOT)
        for option in ("FASTPARADIME_CUDA=ON", "CMAKE_CUDA_ARCHITECTURES=native"):
            built += ["-C", f"cmake.define.{option}"]
        stages.append(
            Stage("build", 80, 200, [*built, "-C", "build-dir={work}/build"], nothing, needed=True)
        )
    return stages


def engines():
    once = [sys.executable, str(BENCH / "gpu_engines.py")]
    slower = {"FASTPARADIME_PRODUCTS": "mma"}
    return Stage("engines", 12, 30, once, [*once, "--device", "cpu"], otherwise=slower)


def tests(out):
    pytest = [sys.executable, "-m", "pytest", "-m", "cuda", "-v", "-W", "default"]
    pytest += ["-p", "no:cacheprovider", "-p", "gpu_isolation", "--rootdir", str(ROOT)]
    pytest += ["-c", str(ROOT / "pyproject.toml"), f"--junitxml={out / 'tests.xml'}"]
    spread = ["-n", "8", "--dist", "loadfile", "--max-worker-restart", "16"]
    stub = [*pytest, str(ROOT / "tests" / "test_devices.py")]
    return Stage("tests", 80, 150, [*pytest, *spread, str(ROOT / "tests")], stub)


def sanitized(tool, planned):
    once = [sys.executable, str(BENCH / "gpu_ops_once.py")]
    command = ["compute-sanitizer", "--tool", tool, *SANITIZED, *once]
    # Without torch's cache, an access beyond a tensor is one beyond an allocation.
    apart = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    return Stage(tool, planned, 90, command, [*once, "--device", "cpu"], variables=apart)


def measurements(carried, out):
    """Programs that time what has a target, then each operation."""
    keep = ["--json", str(out / "figures.jsonl")]
    cpu, few = ["--device", "cpu", *keep], ["--sizes", "2000"]
    on = ["--device", "cuda", *keep]
    mnist = carried / "mnist.npz"
    pictures = ["--mnist", str(mnist)] if mnist.is_file() else []
    training = program("device_training")
    scale = program("device_scale")
    small = ["--rows", "2000", "--steps", "20", "--edges", "50", "--applied", "2000"]
    stages = [
        Stage("training", 20, 60, [*training, *on], [*training, "--help"]),
        Stage(
            "neighbors", 35, 80, program("knn_device", *on),
            program("knn_device", *cpu, "--shapes", "1000x16", "--repeats", "1"),
        ),
        Stage(
            "layout", 15, 40, program("sgd_layout", *on, "--sizes", "70000", "1000000"),
            program("sgd_layout", *cpu, *few),
        ),
        Stage(
            "symmetrize", 15, 40,
            program("symmetrize", *on, "--sizes", "100000", "1000000", "10000000"),
            program("symmetrize", *cpu, *few),
        ),
        Stage("scale", 45, 90, [*scale, *on], [*scale, *cpu, *small]),
    ]  # fmt: skip
    if pictures:
        again = [*training, *on, *pictures]
        stages.append(Stage("mnist", 30, 80, again, [*training, *pictures, "--help"]))
    every = [sys.executable, str(BENCH / "gpu_operations.py")]
    spectral = program("spectral")
    return [
        *stages,
        Stage("operations", 35, 90, [*every, *on], [*every, *cpu, *few]),
        Stage("spectral", 10, 40, [*spectral, *on], [*spectral, "--help"]),
    ]


def plan(carried, out):
    """All stages, what is worth most first."""
    before, after = sanitized("memcheck", 40), sanitized("racecheck", 40)
    return [
        *preparations(carried),
        engines(),
        tests(out),
        before,
        *measurements(carried, out),
        after,
    ]


class Results:
    """The files of a run: what each stage gave, its log in an archive, and the log of the present one."""

    def __init__(self, out):
        self.out, self.log = out, out / "running.log"
        out.mkdir(parents=True, exist_ok=True)

    def keep(self, stage, status, seconds):
        with (self.out / "stages.jsonl").open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({"name": stage.name, "status": status, "seconds": seconds}) + "\n"
            )
        print(f"{stage.name}\t{status}\t{seconds} s of {stage.planned} planned", flush=True)
        if not self.log.is_file():
            return
        with tarfile.open(self.out / "logs.tar", "a") as archive:
            archive.add(self.log, f"{stage.name}.log")
        if status != 0:
            print(self.log.read_text(encoding="utf-8", errors="replace")[-TAIL:], flush=True)
        self.log.unlink()


def run(command, seconds, log, work, variables):
    """Runs a command in its own group within its time; its status, or "killed"."""
    paths = os.pathsep.join([str(work / "site"), str(BENCH), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **variables, "PYTHONPATH": paths.rstrip(os.pathsep)}
    with log.open("wb") as file:
        try:
            process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, cwd=work, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:  # a tool that the machine lacks
            file.write(str(error).encode())
            return "missing"
        # pytest writes what it has when it is interrupted.
        for sent, patience in ((None, seconds), (signal.SIGINT, 10), (signal.SIGKILL, None)):
            if sent is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, sent)
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(patience)
                return status if sent is None else "killed"
    return "killed"


def run_all(stages, results, work, *, stub):
    """Runs the stages in turn; the exit code."""
    begin, failed, variables = time.monotonic(), False, {}
    for stage in stages:
        started = time.monotonic()
        left = BUDGET - (started - begin)
        if left < 1:
            results.keep(stage, "skipped", 0)
            failed = True
            continue
        command = [
            part.replace("{work}", str(work)) for part in (stage.stub if stub else stage.command)
        ]
        given = {**variables, **stage.variables}
        status = run(command, min(stage.most, left), results.log, work, given)
        results.keep(stage, status, round(time.monotonic() - started, 1))
        failed |= status != 0
        variables |= stage.otherwise if status != 0 else {}
        if stage.needed and status != 0:
            return 3 if status == 3 else 2
    return int(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stub", action="store_true")
    parser.add_argument("carried", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()
    if not arguments.carried.is_dir():
        parser.error(f"CARRIED must be a folder, not {arguments.carried}")
    carried, out = arguments.carried.resolve(), arguments.out.resolve()
    if (carried / "mnist.npz").is_file():
        os.environ["FASTPARADIME_MNIST"] = str(carried / "mnist.npz")
    stages = plan(carried, out)
    print(f"planned {sum(stage.planned for stage in stages)} s, at most {PLANNED}", flush=True)
    # Away from the sources: what is imported is what was installed.
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        code = run_all(stages, Results(out), work, stub=arguments.stub)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report = [sys.executable, str(BENCH / "gpu_report.py"), str(out)]
    subprocess.run(report, check=False)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
