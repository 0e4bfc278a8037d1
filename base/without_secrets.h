// For what is shown of names that strangers sent.
#pragma once

#include <string_view>

namespace beamline {

// `text` as it may be shown and logged: a token ("bl_..."), a join token ("bj_...") or one of
// another issuer ("eyJ...") that somebody pasted, and all behind, is cut off after its prefix.
// Names and ids have no underscore and no capital letter, so that none is cut. See auth/secret.h
// and auth/jwt.h for the forms.
inline std::string_view WithoutSecrets(std::string_view text) {
  for (const std::string_view prefix : {"bl_", "bj_", "eyJ"}) {
    const size_t at = text.find(prefix);
    if (at != text.npos) text = text.substr(0, at + prefix.size());
  }
  return text;
}

}  // namespace beamline
