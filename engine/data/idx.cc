#include "engine/data/idx.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/columnar_format.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

// Numbers of type From, kept in Bits with the most significant byte first, as numbers of type To.
template <typename Bits, typename From, typename To>
void Convert(const char* in, size_t count, char* out) {
  for (size_t i = 0; i < count; ++i) {
    Bits bits = 0;
    for (size_t j = 0; j < sizeof bits; ++j) {
      bits = static_cast<Bits>(static_cast<uint64_t>(bits) << 8 |
                               static_cast<uint8_t>(in[i * sizeof bits + j]));
    }
    const auto value = static_cast<To>(std::bit_cast<From>(bits));
    std::memcpy(out + i * sizeof value, &value, sizeof value);
  }
}

struct TypeRow {
  uint8_t code;
  size_t bytes;  // of a value in the file
  ColumnType type;
  void (*convert)(const char* in, size_t count, char* out);
};
constexpr TypeRow kTypes[] = {
    {0x08, 1, ColumnType::kUint8, Convert<uint8_t, uint8_t, uint8_t>},
    {0x09, 1, ColumnType::kInt32, Convert<uint8_t, int8_t, int32_t>},
    {0x0B, 2, ColumnType::kInt32, Convert<uint16_t, int16_t, int32_t>},
    {0x0C, 4, ColumnType::kInt32, Convert<uint32_t, int32_t, int32_t>},
    {0x0D, 4, ColumnType::kFloat32, Convert<uint32_t, float, float>},
    {0x0E, 8, ColumnType::kFloat64, Convert<uint64_t, double, double>},
};

const TypeRow* FindType(char code) {
  const auto* const found =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [&](const TypeRow& row) { return row.code == static_cast<uint8_t>(code); });
  return found == std::end(kTypes) ? nullptr : found;
}

struct Header {
  const TypeRow* type = nullptr;
  std::vector<int64_t> sizes;
  int64_t values = 0;

  int64_t rows() const { return sizes[0]; }
  std::string ShapeText() const {
    std::string text;
    for (const int64_t size : sizes) text += Cat(text.empty() ? "" : " x ", size);
    return text;
  }
};

class Reader {
 public:
  Reader(ByteSource& source, const IdxOptions& options) : source_(source), options_(options) {}

  Table Read() {
    Header header;
    while (ReadHeader(header)) {
      if (headers_.empty() || header.rows() == headers_[0].rows()) {
        headers_.push_back(header);
        stores_.push_back(ReadValues(header));
        continue;
      }
      Fail(Name(), " has ", header.rows(), " rows, but array 1 has ", headers_[0].rows(),
           ": give files that belong together");
    }
    const std::vector<std::string> names = Names();
    std::vector<Column> columns;
    for (size_t i = 0; i < headers_.size(); ++i) {
      Column::Parts parts;
      parts.name = names[i];
      parts.type = headers_[i].type->type;
      parts.rows = headers_[i].rows();
      parts.item_shape.assign(headers_[i].sizes.begin() + 1, headers_[i].sizes.end());
      parts.values = stores_[i].get();
      parts.owner = stores_[i];
      columns.emplace_back(std::move(parts));
    }
    return Table(std::move(columns));
  }

 private:
  // Of the array that is read now.
  std::string Name() const { return Cat("IDX array ", headers_.size() + 1); }

  [[noreturn]] void FailTruncated() const {
    Fail(Name(), " is truncated: the file ends inside its header; fetch it again");
  }

