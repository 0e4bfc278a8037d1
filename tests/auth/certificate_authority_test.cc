#include "auth/certificate_authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include <filesystem>

#include "auth/certificate.h"
#include "base/file.h"
#include "base/x509.h"

namespace beamline::auth {
namespace {

using absl::StatusCode;
using StorePtr = std::unique_ptr<X509_STORE, openssl::Free<X509_STORE_free>>;
using ContextPtr = std::unique_ptr<X509_STORE_CTX, openssl::Free<X509_STORE_CTX_free>>;

// What OpenSSL, with `root` as its only trust, says of `certificate` for `purpose` at `time`.
bool Verifies(const std::string& root, const std::string& certificate, int purpose,
              absl::Time time) {
  const openssl::CertificatePtr trusted = ParseCertificate(root);
  const openssl::CertificatePtr leaf = ParseCertificate(certificate);
  if (trusted == nullptr || leaf == nullptr) return false;
  const StorePtr store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), trusted.get());
  const ContextPtr context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr);
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context.get()), absl::ToTimeT(time));
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context.get()), X509_V_FLAG_X509_STRICT);
  const bool good = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  return good;
}

// Flips one bit in the middle of the base64 text, or of the last quarter for the signature.
std::string Tampered(std::string pem, size_t at) {
  pem[at] = pem[at] == 'A' ? 'B' : 'A';
  return pem;
}

class CertificateAuthorityTest : public testing::Test {
 protected:
  absl::StatusOr<CertificateAuthority> Open(const std::vector<std::string>& names = {}) {
    return CertificateAuthority::Open(folder(), names, clock_, random_);
  }
  std::string folder() const { return root_.path() + "/tls"; }
  std::string File(const std::string& name) { return *ReadFile(folder() + "/" + name); }

  const TemporaryDirectory root_;
  FakeClock clock_;
  SystemRandom random_;
};

TEST_F(CertificateAuthorityTest, ServerCertificateVerifiesForItsNames) {
  const absl::StatusOr<CertificateAuthority> authority = Open({"beam.example.org", "10.1.2.3"});
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_TRUE(Verifies(authority->root_certificate(), authority->server_certificate(),
                       X509_PURPOSE_SSL_SERVER, clock_.Now()));
  EXPECT_FALSE(Verifies(authority->root_certificate(), authority->server_certificate(),
                        X509_PURPOSE_SSL_CLIENT, clock_.Now()));
  const openssl::CertificatePtr server = ParseCertificate(authority->server_certificate());
  for (const char* name : {"localhost", "127.0.0.1", "::1", "beam.example.org", "10.1.2.3"}) {
    EXPECT_TRUE(Covers(server.get(), name)) << name;
  }
  EXPECT_FALSE(Covers(server.get(), "example.org"));
  EXPECT_FALSE(Covers(server.get(), "10.1.2.4"));
}

