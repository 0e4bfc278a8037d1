#include "server/quota.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/errors.h"
#include "store/datasets.h"
#include "store/identity.h"

namespace beamline::server {
namespace {

// Space comes back when somebody deletes something: not soon.
constexpr int64_t kRetryMs = 3'600'000;

}  // namespace

absl::Status CheckStorage(const store::View& view, std::string_view project, int64_t more_bytes,
                          const Limits& limits) {
  ASSIGN_OR_RETURN(const v1::Project stored, store::GetProject(view, project));
  const int64_t quota = stored.quota().max_storage_bytes();
  const int64_t most = quota > 0 ? quota : limits.max_storage_bytes;
  ASSIGN_OR_RETURN(const int64_t used, store::StorageBytes(view, project));
  if (used <= most && more_bytes <= most - used) return absl::OkStatus();
  return Overloaded(absl::StrCat("the project keeps ", used, " of at most ", most,
                                 " bytes: delete datasets or models, or ask an operator for a "
                                 "larger max_storage_bytes"),
                    kRetryMs);
}

}  // namespace beamline::server
