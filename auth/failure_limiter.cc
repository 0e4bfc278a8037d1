#include "auth/failure_limiter.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/digest.h"
#include "base/strings.h"
#include "google/rpc/error_details.pb.h"

namespace beamline::auth {

std::string AddressOfPeer(std::string_view peer) {
  constexpr std::string_view kIpv6 = "ipv6:";
  std::string address(peer.substr(0, peer.rfind(':')));
  if (!peer.starts_with(kIpv6)) return address;
  // "ipv6:[2001:db8::7]:40112", with the brackets escaped in newer versions of gRPC.
  address = absl::StrReplaceAll(address.substr(kIpv6.size()),
                                {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
  unsigned char bytes[16];
  if (inet_pton(AF_INET6, address.c_str(), bytes) != 1) return address;
  return absl::StrCat("ipv6:", HexEncode({reinterpret_cast<const char*>(bytes), 8}));
}

double FailureLimiter::Fill(const Bucket& bucket) const {
  const auto passed_ms = static_cast<double>(clock_.MonotonicMillis() - bucket.at_ms);
  return std::min(options_.burst,
                  bucket.tokens + passed_ms / static_cast<double>(options_.refill_ms));
}

absl::Status FailureLimiter::Check(std::string_view peer) {
  double tokens = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = buckets_.find(AddressOfPeer(peer));
    if (found == buckets_.end()) return absl::OkStatus();
    tokens = Fill(found->second);
  }
  if (tokens >= 1) return absl::OkStatus();
  const double wait_ms = (1 - tokens) * static_cast<double>(options_.refill_ms);
  google::rpc::RetryInfo details;
  details.mutable_retry_delay()->set_seconds(static_cast<int64_t>(std::ceil(wait_ms / 1000)));
  absl::Status status = absl::ResourceExhaustedError(
      "too many wrong tokens came from your address: wait a little, and log in again");
  status.SetPayload("type.googleapis.com/google.rpc.RetryInfo",
                    absl::Cord(details.SerializeAsString()));
  return status;
}

void FailureLimiter::Count(std::string_view peer) {
  const std::string address = AddressOfPeer(peer);
  const std::lock_guard lock(mutex_);
  const auto found = buckets_.find(address);
  if (found != buckets_.end()) {
    Bucket& bucket = found->second;
    bucket.tokens = std::max(0.0, Fill(bucket) - 1);
    bucket.at_ms = clock_.MonotonicMillis();
    ages_.splice(ages_.end(), ages_, bucket.age);
    return;
  }
  if (options_.max_addresses == 0) return;
  if (buckets_.size() >= options_.max_addresses) {
    buckets_.erase(ages_.front());
    ages_.pop_front();
  }
  ages_.push_back(address);
  buckets_.emplace(address,
                   Bucket{options_.burst - 1, clock_.MonotonicMillis(), std::prev(ages_.end())});
}

}  // namespace beamline::auth
