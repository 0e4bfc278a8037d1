#!/bin/bash
# What can only be known where there is a GPU: builds the engine, its CUDA plugin and their tests,
# runs them, looks for errors of memory and races, and measures beside PyTorch. Needs a C++
# compiler, CMake, the CUDA toolkit and GoogleTest; no gRPC, no network, no root.
#
#   tools/gpu_check.sh [--build DIR] [--built] [--no-peer] [--precision fp32|tf32] REPORT.jsonl
#
# --built takes the programs that are in DIR (build/gpu_check) as they are. The report is JSON
# lines: {"check", "passed", "seconds"} and those of benchmarks/engine_gpu/run. Exit code 1 if a
# check failed.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/gpu_check
built=
peer=()
precision=fp32
report=
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2; shift 2 ;;
    --built) built=yes; shift ;;
    --no-peer) peer=(--no-peer); shift ;;
    --precision) precision=$2; shift 2 ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "unknown option $1: see --help" >&2; exit 2 ;;
    *) report=$1; shift ;;
  esac
done
[ -n "$report" ] || { echo "name the report: tools/gpu_check.sh REPORT.jsonl" >&2; exit 2; }
: >"$report" || exit 2
failed=0

# check NAME COMMAND...: runs it, prints the end of what it says, and notes how it went.
check() {
  local name=$1 start passed=true
  shift
  start=$(date +%s.%N)
  if ! "$@" >"$report.log" 2>&1; then
    passed=false
    failed=1
  fi
  tail -n 3 "$report.log"
  printf '{"check": "%s", "passed": %s, "seconds": %.1f, "gpu": "%s"}\n' "$name" "$passed" \
    "$(echo "$(date +%s.%N) $start" | awk '{print $1 - $2}')" "$gpu" | tee -a "$report"
}

gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
[ -n "$gpu" ] || { echo "there is no GPU: nvidia-smi names none" >&2; exit 2; }
echo "$gpu"

if [ -z "$built" ]; then
  cmake -S "$root/engine" -B "$build" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CUDA_ARCHITECTURES=native >"$report.log" 2>&1 &&
    cmake --build "$build" --parallel "$(nproc)" >>"$report.log" 2>&1 ||
    { tail -n 30 "$report.log" >&2; echo "the build failed: $report.log" >&2; exit 1; }
fi

tests=$build/tests
check "ops against float64" "$tests/engine_backend_test" --gtest_filter='*/cuda' --gtest_brief=1
check "sparse ops against float64" "$tests/engine_sparse_test" --gtest_filter='*/cuda' \
  --gtest_brief=1
check "ten steps beside PyTorch's" env BEAMLINE_TEST_BACKEND=cuda "$tests/engine_parity_test" \
  --gtest_brief=1
check "bits, resume, memory" "$tests/engine_device_test" --gtest_brief=1
if command -v compute-sanitizer >/dev/null; then
  check "memcheck" compute-sanitizer --tool memcheck --error-exitcode 9 \
    "$tests/engine_device_test" --gtest_filter='*WithoutRecording*gpu*' --gtest_brief=1
  check "racecheck" compute-sanitizer --tool racecheck --error-exitcode 9 \
    "$tests/engine_device_test" --gtest_filter='*FollowsTheCpu/gpu_dense' --gtest_brief=1
fi
"$root/benchmarks/engine_gpu/run" --program "$build/bin/engine_benchmark" \
  --precision "$precision" "${peer[@]}" | tee -a "$report"
rm -f "$report.log"
exit $failed