TEST_F(CertificateAuthorityTest, KeysAreForTheOwnerOnly) {
  ASSERT_TRUE(Open().ok());
  for (const char* name : {"ca.key", "server.pem"}) {
    struct stat info;
    ASSERT_EQ(stat((folder() + "/" + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
  EXPECT_EQ(File("ca.pem").find("PRIVATE"), std::string::npos);
}

TEST_F(CertificateAuthorityTest, OpeningAgainChangesNothing) {
  const absl::StatusOr<CertificateAuthority> first = Open({"a.example"});
  ASSERT_TRUE(first.ok());
  const absl::StatusOr<CertificateAuthority> second = Open({"a.example"});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(first->root_certificate(), second->root_certificate());
  EXPECT_EQ(first->server_certificate(), second->server_certificate());
  EXPECT_EQ(first->server_key(), second->server_key());
}

TEST_F(CertificateAuthorityTest, ServerCertificateIsRenewedBeforeItEndsOrForANewName) {
  const absl::StatusOr<CertificateAuthority> first = Open();
  const absl::StatusOr<CertificateAuthority> named = Open({"new.example"});
  EXPECT_NE(first->server_certificate(), named->server_certificate());
  EXPECT_EQ(first->root_certificate(), named->root_certificate());
  clock_.AdvanceMillis(absl::ToInt64Milliseconds(CertificateAuthority::kServerLifetime -
                                                 CertificateAuthority::kServerRenewal) +
                       1000);
  const absl::StatusOr<CertificateAuthority> later = Open({"new.example"});
  EXPECT_NE(later->server_certificate(), named->server_certificate());
  EXPECT_TRUE(Verifies(later->root_certificate(), later->server_certificate(),
                       X509_PURPOSE_SSL_SERVER, clock_.Now() + absl::Hours(24 * 300)));
}

TEST_F(CertificateAuthorityTest, StartThatWasCutShortIsMadeGood) {
  ASSERT_TRUE(Open().ok());
  const std::string key = File("ca.key");
  std::filesystem::remove(folder() + "/ca.pem");
  std::filesystem::remove(folder() + "/server.pem");
  const absl::StatusOr<CertificateAuthority> again = Open();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(File("ca.key"), key);
  EXPECT_TRUE(Verifies(again->root_certificate(), again->server_certificate(),
                       X509_PURPOSE_SSL_SERVER, clock_.Now()));
}

// As docs/security.md says: at no step is anybody refused who has what the step before gave out.
TEST_F(CertificateAuthorityTest, AnotherAuthorityTakesOverInThreeSteps) {
  const auto request = MakeKeyAndRequest("worker");
  const absl::StatusOr<CertificateAuthority> old = Open();
  const std::string old_root = File("ca.pem");
  const std::string old_worker = *old->SignWorkerRequest(request->request_pem, "workers/w");
  const auto other = CertificateAuthority::Open(root_.path() + "/other", {}, clock_, random_);
  const std::string new_root = other->root_certificate();
  // Both are handed out; the old one signs.
  ASSERT_TRUE(WriteFileAtomically(folder() + "/ca.pem", old_root + new_root).ok());
  const absl::StatusOr<CertificateAuthority> both = Open();
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(both->root_certificate(), old_root + new_root);
  EXPECT_EQ(both->server_certificate(), old->server_certificate());
  // The new one signs; who comes with the old one's is still known.
  ASSERT_TRUE(
      WriteFileAtomically(folder() + "/ca.key", *ReadFile(root_.path() + "/other/ca.key"), 0600)
          .ok());
  ASSERT_TRUE(WriteFileAtomically(folder() + "/ca.pem", new_root + old_root).ok());
  const absl::StatusOr<CertificateAuthority> turned = Open();
  ASSERT_TRUE(turned.ok()) << turned.status();
  EXPECT_TRUE(
      Verifies(new_root, turned->server_certificate(), X509_PURPOSE_SSL_SERVER, clock_.Now()));
  const std::string new_worker = *turned->SignWorkerRequest(request->request_pem, "workers/w");
  EXPECT_TRUE(Verifies(new_root, new_worker, X509_PURPOSE_SSL_CLIENT, clock_.Now()));
  EXPECT_TRUE(Verifies(old_root, old_worker, X509_PURPOSE_SSL_CLIENT, clock_.Now()));
  EXPECT_EQ(turned->root_certificate(), new_root + old_root);
  // The old one is gone.
  ASSERT_TRUE(WriteFileAtomically(folder() + "/ca.pem", new_root).ok());
  EXPECT_EQ(Open()->server_certificate(), turned->server_certificate());
}

TEST_F(CertificateAuthorityTest, WorkersCertificatesLiveAsLongAsAsked) {
  const auto request = MakeKeyAndRequest("worker");
  const auto authority =
      CertificateAuthority::Open(folder(), {}, clock_, random_, absl::Seconds(48));
  const auto validity =
      ValidityOf(*authority->SignWorkerRequest(request->request_pem, "workers/w"));
  ASSERT_TRUE(validity.ok()) << validity.status();
  EXPECT_EQ(validity->end, clock_.Now() + absl::Seconds(48));
  EXPECT_EQ(validity->begin, clock_.Now() - absl::Seconds(2));
  EXPECT_FALSE(ValidityOf("nonsense").ok());
}

TEST_F(CertificateAuthorityTest, DamagedServerFileIsMadeAnew) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(WriteFileAtomically(folder() + "/server.pem", "nonsense", 0600).ok());
  const absl::StatusOr<CertificateAuthority> again = Open();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(Verifies(again->root_certificate(), again->server_certificate(),
                       X509_PURPOSE_SSL_SERVER, clock_.Now()));
}

TEST_F(CertificateAuthorityTest, NeverReplacesARootThatItCannotUse) {
  ASSERT_TRUE(Open().ok());
  const std::string certificate = File("ca.pem");
  const std::string key = File("ca.key");
  std::filesystem::remove(folder() + "/ca.key");
  EXPECT_EQ(Open().status().code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(WriteFileAtomically(folder() + "/ca.key", MakeKeyAndRequest("x")->key_pem).ok());
  EXPECT_EQ(Open().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(File("ca.pem"), certificate);
  ASSERT_TRUE(WriteFileAtomically(folder() + "/ca.key", key, 0600).ok());
  EXPECT_TRUE(Open().ok());
  clock_.AdvanceMillis(absl::ToInt64Milliseconds(CertificateAuthority::kRootLifetime) + 1000);
  EXPECT_THAT(std::string(Open().status().message()), testing::HasSubstr("has expired"));
}

TEST_F(CertificateAuthorityTest, WorkerCertificateSaysWhoAndIsForClientsOnly) {
  const absl::StatusOr<CertificateAuthority> authority = Open();
  const std::string request = MakeKeyAndRequest("i am root, honestly")->request_pem;
  const absl::StatusOr<std::string> signed_pem =
      authority->SignWorkerRequest(request, "workers/w-1");
  ASSERT_TRUE(signed_pem.ok()) << signed_pem.status();
  const std::string& root = authority->root_certificate();
  EXPECT_TRUE(Verifies(root, *signed_pem, X509_PURPOSE_SSL_CLIENT, clock_.Now()));
  EXPECT_FALSE(Verifies(root, *signed_pem, X509_PURPOSE_SSL_SERVER, clock_.Now()));
  EXPECT_FALSE(Verifies(root, *signed_pem, X509_PURPOSE_SSL_CLIENT,
                        clock_.Now() + CertificateAuthority::kWorkerLifetime + absl::Hours(1)));
  EXPECT_FALSE(Verifies(root, *signed_pem, X509_PURPOSE_SSL_CLIENT, clock_.Now() - absl::Hours(2)));

  const openssl::CertificatePtr certificate = ParseCertificate(*signed_pem);
  char name[80];
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name,
                            sizeof name);
  EXPECT_STREQ(name, "w-1");
  auto* const names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr));
  ASSERT_NE(names, nullptr);
  ASSERT_EQ(sk_GENERAL_NAME_num(names), 1);
  const GENERAL_NAME* const only = sk_GENERAL_NAME_value(names, 0);
  ASSERT_EQ(only->type, GEN_URI);
  EXPECT_STREQ(
      reinterpret_cast<const char*>(ASN1_STRING_get0_data(only->d.uniformResourceIdentifier)),
      "beamline:workers/w-1");
  GENERAL_NAMES_free(names);
}

TEST_F(CertificateAuthorityTest, ForeignAndTamperedCertificatesDoNotVerify) {
  const absl::StatusOr<CertificateAuthority> authority = Open();
  const TemporaryDirectory elsewhere;
  const absl::StatusOr<CertificateAuthority> foreign =
      CertificateAuthority::Open(elsewhere.path(), {}, clock_, random_);
  const std::string request = MakeKeyAndRequest("w")->request_pem;
  const std::string good = *authority->SignWorkerRequest(request, "workers/w");
  const std::string& root = authority->root_certificate();
  ASSERT_TRUE(Verifies(root, good, X509_PURPOSE_SSL_CLIENT, clock_.Now()));
  EXPECT_FALSE(Verifies(root, *foreign->SignWorkerRequest(request, "workers/w"),
                        X509_PURPOSE_SSL_CLIENT, clock_.Now()));
  const size_t header = good.find('\n') + 1;
  const size_t footer = good.find("\n-----END");
  int tried = 0;
  for (size_t at = header; at < footer; at += 7) {
    if (good[at] == '\n') continue;
    // The last characters may carry unused bits of the base64 text.
    if (at + 4 >= footer) break;
    EXPECT_FALSE(Verifies(root, Tampered(good, at), X509_PURPOSE_SSL_CLIENT, clock_.Now())) << at;
    ++tried;
  }
  EXPECT_GT(tried, 50);
}

TEST_F(CertificateAuthorityTest, RefusesRequestsThatAreNone) {
  const absl::StatusOr<CertificateAuthority> authority = Open();
  const std::string good = MakeKeyAndRequest("w")->request_pem;
  // Within the signature, near the end of the text.
  const std::string forged = Tampered(good, good.find("\n-----END") - 20);
  for (const std::string& bad :
       {std::string(), std::string("nonsense"), good.substr(0, 200), forged,
        std::string(1 << 15, 'x'), authority->root_certificate()}) {
    EXPECT_EQ(authority->SignWorkerRequest(bad, "workers/w").status().code(),
              StatusCode::kInvalidArgument)
        << bad.substr(0, 60);
  }
}

TEST_F(CertificateAuthorityTest, RefusesNamesThatAreNoNames) {
  for (const char* bad : {"",
                          "b\xc3\xbc"
                          "cher",
                          "a.example,DNS:bank.example", "a b", "a/b"}) {
    const absl::Status status = Open({bad}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("host name"));
  }
}

}  // namespace
}  // namespace beamline::auth
