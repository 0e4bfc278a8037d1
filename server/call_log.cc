#include "server/call_log.h"

#include <atomic>
#include <utility>

#include "server/audit_entry.h"
#include "store/time.h"

namespace beamline::server {
namespace {

// "ipv4:192.0.2.7" of "ipv4:192.0.2.7:40112".
std::string AddressOf(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

// "projects/P" of "projects/P/...".
std::string ProjectOf(const std::string& resource) {
  if (!resource.starts_with("projects/")) return "";
  return resource.substr(0, resource.find('/', 9));
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

template <class Fill>
void CallLog::Count(const auth::Principal& caller, std::string_view method,
                    const std::string& resource, int code, Fill fill) {
  const auto now = store::ToProto(clock_.Now());
  Key key{caller.name, AddressOf(caller.peer), std::string(method), ProjectOf(resource), code};
  const std::lock_guard lock(mutex_);
  auto found = groups_.find(key);
  if (found == groups_.end()) {
    const bool is_known = caller.kind != auth::Principal::kAnonymous;
    size_t& used = is_known ? known_ : unknown_;
    const bool full = used >= (is_known ? kMaxKnown : kMaxUnknown);
    if (full) key = {"", "", "", is_known ? "known" : "", code};
    const auto [group, is_new] = groups_.try_emplace(std::move(key));
    found = group;
    if (is_new) {
      if (!full) ++used;
      found->second.end_ms = clock_.MonotonicMillis() + kWindowMs;
    }
  }
  Group& group = found->second;
  v1::AuditEntry& entry = group.entry;
  if (group.count++ > 0) {
    *entry.mutable_last_time() = now;
    return;
  }
  entry.Clear();
  *entry.mutable_time() = now;
  entry.set_code(code);
  // Groups without a method are of many callers.
  if (std::get<2>(found->first).empty()) return;
  entry.set_principal(caller.name);
  entry.set_token(caller.token_id);
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
    auto& [key, group] = *it;
    const bool over = everything || group.end_ms <= now_ms;
    if (group.count > 0 && (over || !group.written)) {
      group.entry.set_count(std::exchange(group.count, 0));
      taken.push_back(group.entry);
      group.written = true;
    }
    if (!over) {
      ++it;
      continue;
    }
    if (!std::get<2>(key).empty()) --(std::get<0>(key).empty() ? unknown_ : known_);
    it = groups_.erase(it);
  }
  return taken;
}

}  // namespace beamline::server
