#include "auth/issuers.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "google/rpc/error_details.pb.h"

namespace beamline::auth {
namespace {

// Of OpenID Connect Core 1.0, section 2: "sub" has at most 255 ASCII characters.
constexpr size_t kMaxSubject = 255;
// Ids of keys that are remembered while they are looked for.
constexpr size_t kMaxWanted = 256;

absl::Status NotValid() { return absl::UnauthenticatedError("token is not valid: log in again"); }

absl::Status Unavailable(std::string_view why, int64_t wait_ms) {
  google::rpc::RetryInfo details;
  details.mutable_retry_delay()->set_seconds(std::max<int64_t>(1, (wait_ms + 999) / 1000));
  absl::Status status = absl::UnavailableError(A(why));
  status.SetPayload("type.googleapis.com/google.rpc.RetryInfo",
                    absl::Cord(details.SerializeAsString()));
  return status;
}

// The time that a claim says; empty if there is none or it is no time.
std::optional<absl::Time> TimeOf(const Claims& claims, std::string_view name) {
  const auto found = claims.numbers.find(name);
  constexpr double kMost = 253'402'300'799;  // the year 9999
  if (found == claims.numbers.end() || !(std::abs(found->second) <= kMost)) return std::nullopt;
  return absl::FromUnixMillis(static_cast<int64_t>(found->second * 1000));
}

std::string Shown(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

absl::Status CheckTimes(const Claims& claims, absl::Time now, absl::Duration leeway) {
  const std::optional<absl::Time> end = TimeOf(claims, "exp");
  if (!end.has_value()) {
    return absl::UnauthenticatedError("the token has no end (exp), and is not taken");
  }
  if (*end + leeway <= now) {
    return absl::UnauthenticatedError(
        absl::StrCat("token expired at ", Shown(*end), ": get a new one from its issuer"));
  }
  for (const char* const name : {"nbf", "iat"}) {
    const absl::Time begin = TimeOf(claims, name).value_or(absl::InfinitePast());
    if (begin - leeway <= now) continue;
    return absl::UnauthenticatedError(
        absl::StrCat("the token is not good before ", Shown(begin), ": are the clocks right?"));
  }
  return absl::OkStatus();
}

bool IsSubject(std::string_view text) {
  return !text.empty() && text.size() <= kMaxSubject &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// "https://auth.example.org/" + "/.well-known/..." has one slash.
std::string DiscoveryUrl(const std::string& issuer) {
  return absl::StrCat(issuer.ends_with('/') ? issuer.substr(0, issuer.size() - 1) : issuer,
                      "/.well-known/openid-configuration");
}

// Where the keys are, by an issuer's metadata (OpenID Connect Discovery 1.0, section 4).
absl::StatusOr<std::string> KeysUrl(const std::string& issuer, const std::string& metadata) {
  google::protobuf::Struct read;
  if (!google::protobuf::util::JsonStringToMessage(metadata, &read).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(DiscoveryUrl(issuer), " is no JSON object"));
  }
  const auto& fields = read.fields();
  const auto own = fields.find("issuer");
  if (own == fields.end() || own->second.string_value() != issuer) {
    return absl::InvalidArgumentError(
        absl::StrCat(DiscoveryUrl(issuer), " is not about the issuer ", issuer));
  }
  const auto keys = fields.find("jwks_uri");
  if (keys == fields.end()) {
    return absl::InvalidArgumentError(absl::StrCat(DiscoveryUrl(issuer), " has no jwks_uri"));
  }
  return keys->second.string_value();
}

bool SameKeys(const v1::Issuer& a, const v1::Issuer& b) {
  return a.url() == b.url() && a.keys_file() == b.keys_file() && a.keys_url() == b.keys_url() &&
         a.ca_file() == b.ca_file();
}

}  // namespace

Issuers::Issuers(const Clock& clock, Get get, Options options)
    : clock_(clock), get_(std::move(get)), options_(options) {
  if (options_.own_thread) thread_ = std::thread([this] { Run(); });
}

Issuers::~Issuers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Issuers::Set(const v1::Issuers& issuers) {
  {
    const std::lock_guard lock(mutex_);
    std::map<std::string, Issuer, std::less<>> before = std::exchange(issuers_, {});
    for (const v1::Issuer& config : issuers.issuers()) {
      Issuer& issuer = issuers_[config.url()];
      if (const auto found = before.find(config.url());
          found != before.end() && SameKeys(found->second.config, config)) {
        issuer = std::move(found->second);
      }
      issuer.config = config;
      issuer.due_ms = clock_.MonotonicMillis();
      if (!config.keys_file().empty()) Begin(issuer);
    }
    changed_.notify_all();
  }
  for (const v1::Issuer& config : issuers.issuers()) {
    if (!config.keys_file().empty()) Take(config, Fetch(config));
  }
}

void Issuers::Begin(Issuer& issuer) {
  const int64_t now_ms = clock_.MonotonicMillis();
  issuer.due_ms = now_ms + options_.refresh_ms;
  issuer.earliest_ms = now_ms + options_.least_ms;
  for (const std::string& key_id : std::exchange(issuer.wanted, {})) {
    if (issuer.sought.size() < kMaxWanted) issuer.sought.insert(key_id);
  }
}

absl::StatusOr<Principal> Issuers::Check(std::string_view bearer, bool* guess) {
  *guess = true;
  const absl::StatusOr<Jwt> token = Jwt::Parse(bearer);
  if (!token.ok()) return NotValid();
  const int64_t now_ms = clock_.MonotonicMillis();
  v1::Issuer config;
  std::shared_ptr<const KeySet> keys;
  {
    const std::lock_guard lock(mutex_);
    const auto found = issuers_.find(token->claims().Text("iss"));
    if (found == issuers_.end()) return NotValid();
    Issuer& issuer = found->second;
    if (issuer.keys != nullptr && issuer.fetched_ms + options_.keep_ms < now_ms) {
      issuer.keys = nullptr;
    }
    if (issuer.keys == nullptr) {
      *guess = false;
      return Unavailable("the keys of the token's issuer could not be fetched yet: try again",
                         issuer.due_ms - now_ms);
    }
    if (!issuer.keys->HasKeyOf(*token)) return Seek(issuer, token->key_id());
    config = issuer.config;
    keys = issuer.keys;
  }
  if (!keys->Verify(*token).ok()) return NotValid();
  *guess = false;
  return Admit(config, token->claims());
}

absl::Status Issuers::Seek(Issuer& issuer, const std::string& key_id) {
  const int64_t now_ms = clock_.MonotonicMillis();
  const bool missing = issuer.missing.contains(key_id);
  const int64_t due_ms = std::min(issuer.due_ms, std::max(now_ms, issuer.earliest_ms));
  if (!missing || issuer.earliest_ms <= now_ms) {
    if (issuer.wanted.size() < kMaxWanted) issuer.wanted.insert(key_id);
    if (due_ms != issuer.due_ms) {
      issuer.due_ms = due_ms;
      changed_.notify_all();
    }
  }
  if (missing) return NotValid();
  return Unavailable("the token's key is looked for: try again", due_ms - now_ms);
}

absl::StatusOr<Principal> Issuers::Admit(const v1::Issuer& issuer, const Claims& claims) const {
  const absl::Time now = clock_.Now();
  RETURN_IF_ERROR(CheckTimes(claims, now, options_.leeway));
  const bool is_for_us =
      std::any_of(issuer.audiences().begin(), issuer.audiences().end(),
                  [&](const std::string& audience) { return claims.Has("aud", audience); });
  if (!is_for_us) {
    return absl::UnauthenticatedError(
        "the token is for another audience (aud): get one for this server");
  }
  const std::string_view subject = claims.Text("sub");
  if (!IsSubject(subject)) {
    return absl::UnauthenticatedError("the token does not say whose it is (sub)");
  }
  Grants grants = GrantsFor(issuer, claims);
  Principal principal;
  principal.kind = Principal::kUser;
  principal.name = PrincipalName(issuer.name(), subject);
  if (!grants.any()) {
    return absl::PermissionDeniedError(
        absl::StrCat("your token is good, but no rule of this server gives you, ", principal.name,
                     ", anything: ask an operator of the cluster"));
  }
  principal.is_operator = grants.is_operator;
  principal.roles = std::move(grants.roles);
  principal.limited = !grants.is_operator;
  principal.outside = std::make_shared<const Outside>(
      Outside{.issuer = issuer.url(),
              .subject = std::string(subject),
              .expire_time = *TimeOf(claims, "exp") + options_.leeway});
  return principal;
}

int64_t Issuers::NextDue() const {
  int64_t next_ms = clock_.MonotonicMillis() + options_.refresh_ms;
  for (const auto& [url, issuer] : issuers_) next_ms = std::min(next_ms, issuer.due_ms);
  return next_ms;
}

void Issuers::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const int64_t wait_ms = NextDue() - clock_.MonotonicMillis();
    if (wait_ms > 0) {
      changed_.wait_for(lock, std::chrono::milliseconds(wait_ms));
      continue;
    }
    lock.unlock();
    FetchDue();
    lock.lock();
  }
}

