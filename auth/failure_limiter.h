// Slows down whoever tries secrets that are none.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "base/clock.h"

namespace beamline::auth {

// A token bucket for each address that failed lately. Thread-safe.
//
// The secrets here have 256 random bits and cannot be guessed at any rate; what this saves is the
// work that guessing makes, and the log. It is in memory only: a restart forgets.
class FailureLimiter {
 public:
  struct Options {
    // Failures that an address may have at once. Default 20: somebody who sets up a client with
    // an old token is not bothered.
    double burst = 20;
    // After which one more is allowed. Unit: milliseconds. Default 3 seconds.
    int64_t refill_ms = 3'000;
    // Addresses that are remembered; beyond, those that failed longest ago are forgotten. Default
    // 10,000, some 2 MiB.
    size_t max_addresses = 10'000;
  };

  // The clock is not owned.
  explicit FailureLimiter(const Clock& clock) : FailureLimiter(clock, Options()) {}
  FailureLimiter(const Clock& clock, Options options) : clock_(clock), options_(options) {}

  // Whether somebody at `peer` ("ipv4:192.0.2.7:40112", as gRPC writes it) may try a secret.
  // RESOURCE_EXHAUSTED, with google.rpc.RetryInfo, if too many were wrong.
  absl::Status Check(std::string_view peer);
  // It was wrong.
  void Count(std::string_view peer);

 private:
  struct Bucket {
    // As they were at `at_ms`.
    double tokens;
    int64_t at_ms;
    std::list<std::string>::iterator age;
  };

  // Tokens of the bucket now. With mutex_ held.
  double Fill(const Bucket& bucket) const;

  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::unordered_map<std::string, Bucket> buckets_;
  // Keys of buckets_, those that failed longest ago first.
  std::list<std::string> ages_;
};

// What an address is counted as: of IPv4 the address, of IPv6 the first 64 bits, which is what one
// customer has at least; both without the port.
std::string AddressOfPeer(std::string_view peer);

}  // namespace beamline::auth
