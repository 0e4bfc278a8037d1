#include "engine/data/characters.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "engine/core/error.h"

namespace beamline::engine::data {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

// Code points out of bytes that arrive piece by piece.
class Decoder {
 public:
  void Add(std::string_view piece) {
    for (const char c : piece) {
      const auto byte = static_cast<uint8_t>(c);
      if (missing_ == 0) {
        Begin(byte);
      } else {
        Continue(byte);
      }
      ++position_;
    }
  }

  std::vector<int32_t> Finish() {
    if (missing_ > 0) Bad("the text ends within a character");
    return std::move(points_);
  }

 private:
  void Begin(uint8_t byte) {
    if (byte < 0x80) return points_.push_back(byte);
    missing_ = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
    if (byte < 0xC2 || byte > 0xF4) Bad("no character begins so");
    point_ = byte & (0x3F >> missing_);
    // What the next byte may be: shorter forms exist, surrogates, beyond U+10FFFF.
    low_ = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    high_ = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
  }

  void Continue(uint8_t byte) {
    if (byte < low_ || byte > high_) Bad("no character goes on so");
    low_ = 0x80;
    high_ = 0xBF;
    point_ = point_ << 6 | (byte & 0x3F);
    if (--missing_ == 0) points_.push_back(point_);
  }

  [[noreturn]] void Bad(const char* what) const {
    Fail("byte ", position_, " is not UTF-8 (", what, "): convert the text to UTF-8");
  }

  std::vector<int32_t> points_;
  int64_t position_ = 0;
  int missing_ = 0;  // bytes of the character under way
  int32_t point_ = 0;
  uint8_t low_ = 0x80, high_ = 0xBF;
};

std::string Encode(int32_t point) {
  const auto byte = [](int32_t bits) { return static_cast<char>(static_cast<uint8_t>(bits)); };
  const auto tail = [&](int shift) { return byte(0x80 | (point >> shift & 0x3F)); };
  if (point < 0x80) return {byte(point)};
  if (point < 0x800) return {byte(0xC0 | point >> 6), tail(0)};
  if (point < 0x10000) return {byte(0xE0 | point >> 12), tail(6), tail(0)};
  return {byte(0xF0 | point >> 18), tail(12), tail(6), tail(0)};
}

}  // namespace

Table ReadCharacters(ByteSource& source, const CharacterOptions& options) {
  Decoder decoder;
  std::string piece(kPieceBytes, '\0');
  while (const size_t size = source.Read(piece.data(), piece.size())) {
    decoder.Add(std::string_view(piece).substr(0, size));
  }
  auto codes = std::make_shared<std::vector<int32_t>>(decoder.Finish());
  if (codes->empty()) throw Error("the text is empty");
  // UTF-8 sorts as its code points do.
  std::map<int32_t, int32_t> code_of;
  for (const int32_t point : *codes) code_of.emplace(point, 0);
  auto categories = std::make_shared<std::vector<std::string>>();
  for (auto& [point, code] : code_of) {
    code = static_cast<int32_t>(categories->size());
    categories->push_back(Encode(point));
  }
  for (int32_t& point : *codes) point = code_of.find(point)->second;
  Column::Parts parts;
  parts.name = options.name;
  parts.type = ColumnType::kCategorical;
  parts.rows = static_cast<int64_t>(codes->size());
  parts.values = codes->data();
  parts.categories = categories;
  parts.owner = codes;
  return Table({Column(std::move(parts))});
}

}  // namespace beamline::engine::data
