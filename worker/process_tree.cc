#include "worker/process_tree.h"

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"

namespace beamline::worker {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

// Above this it is worth to ask which share of it is whose. Unit: bytes.
constexpr int64_t kMuchShared = 16 << 20;

struct Memory {
  int64_t own_bytes = 0;
  int64_t shared_bytes = 0;
};

std::vector<std::string> ThreadsOf(const std::string& pid) {
  std::vector<std::string> threads;
  std::error_code error;
  // Not by a range, whose increment throws if the process ends meanwhile.
  for (std::filesystem::directory_iterator at(absl::StrCat("/proc/", pid, "/task"), error), end;
       !error && at != end; at.increment(error)) {
    threads.push_back(at->path());
  }
  return threads;
}

// Of all threads of a process: each lists the children that it made itself.
std::vector<std::string> ChildrenOf(const std::vector<std::string>& threads) {
  std::vector<std::string> children;
  for (const std::string& thread : threads) {
    const auto text = ReadFile(thread + "/children", kMaxFileBytes);
    if (!text.ok()) continue;
    const std::vector<std::string> names = absl::StrSplit(*text, ' ', absl::SkipEmpty());
    children.insert(children.end(), names.begin(), names.end());
  }
  return children;
}

// The sum of two lines of a file such as "RssAnon:     123 kB" and "RssShmem: ...". False if it has
// not both.
bool ReadMemory(const std::string& path, std::string_view own, std::string_view shared,
                Memory* memory) {
  const auto text = ReadFile(path, kMaxFileBytes);
  if (!text.ok()) return false;
  int found = 0;
  const std::vector<std::string> lines = absl::StrSplit(*text, '\n');
  for (const std::string& line : lines) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int64_t kib = 0;
    if (words.size() != 3 || !absl::SimpleAtoi(words[1], &kib)) continue;
    if (words[0] != own && words[0] != shared) continue;
    (words[0] == own ? memory->own_bytes : memory->shared_bytes) = kib << 10;
    ++found;
  }
  return found == 2;
}

// One that is gone has.
bool HasStopped(const std::string& thread) {
  const auto text = ReadFile(thread + "/stat", kMaxFileBytes);
  if (!text.ok()) return true;
  // "1234 (any name) S ...": a name may have parentheses too.
  const size_t name_end = text->rfind(") ");
  if (name_end == std::string::npos || name_end + 2 >= text->size()) return false;
  return std::string_view("TtZX").find((*text)[name_end + 2]) != std::string_view::npos;
}

Memory MemoryOf(const std::vector<std::string>& threads) {
  Memory memory;
  // A first thread that has ended tells nothing of the memory that the others use.
  for (const std::string& thread : threads) {
    if (!ReadMemory(thread + "/status", "RssAnon:", "RssShmem:", &memory)) continue;
    if (memory.shared_bytes < kMuchShared) return memory;
    // A process can forbid to read this.
    Memory share;
    return ReadMemory(thread + "/smaps_rollup", "Pss_Anon:", "Pss_Shmem:", &share) ? share : memory;
  }
  return memory;
}

}  // namespace

TreeUse UseBelow(const std::string& pid, int most_processes, int most_threads) {
  TreeUse use;
  std::vector<std::string> left = ChildrenOf(ThreadsOf(pid));
  while (!left.empty() && use.processes <= most_processes && use.threads <= most_threads) {
    const std::vector<std::string> threads = ThreadsOf(left.back());
    left.pop_back();
    ++use.processes;
    use.threads += static_cast<int>(threads.size());
    const Memory memory = MemoryOf(threads);
    use.memory_bytes += memory.own_bytes;
    use.shared_bytes += memory.shared_bytes;
    for (std::string& child : ChildrenOf(threads)) left.push_back(std::move(child));
  }
  return use;
}

bool AllStoppedBelow(const std::string& pid) {
  std::vector<std::string> left = ChildrenOf(ThreadsOf(pid));
  while (!left.empty()) {
    const std::vector<std::string> threads = ThreadsOf(left.back());
    left.pop_back();
    for (const std::string& thread : threads) {
      if (!HasStopped(thread)) return false;
    }
    for (std::string& child : ChildrenOf(threads)) left.push_back(std::move(child));
  }
  return true;
}

}  // namespace beamline::worker
