// Plain text as a table with one row a character, for models that read and write text.
#pragma once

#include <cstdint>
#include <string>

#include "engine/data/source.h"
#include "engine/data/table.h"

namespace beamline::engine::data {

struct CharacterOptions {
  std::string name = "character";  // of the column
};

// A categorical column of the Unicode code points of a text in UTF-8 (RFC 3629), in their order;
// line ends are characters like others. Takes four bytes of memory a character. Throws Error,
// naming the byte by its place from 0, if the bytes are not UTF-8, or if there are none.
Table ReadCharacters(ByteSource& source, const CharacterOptions& options);

}  // namespace beamline::engine::data
