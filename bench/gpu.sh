#!/usr/bin/env bash
# Builds, tests, sanitizes and measures the CUDA half on a machine with a CUDA device, torch, nvcc
# and the build tools but no network, in under nine minutes:
#
#     bench/gpu.sh WHEELS OUT.json [MNIST.npz]
#
# WHEELS is a folder of wheels that the machine's Python lacks (it may be empty), OUT.json takes all
# figures; logs go beside it. Without MNIST the end-to-end run makes data of the same size. The
# machine's Python ($PYTHON, or python3) is left as it is: everything is installed aside.
# Exits with 0 if all went well, 1 if a stage failed, 2 if something is missing, 3 without a device.
set -uo pipefail

if [[ $# -lt 2 || $# -gt 3 || ! -d $1 ]]; then
  echo "usage: bench/gpu.sh WHEELS OUT.json [MNIST.npz], WHEELS being a folder" >&2
  exit 2
fi
absolute() { (cd "$(dirname "$1")" && printf '%s/%s' "$PWD" "$(basename "$1")"); }
python=${PYTHON:-python3}
wheels=$(absolute "$1") || exit 2
out=$(absolute "$2") || exit 2
mnist=
if [[ $# -eq 3 ]]; then
  [[ -f $3 ]] || { echo "no such file: $3" >&2; exit 2; }
  mnist=$(absolute "$3")
fi
repository=$(cd "$(dirname "$0")/.." && pwd)
logs=${out%.json}_logs
budget=525 # seconds in all
failed=0

for tool in "$python" nvcc cmake ninja; do
  command -v "$tool" >/dev/null || { echo "$tool is not on the path" >&2; exit 2; }
done
"$python" -c "import torch, pybind11, scikit_build_core" || exit 2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$logs" "$work/site"
: >"$work/figures.jsonl"
cd "$work" || exit 2 # away from the sources: what is imported is what was installed
export PYTHONPATH="$work/site" PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# stage NAME SECONDS COMMAND...: runs a command within its time and what is left of the whole.
stage() {
  local name=$1 limit=$2 begin=$SECONDS status left=$((budget - SECONDS))
  shift 2
  if ((left < limit)); then limit=$left; fi
  if ((limit < 1)); then
    status=skipped
  else
    timeout -k 5 "$limit" "$@" >"$logs/$name.log" 2>&1
    status=$?
  fi
  [[ $status == 0 ]] || failed=1
  printf '%s\t%s\t%s\n' "$name" "$status" $((SECONDS - begin)) | tee -a "$work/stages.tsv"
}

has_device=0
if "$python" -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then has_device=1; fi
architectures=native build_limit=240
if ((has_device == 0)); then architectures=90-real build_limit=1800 budget=1800; fi # no lease runs
pip=("$python" -m pip install -q --no-index --no-deps --no-compile --target "$work/site")
if compgen -G "$wheels/*.whl" >/dev/null; then stage wheels 60 "${pip[@]}" "$wheels"/*.whl; fi
stage build "$build_limit" "${pip[@]}" --no-build-isolation --no-cache-dir "$repository" \
  -C cmake.define.FASTPARADIME_CUDA=ON -C cmake.define.FASTPARADIME_WERROR=ON \
  -C "cmake.define.CMAKE_CUDA_ARCHITECTURES=$architectures" -C "build-dir=$work/build"
if ((failed)); then
  tail -n 30 "$logs"/*.log >&2
  exit 1
fi
# An editable install comes before PYTHONPATH.
"$python" -c "import sys, fastparadime as f; sys.exit(not f.__file__.startswith(sys.argv[1]))" \
  "$work/site" || { echo "$python imports another fastparadime than was built" >&2; exit 2; }
"$python" -c "from fastparadime import ops; print(ops.build_info())" || exit 1
if ((has_device == 0)); then
  echo "no CUDA device: built, nothing measured" >&2
  exit 3
fi

if [[ -n $mnist ]]; then export FASTPARADIME_MNIST=$mnist; fi
stage tests 180 "$python" -m pytest -q -m cuda -p no:cacheprovider --rootdir "$repository" \
  -c "$repository/pyproject.toml" "$repository/tests"
# bench NAME PROGRAM OPTIONS...: a program of this folder whose figures are kept.
bench() {
  local name=$1 program=$2
  shift 2
  stage "$name" 60 "$python" "$repository/bench/run.py" "$program" "$@" \
    --json "$work/figures.jsonl"
}
# What has a target comes first: the time may run out.
bench device_training device_training
if [[ -n $mnist ]]; then bench device_mnist device_training --mnist "$mnist"; fi
bench knn_device knn_device
bench symmetrize symmetrize --device cuda --sizes 100000 1000000 10000000
bench sgd_layout sgd_layout --device cuda --sizes 70000 1000000
bench device_scale device_scale
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck; do
    # Without torch's cache, an access beyond a tensor is one beyond an allocation.
    stage "$tool" 75 env PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$tool" \
      --error-exitcode 1 "$python" "$repository/bench/gpu_ops_once.py"
  done
else
  printf 'sanitizer\tmissing\t0\n' | tee -a "$work/stages.tsv"
  failed=1
fi
for name in density edge_loss edge_sampler gather_rows graph_matmul hidden_layers nearest_by_cosines \
  nearest_in_tile perplexity rerank segments shared_neighbors smooth_knn spectral subgraph; do
  bench "$name" "$name" --device cuda
done

"$python" "$repository/bench/gpu_report.py" "$work/stages.tsv" "$work/figures.jsonl" "$out" || failed=1
exit "$failed"