  // False at the end of the file.
  bool ReadHeader(Header& header) {
    char magic[4];
    const size_t got = source_.Read(magic, sizeof magic);
    if (got == 0 && !headers_.empty()) return false;
    if (got < sizeof magic) FailTruncated();
    header.type = magic[0] == 0 && magic[1] == 0 ? FindType(magic[2]) : nullptr;
    if (header.type == nullptr) {
      const bool compressed = std::string_view(magic, 4).starts_with("\x1F\x8B") ||
                              std::string_view(magic, 4) == "\x28\xB5\x2F\xFD";
      Fail(Name(), " does not begin with an IDX magic number",
           headers_.empty() ? ": is it an IDX file?"
           : compressed     ? " but is compressed: compress all files in the same way, or none"
                            : ": the array before it is longer than its header says, or what "
                              "follows it is no IDX file");
    }
    const size_t dimensions = static_cast<uint8_t>(magic[3]);
    if (dimensions == 0) Fail(Name(), " is a single value: save an array");
    if (dimensions > 1 + kMaxItemDimensions) {
      Fail(Name(), " has ", dimensions, " dimensions, more than ", 1 + kMaxItemDimensions);
    }
    header.sizes.clear();
    for (size_t i = 0; i < dimensions; ++i) {
      char bytes[4];
      uint32_t size = 0;
      if (source_.Read(bytes, sizeof bytes) < sizeof bytes) FailTruncated();
      Convert<uint32_t, uint32_t, uint32_t>(bytes, 1, reinterpret_cast<char*>(&size));
      header.sizes.push_back(size);
    }
    CountValues(header);
    return true;
  }

  void CountValues(Header& header) const {
    const auto most =
        options_.max_array_bytes / static_cast<int64_t>(ValueBytes(header.type->type));
    header.values = 1;
    for (const int64_t size : header.sizes) {
      if (size == 0) Fail(Name(), " is empty: it has ", header.ShapeText(), " values");
      if (size > most / header.values) {
        Fail(Name(), " has ", header.ShapeText(), " values, more than ", options_.max_array_bytes,
             " bytes: is the file damaged?");
      }
      header.values *= size;
    }
  }

  std::shared_ptr<const void> ReadValues(const Header& header) {
    constexpr int64_t kPiece = int64_t{1} << 17;  // values
    const auto store = options_.store ? options_.store() : std::make_unique<MemoryValueStore>();
    const size_t from = header.type->bytes, to = ValueBytes(header.type->type);
    std::string in, out;
    for (int64_t done = 0; done < header.values;) {
      const auto count = static_cast<size_t>(std::min(kPiece, header.values - done));
      in.resize(count * from);
      out.resize(count * to);
      const size_t got = source_.Read(in.data(), in.size());
      if (got < in.size()) {
        headers_.pop_back();  // So that the message names this array.
        Fail(Name(), " is truncated: its header says ", header.ShapeText(), " values of ", from,
             from == 1 ? " byte" : " bytes", ", but the file ends after ",
             done * static_cast<int64_t>(from) + static_cast<int64_t>(got),
             " bytes of them; fetch it again");
      }
      header.type->convert(in.data(), count, out.data());
      store->Append(out);
      done += static_cast<int64_t>(count);
    }
    return store->Finish();
  }

  std::vector<std::string> Names() const {
    if (!options_.names.empty() && options_.names.size() != headers_.size()) {
      Fail("there are ", options_.names.size(), " column names for ", headers_.size(),
           " arrays: give one for each");
    }
    if (!options_.names.empty()) return options_.names;
    std::vector<std::string> names;
    std::map<std::string, int> uses;
    for (const Header& header : headers_) {
      names.emplace_back(header.sizes.size() >= 3                                   ? "image"
                         : header.sizes.size() == 1 && IsInteger(header.type->type) ? "label"
                                                                                    : "");
      ++uses[names.back()];
    }
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i].empty() || uses[names[i]] > 1) names[i] = Cat("array", i);
    }
    return names;
  }

  ByteSource& source_;
  const IdxOptions& options_;
  std::vector<Header> headers_;
  std::vector<std::shared_ptr<const void>> stores_;
};

}  // namespace

Table ReadIdx(ByteSource& source, const IdxOptions& options) {
  return Reader(source, options).Read();
}

bool IsIdx(std::string_view head) {
  return head.size() >= 4 && head[0] == 0 && head[1] == 0 && FindType(head[2]) != nullptr &&
         head[3] > 0 && static_cast<size_t>(head[3]) <= 1 + kMaxItemDimensions;
}

}  // namespace beamline::engine::data
