#include "pipeline/units.h"

#include <cmath>
#include <span>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "pipeline/text_value.h"

namespace beamline::pipeline {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kKi = 1024;
// Binary units last, largest last: the order in which BytesText tries them backwards.
constexpr Unit kBytes[] = {{"B", 1},
                           {"kB", 1e3},
                           {"KB", 1e3},
                           {"MB", 1e6},
                           {"GB", 1e9},
                           {"TB", 1e12},
                           {"KiB", kKi},
                           {"MiB", kKi* kKi},
                           {"GiB", kKi* kKi* kKi},
                           {"TiB", kKi* kKi* kKi* kKi}};
constexpr Unit kSeconds[] = {{"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};

std::optional<double> Parse(std::string_view text, std::span<const Unit> units) {
  const size_t end = text.find_last_of("0123456789.");
  if (end == std::string_view::npos) return std::nullopt;
  const absl::string_view unit = absl::StripAsciiWhitespace(A(text.substr(end + 1)));
  double number = 0;
  if (!absl::SimpleAtod(A(text.substr(0, end + 1)), &number) || !std::isfinite(number)) {
    return std::nullopt;
  }
  if (unit.empty()) return number;
  for (const Unit& known : units) {
    if (A(known.name) == unit) return number * known.factor;
  }
  return std::nullopt;
}

std::string Text(double value, std::span<const Unit> units, double smallest_factor) {
  for (size_t i = units.size(); i-- > 0;) {
    const double count = value / units[i].factor;
    if (units[i].factor < smallest_factor) break;
    if (count >= 1 && count == std::floor(count)) {
      return absl::StrCat(NumberText(count), " ", A(units[i].name));
    }
  }
  return NumberText(value);
}

}  // namespace

std::optional<double> ParseBytes(std::string_view text) { return Parse(text, kBytes); }
std::optional<double> ParseSeconds(std::string_view text) { return Parse(text, kSeconds); }
std::string BytesText(double bytes) { return Text(bytes, std::span(kBytes).subspan(6), kKi); }
std::string SecondsText(double seconds) { return Text(seconds, kSeconds, 60); }

}  // namespace beamline::pipeline
