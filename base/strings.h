// The one bridge between std::string_view, which this project uses everywhere, and
// absl::string_view, which is another type in Debian's build of Abseil.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace beamline {

// `text` as Abseil's view of the same bytes; valid as long as they are.
inline absl::string_view A(std::string_view text) { return {text.data(), text.size()}; }

// The other way.
inline std::string_view S(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace beamline
