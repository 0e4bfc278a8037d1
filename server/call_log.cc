#include "server/call_log.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "auth/failure_limiter.h"
#include "server/audit_entry.h"
#include "store/audit.h"
#include "store/time.h"

namespace beamline::server {
namespace {

// Whose calls these are: a principal's, or an address's.
const std::string& CallerOf(const std::string& principal, const std::string& address) {
  return principal.empty() ? address : principal;
}

// The earlier of two entries of a group, with the time of the last call of both.
v1::AuditEntry Together(const v1::AuditEntry& a, const v1::AuditEntry& b) {
  const auto last = [](const v1::AuditEntry& entry) {
    return store::FromProto(entry.has_last_time() ? entry.last_time() : entry.time());
  };
  v1::AuditEntry entry = store::FromProto(a.time()) <= store::FromProto(b.time()) ? a : b;
  *entry.mutable_last_time() = store::ToProto(std::max(last(a), last(b)));
  return entry;
}

}  // namespace

class CallLog::Call : public auth::AuditedCall {
 public:
  Call(CallLog& log, std::string_view method, const google::protobuf::Message& request)
      : log_(log),
        method_(method),
        resource_(RequestResource(request)),
        summary_(RequestSummary(request)),
        digest_(RequestDigest(request)) {}

  void Written() override { written_ = true; }
  void End(const auth::Principal& caller, const absl::Status& outcome) override {
    if (outcome.ok() && written_) return;
    log_.Count(caller, method_, resource_, static_cast<int>(outcome.code()),
               [this](v1::AuditEntry& entry) {
                 entry.set_summary(summary_);
                 entry.set_request_digest(digest_);
               });
  }

 private:
  CallLog& log_;
  const std::string method_;
  const std::string resource_;
  const std::string summary_;
  const std::string digest_;
  std::atomic<bool> written_ = false;
};

std::shared_ptr<auth::AuditedCall> CallLog::Begin(std::string_view method,
                                                  const google::protobuf::Message& request) {
  return std::make_shared<Call>(*this, method, request);
}

void CallLog::Refuse(const auth::Principal& caller, std::string_view method,
                     const google::protobuf::Message& request, const absl::Status& why) {
  Count(caller, method, RequestResource(request), static_cast<int>(why.code()),
        [&](v1::AuditEntry& entry) {
          entry.set_summary(RequestSummary(request));
          entry.set_request_digest(RequestDigest(request));
        });
}

CallLog::Key CallLog::KeyOf(const v1::AuditEntry& entry) {
  // What is only counted has an address without a port.
  const bool counted = entry.method().empty();
  return {entry.principal(), counted ? entry.peer() : auth::AddressOfPeer(entry.peer()),
          entry.method(), std::string(store::ProjectOfResource(entry.resource())), entry.code()};
}

CallLog::Groups::iterator CallLog::GroupFor(Key key) {
  if (const auto found = groups_.find(key); found != groups_.end()) return found;
  const auto& [principal, address, method, project, code] = key;
  const bool is_known = !principal.empty();
  const auto kinds = kinds_.find(CallerOf(principal, address));
  const size_t used = kinds == kinds_.end() ? 0 : kinds->second;
  const bool crowded = !is_known && unknown_ >= kMaxUnknown;
  if (used < (is_known ? kMaxKinds : kMaxKindsUnknown) && !crowded) return Add(std::move(key));
  Key counted{principal, is_known ? "" : address, "", "", code};
  if (const auto found = groups_.find(counted); found != groups_.end()) return found;
  if (crowded) std::get<1>(counted).clear();
  return Add(std::move(counted));
}

CallLog::Groups::iterator CallLog::Add(Key key) {
  const auto [group, is_new] = groups_.try_emplace(std::move(key));
  if (!is_new) return group;
  const auto& [principal, address, method, project, code] = group->first;
  if (!method.empty()) ++kinds_[CallerOf(principal, address)];
  if (principal.empty() && !address.empty()) ++unknown_;
  group->second.end_ms = clock_.MonotonicMillis() + kWindowMs;
  return group;
}

CallLog::Groups::iterator CallLog::Remove(Groups::iterator group) {
  const auto& [principal, address, method, project, code] = group->first;
  if (!method.empty()) {
    const auto kinds = kinds_.find(CallerOf(principal, address));
    if (--kinds->second == 0) kinds_.erase(kinds);
  }
  if (principal.empty() && !address.empty()) --unknown_;
  return groups_.erase(group);
}

template <class Fill>
void CallLog::Count(const auth::Principal& caller, std::string_view method,
                    const std::string& resource, int code, Fill fill) {
  const auto now = store::ToProto(clock_.Now());
  const std::lock_guard lock(mutex_);
  auto& [key, group] =
      *GroupFor({caller.name, auth::AddressOfPeer(caller.peer), std::string(method),
                 std::string(store::ProjectOfResource(resource)), code});
  v1::AuditEntry& entry = group.entry;
  if (group.count++ > 0) {
    *entry.mutable_last_time() = now;
    return;
  }
  entry.Clear();
  *entry.mutable_time() = now;
  entry.set_code(code);
  entry.set_principal(std::get<0>(key));
  if (std::get<2>(key).empty()) {
    entry.set_peer(std::get<1>(key));
    return;
  }
  entry.set_token(TokenOf(caller));
  entry.set_peer(caller.peer);
  entry.set_method(std::string(method));
  entry.set_resource(resource);
  fill(entry);
}

std::vector<v1::AuditEntry> CallLog::Take(bool everything) {
  const int64_t now_ms = clock_.MonotonicMillis();
  std::vector<v1::AuditEntry> taken;
  const std::lock_guard lock(mutex_);
  for (auto it = groups_.begin(); it != groups_.end();) {
    Group& group = it->second;
    const bool over = everything || group.end_ms <= now_ms;
    if (group.count > 0 && (over || !group.written)) {
      group.entry.set_count(std::exchange(group.count, 0));
      taken.push_back(group.entry);
      group.written = true;
    }
    it = over ? Remove(it) : std::next(it);
  }
  return taken;
}

void CallLog::PutBack(const std::vector<v1::AuditEntry>& entries) {
  const std::lock_guard lock(mutex_);
  for (const v1::AuditEntry& entry : entries) {
    // In a group of its own, whatever the bounds: it was within them when it was taken.
    Group& group = Add(KeyOf(entry))->second;
    group.entry = group.count == 0 ? entry : Together(group.entry, entry);
    group.count += entry.count();
    group.written = false;
  }
}

}  // namespace beamline::server
