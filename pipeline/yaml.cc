#include "pipeline/yaml.h"

#include <algorithm>
#include <tuple>

#include "pipeline/fill_message.h"
#include "pipeline/text_value.h"

namespace beamline::pipeline {

ParsedDefinition ParseDefinition(std::string_view text) {
  ParsedDefinition parsed;
  Violations violations;
  TextValue root;
  if (ReadYaml(text, &root, &violations)) {
    if (root.kind == TextValue::Kind::kNull) {
      violations.AddAt("", "the text is empty: a definition has at least a name and steps", {1, 1});
    } else {
      FillMessage(root, "", &parsed.definition, &violations, &parsed.positions);
    }
  }
  parsed.violations = violations.list();
  std::stable_sort(parsed.violations.begin(), parsed.violations.end(),
                   [](const v1::Violation& a, const v1::Violation& b) {
                     return std::tuple(a.line(), a.column()) < std::tuple(b.line(), b.column());
                   });
  return parsed;
}

}  // namespace beamline::pipeline
