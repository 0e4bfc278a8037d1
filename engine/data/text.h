// Text for messages and for values: concatenation, numbers, quoting, UTF-8.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::engine::data {

// The shortest decimal that reads back as the same double; "nan", "inf", "-inf".
std::string ShortestDecimal(double value);
std::string ShortestDecimal(float value);

// In double quotes, cut to 60 bytes, with control and invalid bytes as \xNN: for messages.
std::string Quoted(std::string_view text);

bool IsValidUtf8(std::string_view text);

// The word of `words` that was probably meant; empty if none is near. Points into `words`.
std::string_view Nearest(std::string_view word, const std::vector<std::string>& words);

inline void AppendPiece(std::string& out, std::string_view piece) { out += piece; }
inline void AppendPiece(std::string& out, std::integral auto number) {
  out += std::to_string(number);
}
inline void AppendPiece(std::string& out, std::floating_point auto number) {
  out += ShortestDecimal(number);
}

// Cat("row ", 17, ": ", name)
template <typename... Pieces>
std::string Cat(const Pieces&... pieces) {
  std::string out;
  (AppendPiece(out, pieces), ...);
  return out;
}

}  // namespace beamline::engine::data
