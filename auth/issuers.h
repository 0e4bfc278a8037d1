// Tokens of other issuers: who has them, and what they may.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "auth/issuer_rules.h"
#include "auth/jwt.h"
#include "auth/principal.h"
#include "base/clock.h"
#include "beamline/v1/issuers.pb.h"

namespace beamline::auth {

// Knows the issuers and keeps their keys, which one thread of its own reads and fetches: no call
// waits for that. Thread-safe.
class Issuers {
 public:
  // The body at an https URL, checked by the certificates in a file, unless it is stopped before;
  // see HttpsGet.
  using Get = std::function<absl::StatusOr<std::string>(
      const std::string& url, const std::string& ca_file, const std::function<bool()>& stopped)>;
  struct Options {
    // How far the clocks of issuers may be from ours.
    absl::Duration leeway = absl::Seconds(30);
    // Keys are fetched anew so often. Unit: milliseconds. Default: an hour.
    int64_t refresh_ms = 3'600'000;
    // And when a token names a key that is not known, or the last try failed: but after so long at
    // the earliest. Whatever comes, an issuer is asked no more often. Default: 30 seconds.
    int64_t least_ms = 30'000;
    // Keys that could not be fetched anew for so long are not believed any more. Default: 7 days.
    int64_t keep_ms = int64_t{7} * 86'400'000;
    // Off: keys are fetched in FetchDue only. For tests.
    bool own_thread = true;
  };

  // The clock is not owned.
  Issuers(const Clock& clock, Get get) : Issuers(clock, std::move(get), Options()) {}
  Issuers(const Clock& clock, Get get, Options options);
  // Stops the fetch that is going on, if there is one.
  ~Issuers();
  Issuers(const Issuers&) = delete;
  Issuers& operator=(const Issuers&) = delete;

  // From now on these are the issuers, as CheckIssuers has found them good. Keys in files are read
  // before it returns. Others are fetched at once, and until then those of before, from the same
  // place, stay.
  void Set(const v1::Issuers& issuers);

  // Who has this token, without `peer`. `guess`: whether it may be one that nobody gave out; such a
  // caller learns nothing else. Only who holds what the issuer signed is told why it does not
  // count. UNAUTHENTICATED: not signed by an issuer, not for this server, expired, or not good yet.
  // PERMISSION_DENIED: no rule gives it anything. UNAVAILABLE, with google.rpc.RetryInfo: the key
  // that it names is not known, and is looked for.
  absl::StatusOr<Principal> Check(std::string_view bearer, bool* guess);

  // Fetches the keys that are due, those first that were due first; how many were. Blocks.
  int FetchDue();

 private:
  struct Issuer {
    v1::Issuer config;
    // Null: there are none yet, or none that are believed.
    std::shared_ptr<const KeySet> keys;
    int64_t fetched_ms = 0;
    // Earliest time for the next look at the keys, and when there will be one at any rate.
    int64_t earliest_ms = 0;
    int64_t due_ms = 0;
    bool failing = false;
    // Ids of keys that tokens named and that are not known: since the last look began; before it,
    // if it has not ended; and those that it did not show.
    std::set<std::string> wanted;
    std::set<std::string> sought;
    std::set<std::string> missing;
  };

  void Run();
  // A look at its keys begins. With mutex_ held.
  void Begin(Issuer& issuer);
  // When the next look is. With mutex_ held.
  int64_t NextDue() const;
  absl::StatusOr<std::string> Fetch(const v1::Issuer& config) const;
  void Take(const v1::Issuer& config, const absl::StatusOr<std::string>& fetched);
  // The answer to a token whose key is not known; sees to it that it is looked for. With mutex_
  // held.
  absl::Status Seek(Issuer& issuer, const std::string& key_id);
  absl::StatusOr<Principal> Admit(const v1::Issuer& issuer, const Claims& claims) const;

  const Clock& clock_;
  const Get get_;
  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Below guarded by mutex_. By URL.
  std::map<std::string, Issuer, std::less<>> issuers_;
  // Set with mutex_ held; fetches read it without.
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace beamline::auth
