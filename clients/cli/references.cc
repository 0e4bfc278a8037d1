#include "clients/cli/references.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "base/edit_distance.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "clients/cli/format.h"

namespace beamline::cli {
namespace {

constexpr int64_t kMostListed = 10'000;
constexpr size_t kShortestPrefix = 4;

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef-") == std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::string> ResolveDataset(Invocation& invocation, std::string_view text) {
  if (text.starts_with("projects/") || IsSha256Hex(text.substr(0, 64))) {
    return invocation.Name("datasets", text);
  }
  std::vector<v1::Dataset> matches;
  std::vector<std::string> known;
  v1::ListDatasetsRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  RETURN_IF_ERROR(invocation.ForEachPage(
      kListDatasets, request, kMostListed, [&](const v1::ListDatasetsResponse& page) {
        for (const v1::Dataset& dataset : page.datasets()) {
          known.push_back(dataset.display_name());
          const bool is_prefix = text.size() >= kShortestPrefix && IsHex(text) &&
                                 LastPart(dataset.name()).starts_with(text);
          if (dataset.display_name() == text || is_prefix) matches.push_back(dataset);
        }
        return page.datasets_size();
      }));
  if (matches.size() == 1) return matches[0].name();
  if (matches.empty()) {
    const std::string nearest = DidYouMean(text, known);
    return absl::NotFoundError(absl::StrFormat(
        "%s has no dataset \"%s\"; %s", project, text,
        nearest.empty() ? "see: beamline dataset list" : "did you mean \"" + nearest + "\"?"));
  }
  std::string list;
  for (const v1::Dataset& dataset : matches) {
    absl::StrAppendFormat(&list, "\n  %s  %d rows, uploaded %s",
                          LastPart(dataset.name()).substr(0, 12), dataset.row_count(),
                          RelativeTime(TimeOf(dataset.create_time()), invocation.Now()));
  }
  return UsageError(absl::StrFormat("%d datasets match \"%s\"; name one by its digest:%s",
                                    matches.size(), text, list));
}

absl::StatusOr<std::string> ResolveRun(Invocation& invocation, std::string_view text) {
  if (!text.empty() && text != "latest") return invocation.Name("runs", text);
  v1::ListRunsRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  request.set_page_size(1);
  ASSIGN_OR_RETURN(const v1::ListRunsResponse response, invocation.Call(kListRuns, request));
  if (response.runs().empty()) {
    return absl::NotFoundError(absl::StrFormat(
        "%s has no runs yet; start one: beamline run create PIPELINE.yaml", project));
  }
  return response.runs(0).name();
}

absl::StatusOr<std::string> ResolveModel(Invocation& invocation, std::string_view text) {
  const size_t slash = text.find('/');
  if (text.starts_with("projects/") || slash == std::string_view::npos ||
      text.substr(slash).starts_with("/versions/") || text.substr(slash).starts_with("/stages/")) {
    return invocation.Name("models", text);
  }
  const std::string_view version = text.substr(slash + 1);
  const bool stage = version == "production" || version == "staging";
  return invocation.Name("models", absl::StrCat(A(text.substr(0, slash)),
                                                stage ? "/stages/" : "/versions/", A(version)));
}

absl::StatusOr<v1::Role> ParseRole(std::string_view word) {
  v1::Role role = v1::ROLE_UNSPECIFIED;
  if (v1::Role_Parse(absl::StrCat("ROLE_", absl::AsciiStrToUpper(A(word))), &role) &&
      role != v1::ROLE_UNSPECIFIED) {
    return role;
  }
  return UsageError(absl::StrFormat("\"%s\" is no role; give viewer, editor or admin", word));
}

std::string UserName(std::string_view text) {
  return text.starts_with("users/") ? std::string(text) : absl::StrCat("users/", A(text));
}

}  // namespace beamline::cli
