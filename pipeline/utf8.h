// UTF-8, as protobuf requires it of every text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::pipeline {

// Offset of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7: no
// overlong forms, no surrogates, at most U+10FFFF), or npos.
size_t FirstInvalidUtf8(std::string_view text);

// The longest beginning of a well-formed text that has no more than `bytes` and no part of a
// character.
std::string_view CutUtf8(std::string_view text, size_t bytes);

// The characters (code points) of a text, a byte that is not well-formed by itself.
std::vector<std::string> Characters(std::string_view text);

}  // namespace beamline::pipeline
