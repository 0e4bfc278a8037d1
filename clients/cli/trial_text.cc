#include "clients/cli/trial_text.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/format.h"
#include "clients/cli/json.h"

namespace beamline::cli {
namespace {

constexpr int kDigits = 5;
constexpr double kLargestWhole = 1e15;

// Last `count` parts of a key; all of it if it has no more.
std::string EndOf(const std::string& key, int count) {
  size_t start = key.size();
  for (int i = 0; i < count; ++i) {
    const size_t dot = start == 0 ? std::string::npos : key.rfind('.', start - 1);
    if (dot == std::string::npos) return key;
    start = dot;
  }
  return key.substr(start + 1);
}

// Decimal places of a number written with `kDigits` digits; negative if it is not written plainly.
int DecimalsOf(double value) {
  if (!std::isfinite(value)) return -1;
  if (value == 0) return kDigits - 1;
  const std::string rounded = absl::StrFormat("%.*e", kDigits - 1, value);
  const int exponent = std::stoi(rounded.substr(rounded.find('e') + 1));
  return exponent < -4 || exponent >= kDigits ? -1 : kDigits - 1 - exponent;
}

}  // namespace

ShortNames ShortNamesOf(const std::vector<std::string>& keys) {
  ShortNames names;
  for (const std::string& key : keys) {
    std::string& name = names[key];
    for (int parts = 1; name != key; ++parts) {
      name = EndOf(key, parts);
      const bool unique = std::ranges::none_of(keys, [&](const std::string& other) {
        return other != key && (other == name || other.ends_with("." + name));
      });
      if (unique) break;
    }
  }
  return names;
}

std::vector<std::string> KeysOf(const v1::ListTrialsResponse& response) {
  std::set<std::string> keys;
  for (const v1::TrialSummary& trial : response.trials()) {
    for (const auto& [key, value] : trial.parameters()) keys.insert(key);
  }
  return {keys.begin(), keys.end()};
}

std::string ValueText(const google::protobuf::Value& value) {
  switch (value.kind_case()) {
    case google::protobuf::Value::kStringValue:
      return value.string_value();
    case google::protobuf::Value::kNumberValue: {
      const double number = value.number_value();
      const bool whole = std::abs(number) < kLargestWhole && number == std::floor(number);
      return whole ? absl::StrFormat("%.0f", number) : HumanNumber(number);
    }
    default:
      return JsonLine(value);
  }
}

std::string ParametersText(
    const google::protobuf::Map<std::string, google::protobuf::Value>& values,
    const ShortNames& names) {
  const std::map<std::string, google::protobuf::Value> sorted(values.begin(), values.end());
  std::string text;
  for (const auto& [key, value] : sorted) {
    const auto name = names.find(key);
    absl::StrAppend(&text, text.empty() ? "" : ", ", name == names.end() ? key : name->second, "=",
                    ValueText(value));
  }
  return text;
}

std::string ObjectiveText(double value) {
  const int decimals = DecimalsOf(value);
  return decimals < 0 ? HumanNumber(value, kDigits) : absl::StrFormat("%.*f", decimals, value);
}

std::string UncertainText(double value, double standard_error) {
  const int decimals = DecimalsOf(value);
  const bool vanishes =
      decimals < 0 || (standard_error != 0 && standard_error < 0.5 * std::pow(10.0, -decimals));
  return absl::StrCat(ObjectiveText(value), " +- ",
                      vanishes ? HumanNumber(standard_error, 2)
                               : absl::StrFormat("%.*f", decimals, standard_error));
}

std::string TaskLabel(const v1::Event& event) {
  return event.task().empty() ? event.step() : event.task();
}

std::string FailureText(const v1::Failure& failure) {
  if (failure.message().empty()) return "";
  return absl::StrCat(failure.field().empty() ? "" : failure.field() + ": ", failure.message());
}

}  // namespace beamline::cli
