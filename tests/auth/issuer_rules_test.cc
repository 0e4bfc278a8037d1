#include "auth/issuer_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace beamline::auth {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

Claims ClaimsOf(const std::string& subject, const std::string& scope = "",
                const std::vector<std::string>& groups = {}) {
  Claims claims;
  claims.texts["sub"] = {subject};
  if (!scope.empty()) claims.texts["scope"] = {scope};
  if (!groups.empty()) claims.texts["wlcg.groups"] = groups;
  return claims;
}

class IssuerRulesTest : public testing::Test {
 protected:
  IssuerRulesTest() {
    issuer_.set_name("cern");
    issuer_.set_url("https://auth.cern.ch");
    issuer_.add_audiences("beamline");
  }
  v1::IssuerRule& Rule(v1::Role role, const std::vector<std::string>& projects) {
    v1::IssuerRule& rule = *issuer_.add_rules();
    rule.set_role(role);
    for (const std::string& project : projects) rule.add_projects(project);
    return rule;
  }
  Roles RolesOf(const Claims& claims) const { return GrantsFor(issuer_, claims).roles; }
  // What is wrong, in one text.
  std::string Faults() const {
    v1::Issuers issuers;
    *issuers.add_issuers() = issuer_;
    std::string all;
    for (const std::string& fault : CheckIssuers(issuers)) all += fault + "\n";
    return all;
  }

  v1::Issuer issuer_;
};

TEST_F(IssuerRulesTest, WithoutARuleThatFitsThereIsNothing) {
  EXPECT_FALSE(GrantsFor(issuer_, ClaimsOf("ada")).any());
  Rule(v1::ROLE_EDITOR, {"optics"}).set_subject("ada");
  EXPECT_FALSE(GrantsFor(issuer_, ClaimsOf("bob")).any());
  EXPECT_FALSE(GrantsFor(issuer_, ClaimsOf("ad")).any());
  EXPECT_FALSE(GrantsFor(issuer_, Claims()).any());
  EXPECT_THAT(RolesOf(ClaimsOf("ada")), ElementsAre(Pair("optics", v1::ROLE_EDITOR)));
}

TEST_F(IssuerRulesTest, GroupsFitToTheLetter) {
  v1::IssuerRule& rule = Rule(v1::ROLE_VIEWER, {"optics", "tracks"});
  rule.set_claim("wlcg.groups");
  rule.set_value("/cms/uscms");
  EXPECT_THAT(RolesOf(ClaimsOf("ada", "", {"/cms", "/cms/uscms"})),
              ElementsAre(Pair("optics", v1::ROLE_VIEWER), Pair("tracks", v1::ROLE_VIEWER)));
  EXPECT_THAT(RolesOf(ClaimsOf("ada", "", {"/cms", "/cms/uscms/x"})), IsEmpty());
  EXPECT_THAT(RolesOf(ClaimsOf("ada", "/cms/uscms")), IsEmpty());
}

TEST_F(IssuerRulesTest, AllConditionsOfARuleMustFit) {
  v1::IssuerRule& rule = Rule(v1::ROLE_EDITOR, {"optics"});
  rule.set_subject("ada");
  rule.set_claim("wlcg.groups");
  rule.set_value("a");
  rule.set_scope("beamline.edit");
  EXPECT_THAT(RolesOf(ClaimsOf("ada", "beamline.edit", {"a"})), testing::SizeIs(1));
  EXPECT_THAT(RolesOf(ClaimsOf("bob", "beamline.edit", {"a"})), IsEmpty());
  EXPECT_THAT(RolesOf(ClaimsOf("ada", "beamline.view", {"a"})), IsEmpty());
  EXPECT_THAT(RolesOf(ClaimsOf("ada", "beamline.edit", {"b"})), IsEmpty());
}

TEST_F(IssuerRulesTest, OfSeveralRolesTheHighestCounts) {
  Rule(v1::ROLE_ADMIN, {"optics"}).set_subject("ada");
  Rule(v1::ROLE_VIEWER, {"optics", "tracks"}).set_subject("ada");
  EXPECT_THAT(RolesOf(ClaimsOf("ada")),
              ElementsAre(Pair("optics", v1::ROLE_ADMIN), Pair("tracks", v1::ROLE_VIEWER)));
}

TEST_F(IssuerRulesTest, ScopesNameProjectsByPath) {
  Rule(v1::ROLE_EDITOR, {}).set_scope("beamline.edit");
  EXPECT_THAT(RolesOf(ClaimsOf("ada", "openid beamline.edit:/optics  beamline.edit:/tracks")),
              ElementsAre(Pair("optics", v1::ROLE_EDITOR), Pair("tracks", v1::ROLE_EDITOR)));
  for (const char* const none :
       {"beamline.edit", "beamline.edit:/", "beamline.edit:optics", "beamline.edit:/optics/sub",
        "beamline.edit:/Optics", "beamline.edit:/../x", "beamline.editor:/optics",
        "xbeamline.edit:/optics", "beamline.view:/optics", "beamline.edit:/optics/"}) {
    EXPECT_THAT(RolesOf(ClaimsOf("ada", none)), IsEmpty()) << none;
  }
}

TEST_F(IssuerRulesTest, ScopesGiveNothingBeyondTheProjectsOfTheRule) {
  Rule(v1::ROLE_EDITOR, {"optics", "tracks"}).set_scope("beamline.edit");
  EXPECT_THAT(RolesOf(ClaimsOf("ada", "beamline.edit:/optics beamline.edit:/other")),
              ElementsAre(Pair("optics", v1::ROLE_EDITOR)));
  for (const char* const all : {"beamline.edit", "beamline.edit:/"}) {
    EXPECT_THAT(RolesOf(ClaimsOf("ada", all)), testing::SizeIs(2)) << all;
  }
}

