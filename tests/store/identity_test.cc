#include "store/identity.h"

#include "tests/store/fixture.h"

namespace beamline::store {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

class IdentityTest : public StoreTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Write([](Writer& writer) {
                  absl::Status status = InsertUser(writer, "ada", true, kNow);
                  status.Update(InsertUser(writer, "bob", false, kNow));
                  v1::Project project;
                  project.set_name("projects/optics");
                  status.Update(InsertProject(writer, project, kNow));
                  project.set_name("projects/acoustics");
                  status.Update(InsertProject(writer, project, kNow));
                  status.Update(PutMember(writer, "optics", "bob", v1::ROLE_EDITOR));
                  return status;
                }).ok());
  }
};

TEST_F(IdentityTest, AnIdentityHasItsRoles) {
  const auto bob = GetIdentity(Read(), "bob");
  ASSERT_TRUE(bob.ok()) << bob.status();
  EXPECT_EQ(bob->user.name(), "users/bob");
  EXPECT_FALSE(bob->user.operator_());
  ASSERT_EQ(bob->roles.size(), 1u);
  EXPECT_EQ(bob->roles.at("optics"), v1::ROLE_EDITOR);
  EXPECT_TRUE(GetIdentity(Read(), "ada")->user.operator_());
  EXPECT_TRUE(absl::IsNotFound(GetIdentity(Read(), "eve").status()));
}

TEST_F(IdentityTest, ProjectsAreListedByMemberInPages) {
  EXPECT_EQ(ListProjects(Read(), "", "", 10)->size(), 2u);
  EXPECT_EQ(ListProjects(Read(), "", "acoustics", 10)->front().name(), "projects/optics");
  EXPECT_EQ(ListProjects(Read(), "bob", "", 10)->size(), 1u);
  EXPECT_TRUE(ListProjects(Read(), "ada", "", 10)->empty());
}

TEST_F(IdentityTest, TokensKeepTheirTimesAndAreRevokedForGood) {
  const StoredToken token{.id = "t1",
                          .user = "bob",
                          .secret_hash = std::string("\0\1", 2),
                          .description = "laptop",
                          .create_time = kNow,
                          .expire_time = kNow + absl::Hours(1)};
  ASSERT_TRUE(Write([&](Writer& writer) { return InsertToken(writer, token); }).ok());
  auto stored = GetToken(Read(), "t1");
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->secret_hash, token.secret_hash);
  EXPECT_EQ(stored->expire_time, token.expire_time);
  EXPECT_EQ(stored->last_use_time, absl::InfinitePast());
  ASSERT_TRUE(Write([](Writer& writer) { return RevokeToken(writer, "t1"); }).ok());
  ASSERT_TRUE(Write([](Writer& writer) { return RevokeToken(writer, "t1"); }).ok());
  EXPECT_TRUE(GetToken(Read(), "t1")->revoked);
  EXPECT_TRUE(absl::IsNotFound(Write([](Writer& w) { return RevokeToken(w, "t2"); })));
  ASSERT_TRUE(Write([](Writer& writer) { return DeleteToken(writer, "t1"); }).ok());
  EXPECT_TRUE(absl::IsNotFound(GetToken(Read(), "t1").status()));
  EXPECT_TRUE(absl::IsNotFound(Write([](Writer& w) { return DeleteToken(w, "t1"); })));
}

TEST_F(IdentityTest, ATokenNeedsItsUser) {
  const StoredToken token{
      .id = "t1", .user = "eve", .secret_hash = "x", .description = "", .create_time = kNow};
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Write([&](Writer& writer) { return InsertToken(writer, token); })));
}

TEST_F(IdentityTest, AJoinTokenIsSpent) {
  const JoinToken token{.id = "j",
                        .secret_hash = "x",
                        .uses_left = 1,
                        .expire_time = kNow + absl::Hours(1),
                        .pool = "gpu"};
  ASSERT_TRUE(Write([&](Writer& writer) { return InsertJoinToken(writer, token); }).ok());
  EXPECT_EQ(GetJoinToken(Read(), "j")->pool, "gpu");
  const auto spend = [&](absl::Time now) {
    return Write([&](Writer& writer) { return SpendJoinToken(writer, "j", now); });
  };
  EXPECT_TRUE(absl::IsNotFound(spend(kNow + absl::Hours(2))));
  EXPECT_TRUE(spend(kNow).ok());
  EXPECT_TRUE(absl::IsNotFound(spend(kNow)));
}

}  // namespace
}  // namespace beamline::store
