#!/usr/bin/env bash
# Fuzzes what strangers' bytes reach, under AddressSanitizer and UndefinedBehaviorSanitizer, with
# clang's libFuzzer.
#
#   tools/fuzz.sh [--minutes N] [--merge] [TARGET...]
#
# Each target of tests/fuzz (default: all) runs N minutes (default 1), one after the other, on one
# core, from its corpus. What is found is left in build/fuzz/findings; new inputs in
# build/fuzz/corpus, from where --merge takes those that reach more code than the kept ones into
# tests/fuzz/corpus. Ends with 1 if anything was found. The last lines are one of JSON for each
# target: what it executed, and how much code it reached.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
minutes=1
merge=no
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --minutes) minutes=$2; shift ;;
    --merge) merge=yes ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "there is no flag $1; see: $0 --help" >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
command -v clang++ >/dev/null || { echo "needs clang: apt-get install clang" >&2; exit 2; }
if [ ${#targets[@]} -eq 0 ]; then
  for folder in "$root"/tests/fuzz/corpus/*/; do targets+=("$(basename "$folder")"); done
fi

build=$root/build/fuzz
cd "$root"
cmake --preset fuzz >/dev/null
cmake --build "$build" --target "${targets[@]/#/fuzz_}"

found=0
lines=()
for target in "${targets[@]}"; do
  kept=tests/fuzz/corpus/$target
  new=$build/corpus/$target
  findings=$build/findings/$target
  mkdir -p "$new" "$findings"
  log=$build/fuzz_$target.log
  code=0
  "$build/tests/fuzz_$target" -max_total_time=$((minutes * 60)) -timeout=10 -rss_limit_mb=4096 \
    -max_len=65536 -artifact_prefix="$findings/" -print_final_stats=1 "$new" "$kept" \
    >"$log" 2>&1 || code=$?
  executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  reached=$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
  if [ "$code" -ne 0 ]; then
    found=1
    echo "$target found something: $log" >&2
    grep -E 'does not hold|SUMMARY|ERROR|runtime error' "$log" >&2 || true
  fi
  if [ $merge = yes ] && [ "$code" -eq 0 ]; then
    "$build/tests/fuzz_$target" -merge=1 -max_len=4096 "$kept" "$new" >>"$log" 2>&1
  fi
  lines+=("$(printf '{"target": "%s", "minutes": %s, "executed": %s, "edges": %s, "code": %s}' \
    "$target" "$minutes" "${executed:-0}" "${reached:-0}" "$code")")
done
printf '%s\n' "${lines[@]}"
exit $found
