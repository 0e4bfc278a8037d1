#include "auth/failure_limiter.h"

#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace beamline::auth {
namespace {

constexpr char kPeer[] = "ipv4:10.0.0.1:40000";

class FailureLimiterTest : public testing::Test {
 protected:
  // How many failures in a row the address is granted, at most `most`.
  int Granted(const std::string& peer, int most = 1000) {
    int granted = 0;
    while (granted < most && limiter_.Check(peer).ok()) {
      limiter_.Count(peer);
      ++granted;
    }
    return granted;
  }

  FakeClock clock_;
  FailureLimiter limiter_{clock_, {.burst = 5, .refill_ms = 2'000, .max_addresses = 3}};
};

TEST_F(FailureLimiterTest, ABurstIsGrantedAndThenOneNowAndThen) {
  EXPECT_EQ(Granted(kPeer), 5);
  clock_.AdvanceMillis(1'999);
  EXPECT_EQ(Granted(kPeer), 0);
  clock_.AdvanceMillis(1);
  EXPECT_EQ(Granted(kPeer), 1);
  clock_.AdvanceMillis(1'000'000);
  EXPECT_EQ(Granted(kPeer), 5) << "not more than the burst, however long it was quiet";
}

TEST_F(FailureLimiterTest, TheRefusalSaysWhenToTryAgain) {
  Granted(kPeer);
  clock_.AdvanceMillis(500);
  const absl::Status refused = limiter_.Check(kPeer);
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  google::rpc::RetryInfo retry;
  const auto payload = refused.GetPayload("type.googleapis.com/google.rpc.RetryInfo");
  ASSERT_TRUE(payload.has_value());
  ASSERT_TRUE(retry.ParseFromString(std::string(*payload)));
  EXPECT_EQ(retry.retry_delay().seconds(), 2);
  clock_.AdvanceMillis(1'500);
  EXPECT_TRUE(limiter_.Check(kPeer).ok());
}

TEST_F(FailureLimiterTest, AnotherPortIsTheSameAddressAndAnotherAddressIsNot) {
  Granted(kPeer);
  EXPECT_FALSE(limiter_.Check("ipv4:10.0.0.1:5").ok());
  EXPECT_TRUE(limiter_.Check("ipv4:10.0.0.2:40000").ok());
}

TEST_F(FailureLimiterTest, OfIpv6ANetworkIsOneAddress) {
  EXPECT_EQ(AddressOfPeer("ipv6:[2001:db8:1:2:aaaa::1]:443"),
            AddressOfPeer("ipv6:%5B2001:db8:1:2::7%5D:9"));
  EXPECT_NE(AddressOfPeer("ipv6:[2001:db8:1:2::1]:443"),
            AddressOfPeer("ipv6:[2001:db8:1:3::1]:443"));
  EXPECT_EQ(AddressOfPeer("ipv4:10.0.0.1:443"), "ipv4:10.0.0.1");
}

TEST_F(FailureLimiterTest, SuccessAlonePutsNothingIntoTheTable) {
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limiter_.Check(kPeer).ok());
}

TEST_F(FailureLimiterTest, TheTableIsBoundedAndForgetsWhoFailedLongestAgo) {
  Granted("ipv4:10.0.0.1:1");
  Granted("ipv4:10.0.0.2:1");
  Granted("ipv4:10.0.0.3:1");
  limiter_.Count("ipv4:10.0.0.1:1");
  Granted("ipv4:10.0.0.4:1");
  EXPECT_FALSE(limiter_.Check("ipv4:10.0.0.1:1").ok());
  EXPECT_TRUE(limiter_.Check("ipv4:10.0.0.2:1").ok()) << "forgotten";
  EXPECT_FALSE(limiter_.Check("ipv4:10.0.0.3:1").ok());
}

}  // namespace
}  // namespace beamline::auth
