// Certificates that live for minutes, on a clock that the test moves.
#include "worker/renewal.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "auth/certificate_authority.h"
#include "base/file.h"
#include "tests/worker/manual_strand.h"

namespace beamline::worker {
namespace {

constexpr absl::Duration kLife = absl::Minutes(30);

// A server that signs, or fails as it is told to.
class Signer : public CertificateLink {
 public:
  explicit Signer(const auth::CertificateAuthority& authority) : authority_(authority) {}

  void RenewCertificate(const v1::RenewCertificateRequest& request,
                        Done<v1::RenewCertificateResponse> done) override {
    requests.push_back(request.certificate_request());
    if (!failure.ok()) return done(failure);
    v1::RenewCertificateResponse response;
    response.set_certificate(
        *authority_.SignWorkerRequest(request.certificate_request(), "workers/w"));
    response.set_certificate_authority(authority_.root_certificate());
    done(response);
  }

  std::vector<std::string> requests;
  absl::Status failure;

 private:
  const auth::CertificateAuthority& authority_;
};

class RenewalTest : public testing::Test {
 protected:
  void Start() {
    const auto made = MakeKeyAndRequest("worker");
    certificate_ = *authority_.SignWorkerRequest(made->request_pem, "workers/w");
    key_ = made->key_pem;
    renewal_.Start(*ValidityOf(certificate_));
    strand_.Settle();
  }
  // In steps, as time goes by.
  void Pass(absl::Duration duration) {
    for (; duration > absl::ZeroDuration(); duration -= absl::Seconds(10)) {
      clock_.AdvanceMillis(10'000);
      strand_.Advance(10'000);
    }
  }
  bool Good() { return ValidityOf(certificate_)->end > clock_.Now(); }

  TemporaryDirectory folder_;
  FakeClock clock_;
  SystemRandom random_;
  auth::CertificateAuthority authority_ =
      *auth::CertificateAuthority::Open(folder_.path(), {}, clock_, random_, kLife);
  ManualStrand strand_;
  Signer signer_{authority_};
  std::string key_;
  std::string certificate_;
  absl::Status disk_;
  int adopted_ = 0;
  std::vector<absl::Status> given_up_;
  CertificateRenewal renewal_{
      strand_, clock_, signer_,
      [this](const std::string& key, const v1::RenewCertificateResponse& response) {
        if (!disk_.ok()) return disk_;
        EXPECT_NE(key, key_) << "a new key each time";
        key_ = key;
        certificate_ = response.certificate();
        ++adopted_;
        return absl::OkStatus();
      },
      [this](absl::Status why) { given_up_.push_back(std::move(why)); }};
};

TEST_F(RenewalTest, RenewsAtTwoThirdsOfTheLife) {
  Start();
  Pass(absl::Minutes(19));
  EXPECT_TRUE(signer_.requests.empty());
  Pass(absl::Minutes(2));
  EXPECT_EQ(adopted_, 1);
  Pass(absl::Minutes(18));
  EXPECT_EQ(adopted_, 1);
  Pass(absl::Minutes(3));
  EXPECT_EQ(adopted_, 2);
}

TEST_F(RenewalTest, NeverRunsOut) {
  Start();
  for (int hour = 0; hour < 24; ++hour) {
    Pass(absl::Hours(1));
    ASSERT_TRUE(Good());
  }
  EXPECT_GE(adopted_, 60);
  EXPECT_LE(adopted_, 75);
}

TEST_F(RenewalTest, TriesAgainUntilItSucceeds) {
  Start();
  signer_.failure = absl::UnavailableError("away");
  Pass(absl::Minutes(25));
  EXPECT_GE(signer_.requests.size(), 4u);
  EXPECT_LE(signer_.requests.size(), 7u) << "in peace";
  EXPECT_EQ(adopted_, 0);
  signer_.failure = absl::OkStatus();
  Pass(absl::Minutes(2));
  EXPECT_EQ(adopted_, 1);
  EXPECT_TRUE(Good());
}

TEST_F(RenewalTest, WhatCannotBeKeptIsNotUsed) {
  Start();
  const std::string before = certificate_;
  disk_ = absl::ResourceExhaustedError("the disk is full");
  Pass(absl::Minutes(24));
  EXPECT_EQ(certificate_, before);
  disk_ = absl::OkStatus();
  Pass(absl::Minutes(2));
  EXPECT_EQ(adopted_, 1);
  EXPECT_TRUE(Good());
}

TEST_F(RenewalTest, GivesUpWhenTheCertificateHasEnded) {
  Start();
  signer_.failure = absl::UnavailableError("away");
  Pass(absl::Minutes(29));
  EXPECT_TRUE(given_up_.empty());
  Pass(absl::Minutes(2));
  ASSERT_EQ(given_up_.size(), 1u);
  EXPECT_TRUE(absl::IsFailedPrecondition(given_up_[0]));
  EXPECT_NE(given_up_[0].message().find("away): remove the folder tls"), absl::string_view::npos);
  EXPECT_NE(given_up_[0].message().find("let it join again"), absl::string_view::npos);
  const size_t asked = signer_.requests.size();
  Pass(absl::Hours(3));
  EXPECT_EQ(given_up_.size(), 1u);
  EXPECT_EQ(signer_.requests.size(), asked);
}

// The server may look at another clock: it is asked once more.
TEST_F(RenewalTest, DoesNotGiveUpUnasked) {
  Start();
  clock_.AdvanceMillis(31 * 60'000);
  strand_.Advance(21 * 60'000);
  EXPECT_EQ(adopted_, 1);
  EXPECT_TRUE(given_up_.empty());
}

// A machine that slept, or whose clock was set.
TEST_F(RenewalTest, LooksAtTheWallClock) {
  Start();
  clock_.AdvanceMillis(25 * 60'000);
  strand_.Advance(21 * 60'000);
  EXPECT_EQ(adopted_, 1);
}

}  // namespace
}  // namespace beamline::worker
