#!/bin/bash
# From a fresh Debian 12 or Ubuntu 24.04 to a model that the service trained: installs what is
# missing, builds, starts a server and a worker, generates collision events, trains on them, asks
# the model for predictions, and stops everything. Run it again whenever you like: it is quick then.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$root"
logs=$root/build/logs
mkdir -p "$logs"
source tools/build.sh

events=${EVENTS:-50000}
bin=$root/build/release/bin
work=
dev=

# Nothing is left running and nothing is left behind, however this ends.
clean_up() {
  local code=$?
  trap - EXIT
  if [ -n "$dev" ] && kill -0 "$dev" 2>/dev/null; then
    kill -TERM "$dev" 2>/dev/null || true
    wait "$dev" 2>/dev/null || true
  fi
  if [ "$code" != 0 ] && [ -n "$work" ] && [ -d "$work/state/logs" ]; then
    mkdir -p "$logs/failed"
    cp "$work/dev.log" "$work"/state/logs/* "$logs/failed/" 2>/dev/null || true
    say "the logs of server and worker are in $logs/failed" >&2
  fi
  [ -z "$work" ] || rm -rf "$work"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say "[1/6] Packages"
install_packages

say "[2/6] Building (release; the first time takes some minutes; log: build/logs/build-release.log)"
plugin=()
if [ -e /dev/nvidiactl ] && { command -v nvcc || [ -x /usr/local/cuda/bin/nvcc ]; } >/dev/null; then
  plugin=(bin/libbeamline_cuda.so)
fi
build release bin/beamline bin/beamlined bin/beamline-worker bin/beamline-task \
  bin/beamline_collisions "${plugin[@]}"

say "[3/6] Starting a server and a worker on this machine"
work=$(mktemp -d "${TMPDIR:-/tmp}/beamline-quickstart.XXXXXX")
export BEAMLINE_CONFIG=$work/config.json
"$bin/beamline" dev --state "$work/state" --listen 127.0.0.1:0 --ready-file "$work/ready.json" \
  >"$work/dev.log" 2>&1 &
dev=$!
for _ in $(seq 600); do
  [ ! -s "$work/ready.json" ] || break
  kill -0 "$dev" 2>/dev/null || { cat "$work/dev.log" >&2; die "beamline dev did not start"; }
  sleep 0.1
done
[ -s "$work/ready.json" ] ||
  { cat "$work/dev.log" >&2; die "beamline dev is not ready after a minute"; }
"$bin/beamline" status

say
say "[4/6] Generating $events collision events: a resonance over a falling background"
cp examples/collisions/pipeline.yaml "$work/"
"$bin/beamline_collisions" --events "$events" --seed 1 --output "$work/collisions.csv" |
  tee "$work/optimum.txt"

say
say "[5/6] Training: beamline run create examples/collisions/pipeline.yaml --watch"
svg=$root/build/collisions-roc.svg
"$bin/beamline" run create "$work/pipeline.yaml" --watch --svg "$svg" | tee "$work/summary.txt"
say
say "trained AUC $(awk '$2 == "auc" {print $3}' "$work/summary.txt") on the test events;" \
  "$(grep 'best possible AUC' "$work/optimum.txt")"

say
say "[6/6] Three predictions: beamline model predict collisions --rows FILE"
head -n 4 "$work/collisions.csv" >"$work/three.csv"
"$bin/beamline" model predict collisions --rows "$work/three.csv"

say
say "Done. The curve is in $svg. Now keep one running: build/release/bin/beamline dev"
