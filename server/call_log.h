// Calls that the audit is to have and that no transaction wrote: they were refused, failed, or
// changed nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "auth/principal.h"
#include "base/clock.h"
#include "beamline/v1/audit.pb.h"
#include "google/protobuf/message.h"

namespace beamline::server {

// Keeps them until somebody writes them. However many come, few entries become of them: those of
// the same principal, address, method, project and code are one entry, and from then on for a
// minute one more; and where callers change their address or their method as they go, those beyond
// the bounds below are counted without saying whose they were. Thread-safe.
class CallLog {
 public:
  // Groups of calls that are told apart in a minute, of callers that are known, and of others. At
  // most twice as many entries of some 400 bytes are written, which is 160 kB a minute.
  static constexpr size_t kMaxKnown = 128;
  static constexpr size_t kMaxUnknown = 16;
  static constexpr int64_t kWindowMs = 60'000;

  // Not owned; outlives this and all calls.
  explicit CallLog(const Clock& clock) : clock_(clock) {}

  // A call that was admitted. `method`: "RunService.CreateRun".
  std::shared_ptr<auth::AuditedCall> Begin(std::string_view method,
                                           const google::protobuf::Message& request);
  // A call that was not.
  void Refuse(const auth::Principal& caller, std::string_view method,
              const google::protobuf::Message& request, const absl::Status& why);

  // What is to be written now: the first of each group, and the counts of groups whose minute is
  // over; of all groups if `everything`.
  std::vector<v1::AuditEntry> Take(bool everything);

 private:
  class Call;
  // Principal, address without port, method, project, code.
  using Key = std::tuple<std::string, std::string, std::string, std::string, int>;
  struct Group {
    // The first call that was not written yet.
    v1::AuditEntry entry;
    // Those that were not written.
    int64_t count = 0;
    int64_t end_ms = 0;
    bool written = false;
  };

  // `fill` adds what the entry says of the request; only called if an entry is begun.
  template <class Fill>
  void Count(const auth::Principal& caller, std::string_view method, const std::string& resource,
             int code, Fill fill);

  const Clock& clock_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<Key, Group> groups_;
  size_t known_ = 0;
  size_t unknown_ = 0;
};

}  // namespace beamline::server
