#include "server/issuers_file.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "auth/issuer_rules.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "pipeline/fill_message.h"
#include "pipeline/text_value.h"
#include "pipeline/yaml.h"

namespace beamline::server {

absl::StatusOr<v1::Issuers> ReadIssuers(const std::string& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, pipeline::kMaxDefinitionBytes));
  v1::Issuers issuers;
  pipeline::Violations violations;
  pipeline::TextValue root;
  if (pipeline::ReadYaml(text, &root, &violations)) {
    pipeline::FillMessage(root, "", &issuers, &violations, nullptr);
  }
  if (!violations.empty()) {
    return absl::InvalidArgumentError(pipeline::FormatViolations(violations.list(), file));
  }
  if (const auto wrong = auth::CheckIssuers(issuers); !wrong.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", absl::StrJoin(wrong, "; ")));
  }
  return issuers;
}

}  // namespace beamline::server
