# Shared by quickstart.sh and test.sh: installing and building. To be sourced, with $root set to the
# folder of the tree.

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs a command with its output in the log $1; shows the log's end if it fails.
quietly() {
  local log=$1
  shift
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    die "\"$*\" failed; all of its output is in $log"
  fi
}

missing_packages() {
  local package
  sed 's/#.*//' "$root/tools/packages.txt" | while read -r package; do
    [ -n "$package" ] || continue
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
      printf '%s\n' "$package"
  done
}

# Installs what is missing; needs no network and no rights if nothing is.
install_packages() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    die "this needs Debian 12 or Ubuntu 24.04; elsewhere install what tools/packages.txt names"
  local missing sudo=
  missing=$(missing_packages)
  if [ -z "$missing" ]; then
    say "      all packages are there"
    return
  fi
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "run this as root, or install sudo; missing: $(echo $missing)"
    sudo=sudo
  fi
  say "      installing $(echo "$missing" | wc -l) packages: $(echo $missing)"
  quietly "$logs/apt.log" $sudo env DEBIAN_FRONTEND=noninteractive apt-get update
  quietly "$logs/apt.log" $sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends $missing
}

# Compiler processes at once: one per core, but no more than one per GiB of memory.
jobs_at_once() {
  local cores memory_gib
  cores=$(nproc)
  memory_gib=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  [ "$memory_gib" -ge 1 ] || memory_gib=1
  [ "$cores" -le "$memory_gib" ] && echo "$cores" || echo "$memory_gib"
}

# build PRESET [TARGET...]: configures once and builds what has changed.
build() {
  local preset=$1
  shift
  # CMake would write into a folder that belongs to another checkout or machine.
  quietly "$logs/configure-$preset.log" cmake --preset "$preset" -S "$root"
  quietly "$logs/build-$preset.log" ninja -C "$root/build/$preset" -j "$(jobs_at_once)" "$@"
}