TEST_F(IssuerRulesTest, OperatorsAreMadeByARuleThatSaysSo) {
  v1::IssuerRule& rule = *issuer_.add_rules();
  rule.set_operator_(true);
  rule.set_scope("beamline.operate");
  EXPECT_TRUE(GrantsFor(issuer_, ClaimsOf("ada", "beamline.operate:/")).is_operator);
  EXPECT_TRUE(GrantsFor(issuer_, ClaimsOf("ada", "beamline.operate")).is_operator);
  EXPECT_FALSE(GrantsFor(issuer_, ClaimsOf("ada", "beamline.operate:/optics")).any());
  EXPECT_FALSE(GrantsFor(issuer_, ClaimsOf("ada")).any());
}

TEST(PrincipalName, IsDifferentForEachIssuerAndSubject) {
  EXPECT_EQ(PrincipalName("cern", "ada"), "users/cern--ada");
  const std::vector<std::string> subjects = {"ada",
                                             "Ada",
                                             "ada ",
                                             "",
                                             "-",
                                             "a--b",
                                             "-ada",
                                             "ada-",
                                             "ada@cern.ch",
                                             "../ada",
                                             "a/b",
                                             std::string(60, 'a'),
                                             std::string(255, 'a'),
                                             "248289761001",
                                             "auth0|5f7c8ec7"};
  std::set<std::string> names;
  for (const std::string& subject : subjects) {
    for (const char* const issuer : {"cern", "a", "cern-a"}) {
      const std::string name = PrincipalName(issuer, subject);
      EXPECT_TRUE(names.insert(name).second) << name;
      EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-", 6), name.npos);
      EXPECT_LE(name.size(), 69u) << name;
      // Who is called what another one's name is made to.
      const std::string posing = name.substr(name.find("--") + 2);
      EXPECT_EQ(PrincipalName(issuer, posing) == name, posing == subject) << name;
    }
  }
}

TEST_F(IssuerRulesTest, WhatIsWrongIsSaidWhereItIs) {
  Rule(v1::ROLE_VIEWER, {"optics"}).set_subject("ada");
  EXPECT_EQ(Faults(), "");
  const v1::Issuer good = issuer_;
  const auto faults_with = [&](const auto& change) {
    issuer_ = good;
    change(issuer_, *issuer_.mutable_rules(0));
    return Faults();
  };
  EXPECT_THAT(faults_with([](auto& i, auto&) { i.set_name("a--b"); }),
              HasSubstr("issuers.0.name: must be"));
  EXPECT_THAT(faults_with([](auto& i, auto&) { i.set_name("cern-"); }),
              HasSubstr("letter or digit at both ends"));
  EXPECT_THAT(faults_with([](auto& i, auto&) { i.set_name("Cern"); }), HasSubstr("0.name"));
  EXPECT_THAT(faults_with([](auto& i, auto&) { i.set_name(""); }), HasSubstr("0.name"));
  EXPECT_THAT(faults_with([](auto& i, auto&) { i.set_url("http://x"); }), HasSubstr("0.url"));
  EXPECT_THAT(faults_with([](auto& i, auto&) { i.clear_audiences(); }), HasSubstr("0.audiences"));
  EXPECT_THAT(faults_with([](auto& i, auto&) { i.add_audiences(""); }), HasSubstr("0.audiences"));
  EXPECT_THAT(faults_with([](auto& i, auto&) { i.set_keys_url("http://x"); }),
              HasSubstr("0.keys_url"));
  EXPECT_THAT(faults_with([](auto& i, auto&) {
                i.set_keys_url("https://x");
                i.set_keys_file("/x");
              }),
              HasSubstr("set one of them"));
  EXPECT_THAT(faults_with([](auto&, auto& r) { r.clear_subject(); }),
              HasSubstr("issuers.0.rules.0: says nothing of whom it is for"));
  EXPECT_THAT(faults_with([](auto&, auto& r) { r.set_scope("beamline.edit beamline.view"); }),
              HasSubstr("rules.0.scope: blanks"));
  EXPECT_THAT(faults_with([](auto&, auto& r) { r.set_claim("groups"); }),
              HasSubstr("rules.0.value"));
  EXPECT_THAT(faults_with([](auto&, auto& r) { r.set_value("x"); }), HasSubstr("rules.0.value"));
  EXPECT_THAT(faults_with([](auto&, auto& r) { r.clear_role(); }), HasSubstr("rules.0.role"));
  EXPECT_THAT(faults_with([](auto&, auto& r) { r.set_operator_(true); }),
              HasSubstr("rules.0.role"));
  EXPECT_THAT(faults_with([](auto&, auto& r) { r.clear_projects(); }),
              HasSubstr("rules.0.projects"));
  EXPECT_THAT(faults_with([](auto&, auto& r) { r.add_projects("../x"); }),
              HasSubstr("no id of a project"));
  EXPECT_FALSE(CheckIssuers(v1::Issuers()).empty());
  v1::Issuers twice;
  *twice.add_issuers() = good;
  *twice.add_issuers() = good;
  EXPECT_EQ(CheckIssuers(twice).size(), 2u) << "name and url";
}

}  // namespace
}  // namespace beamline::auth
