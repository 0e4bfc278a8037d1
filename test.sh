#!/bin/bash
# Installs what is missing, builds everything, and runs every test.
#   ./test.sh                      development build
#   ./test.sh --sanitize asan      with AddressSanitizer and UndefinedBehaviorSanitizer
#   ./test.sh --sanitize tsan      with ThreadSanitizer, but for the tests labelled slow: those
#                                  train on real data, which takes too long then
# Further arguments go to ctest: ./test.sh -R store -V
# Tests on real data look for it in $BEAMLINE_DATASETS, then in ../shared/datasets; without it they
# skip.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$root"
logs=$root/build/logs
mkdir -p "$logs"
source tools/build.sh

preset=dev
if [ "${1:-}" = --sanitize ]; then
  case "${2:-}" in
    asan | tsan) preset=$2 ;;
    *) die "--sanitize takes asan or tsan" ;;
  esac
  shift 2
fi
if [ "${1:-}" = --help ]; then
  sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 0
fi

# gRPC and protobuf are not instrumented: what only they do is no finding of ours. A program ends at
# the first finding, so that no test can overlook it.
tsan="ignore_noninstrumented_modules=1 second_deadlock_stack=1 halt_on_error=1"
export TSAN_OPTIONS=${TSAN_OPTIONS:-$tsan suppressions=$root/tests/tsan.supp}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1}
export LSAN_OPTIONS=${LSAN_OPTIONS:-print_suppressions=0 suppressions=$root/tests/lsan.supp}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

say "[1/3] Packages"
install_packages
say "[2/3] Building ($preset; log: build/logs/build-$preset.log)"
build "$preset"
say "[3/3] Testing"
choice=()
[ "$preset" != tsan ] || choice=(--label-exclude slow)
exec ctest --test-dir "build/$preset" --parallel 2 --output-on-failure --no-tests=error \
  "${choice[@]}" "$@"
