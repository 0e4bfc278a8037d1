// For what is shown of names that strangers sent.
#pragma once

#include <string_view>

namespace beamline {

// `text` as it may be shown and logged: a token ("bl_...") or join token ("bj_...") that somebody
// pasted into it, and all behind, is cut off after its prefix. Names and ids have no underscore, so
// that none is cut. See auth/secret.h for the form.
inline std::string_view WithoutSecrets(std::string_view text) {
  for (const std::string_view prefix : {"bl_", "bj_"}) {
    const size_t at = text.find(prefix);
    if (at != text.npos) text = text.substr(0, at + prefix.size());
  }
  return text;
}

}  // namespace beamline
