// Credentials to principals.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "auth/directory.h"
#include "auth/failure_limiter.h"
#include "auth/issuers.h"
#include "auth/principal.h"
#include "auth/recent_set.h"
#include "base/clock.h"

namespace beamline::auth {

// Answers are remembered for a few seconds, so that most calls touch no disk. Thread-safe.
class Authenticator {
 public:
  struct Options {
    // How long an answer is used without asking the directory again. Default 5 seconds. Forget
    // makes changes of this process take effect at once; this bounds those made by others.
    absl::Duration cache_lifetime = absl::Seconds(5);
    // Most answers kept, the least recently used go first. Default 4096, about 1 MiB.
    size_t cache_size = 4096;
    // Most tokens that are remembered to have been good once; those that were good longest ago go
    // first. Default 4096, about 1 MiB.
    size_t good_size = 4096;
    FailureLimiter::Options failures;
    // Whose tokens are taken besides. Null: nobody's. Not owned; outlives this.
    Issuers* issuers = nullptr;
  };

  // Neither is owned; both outlive this.
  Authenticator(Directory& directory, const Clock& clock) : Authenticator(directory, clock, {}) {}
  Authenticator(Directory& directory, const Clock& clock, Options options);

  // The user who owns the token `bearer` ("bl_..."), or for whom an issuer signed it, see
  // Issuers::Check, which says what its refusals are. `peer` becomes Principal.peer.
  // UNAUTHENTICATED: malformed, unknown, expired or revoked, or its user is disabled. Only who
  // holds the right secret is told which of the last three; all other cases have one and the same
  // text. RESOURCE_EXHAUSTED: too many came from this address that were none; tokens that were good
  // once, here and lately (Options.good_size), are looked at nevertheless. Any other code: the
  // directory failed.
  absl::StatusOr<Principal> Authenticate(std::string_view bearer, std::string_view peer);

  // The worker whose verified certificate has this URI as subject alternative name, see
  // WorkerUri in certificate_authority.h, and is good until `expire_time`. The caller has had the
  // certificate verified when the connection was made, which may be long ago.
  // UNAUTHENTICATED: no such URI, the worker is not known (any more), or its certificate has
  // expired meanwhile.
  absl::StatusOr<Principal> AuthenticateWorker(std::string_view uri, absl::Time expire_time,
                                               std::string_view peer);

  // For secrets that others check: join tokens.
  FailureLimiter& failures() { return failures_; }

  // Call after every committed change of users, tokens, members or workers, before it is
  // acknowledged: from then on nobody gets an answer from before the change.
  void Forget();

  // When each token (by id) was last used since the previous call of this. For the server to store
  // now and then, so that using a token costs no commit; what was not taken yet is lost in a crash.
  std::map<std::string, absl::Time> TakeLastUses();

 private:
  absl::StatusOr<Principal> AuthenticateOutside(std::string_view bearer, std::string_view peer);

  // A user or worker that was let in. Refusals are not remembered, so that nobody can push others
  // out by guessing.
  struct Entry {
    Principal principal;
    // Unit: milliseconds of the monotonic clock.
    int64_t until_ms;
    absl::Time token_expire_time;
    // Its place in ages_.
    std::list<std::string>::iterator age;
  };

  // The principal that is remembered for `key`, if it still counts; `epoch`: for Remember.
  std::optional<Principal> Recall(const std::string& key, uint64_t* epoch);
  // Does nothing if Forget was called since `epoch`: the answer may be from before the change.
  void Remember(const std::string& key, uint64_t epoch, const Principal& principal,
                absl::Time token_expire_time);
  // Whether the token of this key was good once, and is no guess.
  bool WasGood(const std::string& key);
  // It is none (any more).
  void CountWrong(const std::string& key, std::string_view peer);
  // With mutex_ held.
  void Drop(const std::string& key);

  Directory& directory_;
  const Clock& clock_;
  const Options options_;
  FailureLimiter failures_;

  // std::mutex and not Abseil's, whose lock ThreadSanitizer does not see in Debian's build.
  std::mutex mutex_;
  // All below is guarded by mutex_.
  uint64_t epoch_ = 0;
  // Key: kind, id and hash of the credential, never the credential itself.
  std::unordered_map<std::string, Entry> entries_;
  // Keys of entries_, least recently used first.
  std::list<std::string> ages_;
  std::map<std::string, absl::Time> last_uses_;
  // Keys of tokens that are no guesses, whatever becomes of them. It lets nobody in, so Forget
  // leaves it alone.
  RecentSet good_;
};

}  // namespace beamline::auth
