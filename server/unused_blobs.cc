#include "server/unused_blobs.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "server/coordinator.h"
#include "store/blob_store.h"
#include "store/datasets.h"

namespace beamline::server {
namespace {

// Removed between two commits: bounds how long others wait.
constexpr size_t kAtOnce = 20;

// On the coordinator's thread after a commit: nobody can refer to one of them meanwhile.
void Remove(const ApiContext& context, const std::vector<std::string>& digests, absl::Time before) {
  int64_t count = 0;
  int64_t bytes = 0;
  for (const std::string& digest : digests) {
    const auto referenced = store::IsBlobReferenced(context.store.writer(), digest);
    if (!referenced.ok() || *referenced) continue;
    const auto removed = context.blobs.RemoveOld(digest, before);
    if (!removed.ok()) {
      log::Warning("cannot remove blob %s: %s", digest, removed.status().ToString());
      continue;
    }
    count += *removed > 0 ? 1 : 0;
    bytes += *removed;
  }
  if (count > 0) log::Info("removed %d blobs that nothing referred to, %d bytes", count, bytes);
}

}  // namespace

void RemoveUnusedBlobs(const ApiContext& context) {
  const absl::Time before = context.clock.Now() - context.limits.blob_lifetime;
  const auto old = context.blobs.ListOld(before);
  if (!old.ok()) {
    log::Warning("cannot look for unused blobs: %s", old.status().ToString());
    return;
  }
  const auto reader = context.store.Read();
  if (!reader.ok()) return;
  std::vector<std::string> unused;
  for (const std::string& digest : *old) {
    const auto referenced = store::IsBlobReferenced(*reader, digest);
    if (referenced.ok() && !*referenced) unused.push_back(digest);
  }
  for (size_t i = 0; i < unused.size(); i += kAtOnce) {
    std::vector<std::string> some(
        unused.begin() + static_cast<std::ptrdiff_t>(i),
        unused.begin() + static_cast<std::ptrdiff_t>(std::min(i + kAtOnce, unused.size())));
    context.coordinator.Submit(
        {.apply = [](Transaction&) { return absl::OkStatus(); },
         .done =
             [&context, before, some = std::move(some)](const absl::Status& status) {
               if (status.ok()) Remove(context, some, before);
             }});
  }
}

}  // namespace beamline::server
