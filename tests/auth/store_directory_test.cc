#include "auth/store_directory.h"

#include <gtest/gtest.h>

#include "auth/authenticator.h"
#include "auth/secret.h"
#include "base/file.h"
#include "store/identity.h"
#include "store/workers.h"

namespace beamline::auth {
namespace {

class StoreDirectoryTest : public testing::Test {
 protected:
  StoreDirectoryTest() : store_(*store::Store::Open(folder_.path() + "/db")) {
    v1::Project project;
    project.set_name("projects/p");
    store::StoredWorker worker;
    worker.id = "w1";
    worker.join_time = clock_.Now();
    Write([&](store::Writer& writer) {
      EXPECT_TRUE(store::InsertUser(writer, "ada", true, clock_.Now()).ok());
      EXPECT_TRUE(store::InsertProject(writer, project, clock_.Now()).ok());
      EXPECT_TRUE(store::PutMember(writer, "p", "ada", v1::ROLE_EDITOR).ok());
      EXPECT_TRUE(store::InsertWorker(writer, worker).ok());
      store::StoredToken token;
      token.id = made_.id;
      token.user = "ada";
      token.secret_hash = made_.hash;
      token.create_time = clock_.Now();
      EXPECT_TRUE(store::InsertToken(writer, token).ok());
    });
  }

  void Write(absl::FunctionRef<void(store::Writer&)> command) {
    store::Writer& writer = store_->writer();
    ASSERT_TRUE(writer.BeginBatch().ok());
    ASSERT_TRUE(writer
                    .RunCommand([&] {
                      command(writer);
                      return absl::OkStatus();
                    })
                    .ok());
    ASSERT_TRUE(writer.Commit().ok());
  }

  const TemporaryDirectory folder_;
  FakeClock clock_;
  SystemRandom random_;
  const NewSecret made_ = MakeSecret(SecretKind::kToken, random_);
  std::unique_ptr<store::Store> store_;
  StoreDirectory directory_{*store_};
  Authenticator authenticator_{directory_, clock_};
};

TEST_F(StoreDirectoryTest, StoredTokenOpensTheDoor) {
  const absl::StatusOr<Principal> who = authenticator_.Authenticate(made_.text, "");
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->name, "users/ada");
  EXPECT_TRUE(who->is_operator);
  EXPECT_EQ(who->roles.at("p"), v1::ROLE_EDITOR);
  EXPECT_EQ(
      authenticator_.Authenticate(MakeSecret(SecretKind::kToken, random_).text, "").status().code(),
      absl::StatusCode::kUnauthenticated);
}

TEST_F(StoreDirectoryTest, RevokedTokenDoesNot) {
  ASSERT_TRUE(authenticator_.Authenticate(made_.text, "").ok());
  Write([&](store::Writer& writer) { EXPECT_TRUE(store::RevokeToken(writer, made_.id).ok()); });
  authenticator_.Forget();
  EXPECT_EQ(authenticator_.Authenticate(made_.text, "").status().message(),
            "token was revoked: log in again");
}

TEST_F(StoreDirectoryTest, KnowsWhoHasJoined) {
  EXPECT_TRUE(
      authenticator_.AuthenticateWorker("beamline:workers/w1", absl::InfiniteFuture(), "").ok());
  EXPECT_FALSE(
      authenticator_.AuthenticateWorker("beamline:workers/w2", absl::InfiniteFuture(), "").ok());
  EXPECT_FALSE(directory_.FindUser("users/nobody")->has_value());
}

}  // namespace
}  // namespace beamline::auth
