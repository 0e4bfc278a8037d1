#include "auth/issuer_rules.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/strings.h"

namespace beamline::auth {
namespace {

constexpr size_t kMaxIssuerName = 20;
constexpr std::string_view kHttps = "https://";
// Between issuer and subject. Neither issuers' names nor what stands for subjects blurs it.
constexpr std::string_view kBetween = "--";
constexpr std::string_view kHashed = "h-";
constexpr size_t kHashDigits = 32;

// Collects what is wrong at a place.
class Faults {
 public:
  explicit Faults(std::vector<std::string>& list) : list_(list) {}
  void At(std::string place) { place_ = std::move(place); }
  // Of the field at the place; empty: of the place itself.
  void Unless(bool right, std::string_view field, std::string_view remedy) {
    if (right) return;
    const char* const dot = place_.empty() || field.empty() ? "" : ".";
    list_.push_back(absl::StrCat(place_, dot, A(field), ": ", A(remedy)));
  }

 private:
  std::vector<std::string>& list_;
  std::string place_;
};

void CheckRule(const v1::IssuerRule& rule, Faults& faults) {
  faults.Unless(!rule.subject().empty() || !rule.claim().empty() || !rule.scope().empty(), "",
                "says nothing of whom it is for: set subject, claim or scope");
  faults.Unless(rule.claim().empty() == rule.value().empty(), "value",
                "claim and value go together: the claim of that name is the value, or has it");
  faults.Unless(rule.scope().find(' ') == std::string::npos, "scope",
                "blanks separate the scopes of a token: name one scope, and make a rule for each");
  faults.Unless(rule.operator_() != (rule.role() != v1::ROLE_UNSPECIFIED), "role",
                "set either a role (viewer, editor, admin) or operator: true");
  faults.Unless(!rule.operator_() || rule.projects().empty(), "projects",
                "rights of operators are for all projects: leave projects out");
  faults.Unless(rule.operator_() || !rule.projects().empty() || !rule.scope().empty(), "projects",
                "name the projects in which it gives the role");
  for (const std::string& project : rule.projects()) {
    faults.Unless(CheckUserId(project).ok(), "projects",
                  absl::StrCat("\"", project, "\" is no id of a project"));
  }
}

// Whether `scope` of a token is `wanted`, and for which path; empty: for all.
bool IsScope(std::string_view scope, std::string_view wanted, std::string_view* path) {
  if (!scope.starts_with(wanted)) return false;
  scope.remove_prefix(wanted.size());
  *path = {};
  if (scope.empty() || scope == ":/") return true;
  if (!scope.starts_with(":/")) return false;
  *path = scope.substr(2);
  return true;
}

std::vector<std::string> ScopesOf(const Claims& claims) {
  return absl::StrSplit(A(claims.Text("scope")), ' ', absl::SkipEmpty());
}

// Projects in which the rule gives its role to a token with these scopes.
std::set<std::string> ProjectsByScope(const v1::IssuerRule& rule,
                                      const std::vector<std::string>& scopes) {
  const std::set<std::string> named(rule.projects().begin(), rule.projects().end());
  std::set<std::string> given;
  for (const std::string& scope : scopes) {
    std::string_view path;
    if (!IsScope(scope, rule.scope(), &path)) continue;
    if (path.empty()) {
      given.insert(named.begin(), named.end());
    } else if (named.empty() ? CheckUserId(path).ok() : named.contains(std::string(path))) {
      given.insert(std::string(path));
    }
  }
  return given;
}

bool IsFor(const v1::IssuerRule& rule, const Claims& claims) {
  return (rule.subject().empty() || claims.Text("sub") == rule.subject()) &&
         (rule.claim().empty() || claims.Has(rule.claim(), rule.value()));
}

bool HasWholeScope(const std::vector<std::string>& scopes, std::string_view wanted) {
  return std::any_of(scopes.begin(), scopes.end(), [&](const std::string& scope) {
    std::string_view path;
    return IsScope(scope, wanted, &path) && path.empty();
  });
}

}  // namespace

std::vector<std::string> CheckIssuers(const v1::Issuers& issuers) {
  std::vector<std::string> list;
  Faults faults(list);
  faults.Unless(!issuers.issuers().empty(), "issuers", "name at least one");
  std::set<std::string> names;
  std::set<std::string> urls;
  for (int i = 0; i < issuers.issuers_size(); ++i) {
    const v1::Issuer& issuer = issuers.issuers(i);
    const std::string place = absl::StrCat("issuers.", i);
    faults.At(place);
    faults.Unless(
        CheckUserId(issuer.name()).ok() && issuer.name().size() <= kMaxIssuerName &&
            issuer.name().find(kBetween) == std::string::npos,
        "name",
        "must be 1 to 20 characters of [a-z0-9-], with a letter or digit at both ends and "
        "without \"--\"");
    faults.Unless(names.insert(issuer.name()).second, "name", "is that of another issuer");
    faults.Unless(issuer.url().starts_with(kHttps), "url",
                  "must be the claim \"iss\" of its tokens, which begins with https://");
    faults.Unless(urls.insert(issuer.url()).second, "url", "is that of another issuer");
    faults.Unless(!issuer.audiences().empty(), "audiences",
                  "name what the claim \"aud\" of tokens for this server has");
    faults.Unless(std::find(issuer.audiences().begin(), issuer.audiences().end(), "") ==
                      issuer.audiences().end(),
                  "audiences", "must not have an empty one");
    faults.Unless(issuer.keys_file().empty() || issuer.keys_url().empty(), "keys_url",
                  "keys are in a file or at a URL: set one of them");
    faults.Unless(issuer.keys_url().empty() || issuer.keys_url().starts_with(kHttps), "keys_url",
                  "must begin with https://");
    for (int j = 0; j < issuer.rules_size(); ++j) {
      faults.At(absl::StrCat(place, ".rules.", j));
      CheckRule(issuer.rules(j), faults);
    }
  }
  return list;
}

Grants GrantsFor(const v1::Issuer& issuer, const Claims& claims) {
  const std::vector<std::string> scopes = ScopesOf(claims);
  Grants grants;
  for (const v1::IssuerRule& rule : issuer.rules()) {
    if (!IsFor(rule, claims)) continue;
    if (rule.operator_()) {
      if (rule.scope().empty() || HasWholeScope(scopes, rule.scope())) grants.is_operator = true;
      continue;
    }
    const std::set<std::string> projects =
        rule.scope().empty() ? std::set<std::string>(rule.projects().begin(), rule.projects().end())
                             : ProjectsByScope(rule, scopes);
    for (const std::string& project : projects) {
      v1::Role& role = grants.roles[project];
      role = std::max(role, rule.role());
    }
  }
  return grants;
}

std::string PrincipalName(std::string_view issuer_name, std::string_view subject) {
  const std::string plain = absl::StrCat(A(issuer_name), A(kBetween), A(subject));
  const bool looks_hashed =
      subject.starts_with(kHashed) && subject.size() == kHashed.size() + kHashDigits;
  if (CheckUserId(plain).ok() && !looks_hashed) return absl::StrCat("users/", plain);
  return absl::StrCat("users/", A(issuer_name), A(kBetween), A(kHashed),
                      Sha256Hex(subject).substr(0, kHashDigits));
}

}  // namespace beamline::auth
