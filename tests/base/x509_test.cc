#include "base/x509.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "base/openssl_ptr.h"

namespace beamline {
namespace {

TEST(X509, RequestIsSignedWithItsKey) {
  const absl::StatusOr<KeyAndRequest> made = MakeKeyAndRequest("worker-1");
  ASSERT_TRUE(made.ok()) << made.status();
  const openssl::BioPtr key_bio(BIO_new_mem_buf(made->key_pem.data(), -1));
  const openssl::KeyPtr key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  ASSERT_NE(key, nullptr);
  const openssl::BioPtr bio(BIO_new_mem_buf(made->request_pem.data(), -1));
  const openssl::RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(X509_REQ_verify(request.get(), key.get()), 1);
  char name[80];
  X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request.get()), NID_commonName, name,
                            sizeof name);
  EXPECT_STREQ(name, "worker-1");
}

TEST(X509, TwoKeysDiffer) {
  EXPECT_NE(MakeKeyAndRequest("a")->key_pem, MakeKeyAndRequest("a")->key_pem);
}

TEST(X509, RefusesNamesThatDoNotFit) {
  EXPECT_EQ(MakeKeyAndRequest("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeKeyAndRequest(std::string(65, 'a')).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace beamline