int Issuers::FetchDue() {
  std::vector<std::pair<int64_t, v1::Issuer>> due;
  {
    const int64_t now_ms = clock_.MonotonicMillis();
    const std::lock_guard lock(mutex_);
    for (auto& [url, issuer] : issuers_) {
      if (issuer.due_ms > now_ms) continue;
      due.emplace_back(issuer.due_ms, issuer.config);
      Begin(issuer);
    }
  }
  std::stable_sort(due.begin(), due.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [due_ms, config] : due) {
    if (stopping_) break;
    Take(config, Fetch(config));
  }
  return static_cast<int>(due.size());
}

absl::StatusOr<std::string> Issuers::Fetch(const v1::Issuer& config) const {
  if (!config.keys_file().empty()) return ReadFile(config.keys_file(), KeySet::kMaxBytes);
  const auto stopped = [this] { return stopping_.load(); };
  std::string url = config.keys_url();
  if (url.empty()) {
    ASSIGN_OR_RETURN(const std::string metadata,
                     get_(DiscoveryUrl(config.url()), config.ca_file(), stopped));
    ASSIGN_OR_RETURN(url, KeysUrl(config.url(), metadata));
  }
  return get_(url, config.ca_file(), stopped);
}

void Issuers::Take(const v1::Issuer& config, const absl::StatusOr<std::string>& fetched) {
  const auto keys = [&]() -> absl::StatusOr<std::shared_ptr<KeySet>> {
    RETURN_IF_ERROR(fetched.status());
    return KeySet::Parse(*fetched);
  }();
  const int64_t now_ms = clock_.MonotonicMillis();
  const std::lock_guard lock(mutex_);
  const auto found = issuers_.find(config.url());
  // It may have been set anew meanwhile.
  if (found == issuers_.end() || !SameKeys(found->second.config, config)) return;
  Issuer& issuer = found->second;
  if (!keys.ok()) {
    issuer.due_ms = issuer.earliest_ms;
    // Nothing was seen. Who still comes with such a token names its key again.
    issuer.sought.clear();
    if (stopping_) return;
    if (!std::exchange(issuer.failing, true)) {
      log::Warning("cannot get the keys of %s: %s; %s", config.url(), keys.status().message(),
                   issuer.keys != nullptr ? "those of before are used"
                                          : "its tokens are refused until then");
    }
    return;
  }
  if (std::exchange(issuer.failing, false) || issuer.keys == nullptr) {
    log::Info("have the keys of %s", config.url());
  }
  issuer.keys = *keys;
  issuer.fetched_ms = now_ms;
  issuer.missing = std::exchange(issuer.sought, {});
}

}  // namespace beamline::auth
