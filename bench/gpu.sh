#!/usr/bin/env bash
# Builds, tests, sanitizes and measures the CUDA half on a machine with a CUDA device, torch, nvcc
# and the build tools but no network, in under nine minutes:
#
#     bench/gpu.sh [--stub] CARRIED OUT
#
# CARRIED is a folder of what the machine lacks: wheels, mnist.npz; both may be missing. OUT takes
# at most eight files, written as their figures come, so that a run that is killed leaves what it
# had. The machine's Python ($PYTHON, or python3) is left as it is: everything is installed aside.
# With --stub all stages run here, small and on the CPU, and the time that they are planned to take
# on a device is printed.
# Exits with 0 if all went well, 1 if a stage failed, 2 if something is missing, 3 without a device.
set -u
python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "$python is not on the path" >&2; exit 2; }
PYTHONUNBUFFERED=1 exec "$python" "$(dirname "$0")/gpu_stages.py" "$@"
