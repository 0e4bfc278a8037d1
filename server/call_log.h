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
// minute one more. Where a caller changes its address or its method as it goes, its calls beyond
// the bounds below are counted under its name without saying which they were; so no caller takes
// away the room of others. Callers that nobody knows are told apart by address; beyond a bound on
// all of them together they are counted without saying whose calls they were. Thread-safe.
class CallLog {
 public:
  // Groups of calls that are told apart in a minute: of one principal, of one address without a
  // principal, and of all such addresses together. At most twice as many entries of some 400 bytes
  // are written, and those that only count: of callers from outside 20 kB a minute.
  static constexpr size_t kMaxKinds = 16;
  static constexpr size_t kMaxKindsUnknown = 4;
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
  // What was taken could not be written: the next Take has it again, together with what came
  // meanwhile.
  void PutBack(const std::vector<v1::AuditEntry>& entries);

 private:
  class Call;
  // Principal, address without port, method, project, code. Without a method: what is only counted.
  using Key = std::tuple<std::string, std::string, std::string, std::string, int>;
  struct Group {
    // The first call that was not written yet.
    v1::AuditEntry entry;
    // Those that were not written.
    int64_t count = 0;
    int64_t end_ms = 0;
    bool written = false;
  };
  using Groups = std::map<Key, Group>;

  static Key KeyOf(const v1::AuditEntry& entry);
  // `fill` adds what the entry says of the request; only called if an entry is begun.
  template <class Fill>
  void Count(const auth::Principal& caller, std::string_view method, const std::string& resource,
             int code, Fill fill);

  // With mutex_ held: the group in which a call of this key is counted.
  Groups::iterator GroupFor(Key key);
  Groups::iterator Add(Key key);
  Groups::iterator Remove(Groups::iterator group);

  const Clock& clock_;
  std::mutex mutex_;
  // Guarded by mutex_.
  Groups groups_;
  // How many groups with a method each caller has, by name or else address; none has 0.
  std::map<std::string, size_t> kinds_;
  // How many groups have an address and no principal.
  size_t unknown_ = 0;
};

}  // namespace beamline::server
