#include "worker/process_tree.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"

namespace beamline::worker {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

// Of all threads of a process: each lists the children that it made itself.
std::vector<std::string> ChildrenOf(const std::string& pid) {
  std::vector<std::string> children;
  std::error_code error;
  for (const auto& thread :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/task"), error)) {
    const auto text = ReadFile(thread.path() / "children", kMaxFileBytes);
    if (!text.ok()) continue;
    const std::vector<std::string> names = absl::StrSplit(*text, ' ', absl::SkipEmpty());
    children.insert(children.end(), names.begin(), names.end());
  }
  return children;
}

int64_t MemoryOf(const std::string& pid) {
  const auto text = ReadFile(absl::StrCat("/proc/", pid, "/statm"), kMaxFileBytes);
  if (!text.ok()) return 0;
  const std::vector<std::string> words = absl::StrSplit(*text, ' ');
  int64_t resident = 0;
  int64_t shared = 0;
  if (words.size() < 3 || !absl::SimpleAtoi(words[1], &resident) ||
      !absl::SimpleAtoi(words[2], &shared)) {
    return 0;
  }
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

}  // namespace

TreeUse UseBelow(const std::string& pid, int most_processes) {
  TreeUse use;
  std::vector<std::string> left = ChildrenOf(pid);
  while (!left.empty() && use.processes <= most_processes) {
    const std::string next = std::move(left.back());
    left.pop_back();
    ++use.processes;
    use.memory_bytes += MemoryOf(next);
    for (std::string& child : ChildrenOf(next)) left.push_back(std::move(child));
  }
  return use;
}

}  // namespace beamline::worker
