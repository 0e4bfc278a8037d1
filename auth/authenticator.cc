#include "auth/authenticator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "auth/secret.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace beamline::auth {
namespace {

// The user, as far as the token goes.
Principal PrincipalOf(const TokenRecord& token, UserRecord user) {
  Principal principal;
  principal.kind = Principal::kUser;
  principal.name = token.user;
  principal.limited = !token.projects.empty() || token.max_role != v1::ROLE_UNSPECIFIED;
  principal.is_operator = user.is_operator && !principal.limited;
  principal.roles = Limit(std::move(user.roles), token.projects, token.max_role);
  principal.token_projects = token.projects;
  principal.token_max_role = token.max_role;
  return principal;
}

absl::Status NotValid() { return absl::UnauthenticatedError("token is not valid: log in again"); }

absl::Status IsDisabled(const std::string& user) {
  return absl::UnauthenticatedError(
      absl::StrCat(user, " is disabled: ask an operator of the cluster"));
}

}  // namespace

Authenticator::Authenticator(Directory& directory, const Clock& clock, Options options)
    : directory_(directory),
      clock_(clock),
      options_(options),
      failures_(clock, options.failures),
      good_(options.good_size) {}

absl::StatusOr<Principal> Authenticator::Authenticate(std::string_view bearer,
                                                      std::string_view peer) {
  const std::optional<ParsedSecret> parsed = ParseSecret(SecretKind::kToken, bearer);
  if (!parsed) {
    if (options_.issuers != nullptr && Jwt::LooksLike(bearer)) {
      return AuthenticateOutside(bearer, peer);
    }
    RETURN_IF_ERROR(failures_.Check(peer));
    failures_.Count(peer);
    return NotValid();
  }
  const std::string key = absl::StrCat("t", parsed->id, parsed->hash);
  uint64_t epoch = 0;
  if (std::optional<Principal> known = Recall(key, &epoch)) {
    known->peer = peer;
    return *std::move(known);
  }
  if (!WasGood(key)) RETURN_IF_ERROR(failures_.Check(peer));
  ASSIGN_OR_RETURN(const std::optional<TokenRecord> token, directory_.FindToken(parsed->id));
  if (!token || !HashesEqual(token->hash, parsed->hash)) {
    CountWrong(key, peer);
    return NotValid();
  }
  if (token->revoked) return absl::UnauthenticatedError("token was revoked: log in again");
  const absl::Time expire_time = token->expire_time.value_or(absl::InfiniteFuture());
  if (expire_time <= clock_.Now()) {
    return absl::UnauthenticatedError(absl::StrCat(
        "token expired at ", absl::FormatTime(absl::RFC3339_sec, expire_time, absl::UTCTimeZone()),
        ": log in again"));
  }
  ASSIGN_OR_RETURN(std::optional<UserRecord> user, directory_.FindUser(token->user));
  if (!user) return NotValid();
  if (user->disabled) return IsDisabled(token->user);
  Principal principal = PrincipalOf(*token, *std::move(user));
  principal.token_id = parsed->id;
  Remember(key, epoch, principal, expire_time);
  principal.peer = peer;
  return principal;
}

absl::StatusOr<Principal> Authenticator::AuthenticateOutside(std::string_view bearer,
                                                             std::string_view peer) {
  const std::string key = absl::StrCat("j", Sha256Hex(bearer));
  uint64_t epoch = 0;
  if (std::optional<Principal> known = Recall(key, &epoch)) {
    known->peer = peer;
    return *std::move(known);
  }
  if (!WasGood(key)) RETURN_IF_ERROR(failures_.Check(peer));
  bool guess = false;
  absl::StatusOr<Principal> principal = options_.issuers->Check(bearer, &guess);
  if (guess) CountWrong(key, peer);
  if (!principal.ok()) return principal;
  // Only operators make users of such names: to shut somebody out.
  ASSIGN_OR_RETURN(const std::optional<UserRecord> user, directory_.FindUser(principal->name));
  if (user && user->disabled) return IsDisabled(principal->name);
  Remember(key, epoch, *principal, principal->outside->expire_time);
  principal->peer = peer;
  return principal;
}

