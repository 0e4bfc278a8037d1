// A directory in memory, with one token for each kind of caller.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "auth/directory.h"
#include "auth/secret.h"

namespace beamline::server::rpc {

// Thread-safe.
class FakeDirectory : public auth::Directory {
 public:
  absl::StatusOr<std::optional<auth::TokenRecord>> FindToken(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    const auto found = tokens_.find(id);
    if (found == tokens_.end()) return std::optional<auth::TokenRecord>();
    return std::optional<auth::TokenRecord>(found->second);
  }
  absl::StatusOr<std::optional<auth::UserRecord>> FindUser(const std::string& user) override {
    const std::lock_guard lock(mutex_);
    return std::optional<auth::UserRecord>(users_[user]);
  }
  absl::StatusOr<bool> IsWorker(const std::string& worker) override {
    return worker == "workers/w1";
  }

  // A new token of `user`; the text that its owner has.
  std::string GiveToken(const std::string& user, auth::UserRecord record,
                        std::optional<absl::Time> expire_time = std::nullopt) {
    SystemRandom random;
    const auth::NewSecret made = auth::MakeSecret(auth::SecretKind::kToken, random);
    const std::lock_guard lock(mutex_);
    users_[user] = std::move(record);
    tokens_[made.id] = {user, made.hash, expire_time, false};
    return made.text;
  }
  void RevokeAll() {
    const std::lock_guard lock(mutex_);
    for (auto& [id, token] : tokens_) token.revoked = true;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, auth::TokenRecord> tokens_;
  std::map<std::string, auth::UserRecord> users_;
};

}  // namespace beamline::server::rpc