absl::StatusOr<Principal> Authenticator::AuthenticateWorker(std::string_view uri,
                                                            absl::Time expire_time,
                                                            std::string_view peer) {
  constexpr std::string_view kScheme = "beamline:";
  constexpr std::string_view kCollection = "workers/";
  const absl::Status unknown = absl::UnauthenticatedError(
      "the certificate is not that of a worker of this server: remove the worker's state folder "
      "and let it join again");
  if (uri.size() > 256 || uri.substr(0, kScheme.size()) != kScheme) return unknown;
  Principal principal;
  principal.kind = Principal::kWorker;
  principal.name = uri.substr(kScheme.size());
  if (principal.name.compare(0, kCollection.size(), kCollection) != 0) return unknown;
  if (expire_time <= clock_.Now()) {
    return absl::UnauthenticatedError(
        absl::StrCat("the certificate of ", principal.name, " expired at ",
                     absl::FormatTime(absl::RFC3339_sec, expire_time, absl::UTCTimeZone()),
                     ": remove the folder tls in the worker's state folder and let it join again"));
  }
  const std::string key = absl::StrCat("w", principal.name);
  uint64_t epoch = 0;
  if (!Recall(key, &epoch)) {
    ASSIGN_OR_RETURN(const bool known, directory_.IsWorker(principal.name));
    if (!known) return unknown;
    Remember(key, epoch, principal, absl::InfiniteFuture());
  }
  principal.peer = peer;
  return principal;
}

void Authenticator::Forget() {
  const std::lock_guard lock(mutex_);
  ++epoch_;
  entries_.clear();
  ages_.clear();
}

std::map<std::string, absl::Time> Authenticator::TakeLastUses() {
  const std::lock_guard lock(mutex_);
  return std::exchange(last_uses_, {});
}

std::optional<Principal> Authenticator::Recall(const std::string& key, uint64_t* epoch) {
  const absl::Time now = clock_.Now();
  const std::lock_guard lock(mutex_);
  *epoch = epoch_;
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  Entry& entry = found->second;
  if (entry.until_ms <= clock_.MonotonicMillis() || entry.token_expire_time <= now) {
    Drop(key);
    return std::nullopt;
  }
  ages_.splice(ages_.end(), ages_, entry.age);
  const Principal& principal = entry.principal;
  if (!principal.token_id.empty()) last_uses_[principal.token_id] = now;
  return principal;
}

void Authenticator::Remember(const std::string& key, uint64_t epoch, const Principal& principal,
                             absl::Time token_expire_time) {
  const std::lock_guard lock(mutex_);
  if (!principal.token_id.empty()) last_uses_[principal.token_id] = clock_.Now();
  if (principal.kind == Principal::kUser) good_.Put(key);
  if (epoch != epoch_ || options_.cache_size == 0) return;
  Drop(key);
  if (entries_.size() >= options_.cache_size) Drop(ages_.front());
  ages_.push_back(key);
  const int64_t until_ms =
      clock_.MonotonicMillis() + absl::ToInt64Milliseconds(options_.cache_lifetime);
  entries_.emplace(key, Entry{principal, until_ms, token_expire_time, std::prev(ages_.end())});
}

bool Authenticator::WasGood(const std::string& key) {
  const std::lock_guard lock(mutex_);
  return good_.Has(key);
}

void Authenticator::CountWrong(const std::string& key, std::string_view peer) {
  failures_.Count(peer);
  const std::lock_guard lock(mutex_);
  good_.Erase(key);
}

void Authenticator::Drop(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  ages_.erase(found->second.age);
  entries_.erase(found);
}

}  // namespace beamline::auth
