#include "engine/data/npy.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/columnar_format.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

struct Header {
  std::string type;  // as "<f4"
  bool fortran_order = false;
  std::vector<int64_t> shape;
  size_t data_offset = 0;
};

// Reads the header's Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }
class HeaderParser {
 public:
  HeaderParser(std::string_view name, std::string_view text) : name_(name), rest_(text) {}

  Header Parse() {
    Header out;
    bool type = false, order = false, shape = false;
    Expect('{');
    while (!Accept('}')) {
      const std::string key = String();
      Expect(':');
      if (key == "descr" && !std::exchange(type, true)) {
        out.type = String();
      } else if (key == "fortran_order" && !std::exchange(order, true)) {
        out.fortran_order = Bool();
      } else if (key == "shape" && !std::exchange(shape, true)) {
        out.shape = Shape();
      } else {
        Malformed();
      }
      if (!Accept(',')) {
        Expect('}');
        break;
      }
    }
    if (!type || !order || !shape) Malformed();
    return out;
  }

 private:
  [[noreturn]] void Malformed() const {
    Fail(Quoted(name_),
         ": the NPY header is malformed or has a structured type: save a plain "
         "array of numbers");
  }
  void SkipBlanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool Accept(char c) {
    SkipBlanks();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void Expect(char c) {
    if (!Accept(c)) Malformed();
  }
  std::string String() {
    const char quote = Accept('\'') ? '\'' : '"';
    if (quote == '"') Expect('"');
    const size_t end = rest_.find(quote);
    if (end == std::string_view::npos) Malformed();
    std::string out(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return out;
  }
  bool Bool() {
    SkipBlanks();
    const bool value = rest_.starts_with("True");
    if (!value && !rest_.starts_with("False")) Malformed();
    rest_.remove_prefix(value ? 4 : 5);
    return value;
  }
  std::vector<int64_t> Shape() {
    std::vector<int64_t> out;
    Expect('(');
    while (!Accept(')')) {
      SkipBlanks();
      int64_t size = 0;
      size_t digits = 0;
      for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
        if (digits >= 18) Malformed();
        size = size * 10 + (rest_[digits] - '0');
      }
      if (digits == 0) Malformed();
      rest_.remove_prefix(digits);
      out.push_back(size);
      if (!Accept(',')) {
        Expect(')');
        break;
      }
    }
    return out;
  }

  std::string_view name_;
  std::string_view rest_;
};

Header ReadHeader(std::string_view name, std::string_view bytes) {
  if (bytes.size() < 10 || !bytes.starts_with("\x93NUMPY")) {
    Fail(Quoted(name), " is not an NPY file");
  }
  const int major = static_cast<uint8_t>(bytes[6]);
  if (major < 1 || major > 3) {
    Fail(Quoted(name), " has NPY version ", major, ": versions 1 to 3 are known");
  }
  const size_t length_bytes = major == 1 ? 2 : 4;
  size_t length = 0;
  if (bytes.size() < 8 + length_bytes) Fail(Quoted(name), " is truncated");
  for (size_t i = 0; i < length_bytes; ++i) {
    length |= static_cast<size_t>(static_cast<uint8_t>(bytes[8 + i])) << (8 * i);
  }
  const size_t start = 8 + length_bytes;
  if (length > bytes.size() - start) Fail(Quoted(name), " is truncated");
  Header out = HeaderParser(name, bytes.substr(start, length)).Parse();
  out.data_offset = start + length;
  return out;
}

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 31, mantissa = half & 0x3FF;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000 | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float small = static_cast<float>(mantissa) * 0x1p-24f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(small) | sign);
}

struct Source {
  std::string_view name;
  std::string_view bytes;  // of the values only
  const Header& header;
  Workspace& workspace;
  int64_t count = 0;
};

// Calls body(i, position in the file) for the values in C order.
template <typename Body>
void ForValues(const Source& array, const Body& body) {
  const std::vector<int64_t>& shape = array.header.shape;
  if (!array.header.fortran_order || shape.size() < 2) {
    for (int64_t i = 0; i < array.count; ++i) body(i, i);
    return;
  }
  std::vector<int64_t> stride(shape.size(), 1), index(shape.size(), 0);
  for (size_t i = 1; i < shape.size(); ++i) stride[i] = stride[i - 1] * shape[i - 1];
  int64_t at = 0;
  for (int64_t value = 0; value < array.count; ++value) {
    body(value, at);
    for (size_t i = shape.size(); i-- > 0;) {
      at += stride[i];
      if (++index[i] < shape[i]) break;
      at -= stride[i] * shape[i];
      index[i] = 0;
    }
  }
}

// Values of type From in the file as a column of To, each through `convert`.
template <typename From, typename To, typename Convert>
Column Converted(const Source& array, ColumnType type, const Convert& convert) {
  const Array<To> values = array.workspace.New<To>(array.count);
  ForValues(array, [&](int64_t i, int64_t position) {
    From value;
    std::memcpy(&value, array.bytes.data() + static_cast<size_t>(position) * sizeof value,
                sizeof value);
    values[i] = convert(value, i);
  });
  const std::vector<int64_t>& shape = array.header.shape;
  return Column({.name = std::string(array.name),
                 .type = type,
                 .rows = shape[0],
                 .item_shape = {shape.begin() + 1, shape.end()},
                 .values = values.data,
                 .owner = values.owner});
}

template <typename From, typename To>
Column Plain(const Source& array) {
  return Converted<From, To>(array, StorageOf<To>::kType,
                             [](From value, int64_t) { return static_cast<To>(value); });
}

Column Bools(const Source& array) {
  return Converted<uint8_t, uint8_t>(array, ColumnType::kBool, [&](uint8_t value, int64_t) {
    if (value > 1) Fail(Quoted(array.name), " has a bool that is neither 0 nor 1");
    return value;
  });
}

Column Unsigned64(const Source& array) {
  const int64_t item = array.count / array.header.shape[0];
  return Converted<uint64_t, int64_t>(array, ColumnType::kInt64, [&](uint64_t value, int64_t i) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      Fail(Quoted(array.name), ", ", RowName(i / item), ": ", value,
           " is above 2^63 - 1: save the array as float64");
    }
    return static_cast<int64_t>(value);
  });
}

struct TypeRow {
  std::string_view type;
  size_t bytes;
  Column (*read)(const Source&);
};
constexpr TypeRow kTypes[] = {
    {"<f2", 2,
     [](const Source& array) {
       return Converted<uint16_t, float>(array, ColumnType::kFloat32,
                                         [](uint16_t half, int64_t) { return HalfToFloat(half); });
     }},
    {"<f4", 4, Plain<float, float>},
    {"<f8", 8, Plain<double, double>},
    {"|b1", 1, Bools},
    {"|u1", 1, Plain<uint8_t, uint8_t>},
    {"|i1", 1, Plain<int8_t, int32_t>},
    {"<i2", 2, Plain<int16_t, int32_t>},
    {"<u2", 2, Plain<uint16_t, int32_t>},
    {"<i4", 4, Plain<int32_t, int32_t>},
    {"<u4", 4, Plain<uint32_t, int64_t>},
    {"<i8", 8, Plain<int64_t, int64_t>},
    {"<u8", 8, Unsigned64},
};

// Reads the array that `bytes` begin with, and takes it off.
Column TakeNpy(std::string_view name, std::string_view& bytes, Workspace& workspace) {
  const Header header = ReadHeader(name, bytes);
  const auto* const found =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [&](const TypeRow& row) { return row.type == header.type; });
  if (found == std::end(kTypes)) {
    Fail(Quoted(name), " has values of type ", Quoted(header.type),
         header.type.starts_with('>') ? ", which is big-endian" : "",
         ": use little-endian float16, float32, float64, bool or integers (in NumPy, "
         "array.astype)");
  }
  if (header.shape.empty()) Fail(Quoted(name), " is a single value: save an array");
  if (header.shape.size() > 1 + kMaxItemDimensions) {
    Fail(Quoted(name), " has ", header.shape.size(), " dimensions, more than ",
         1 + kMaxItemDimensions);
  }
  Source array{name, bytes.substr(header.data_offset), header, workspace, 1};
  const auto most = static_cast<int64_t>(array.bytes.size() / found->bytes);
  for (const int64_t size : header.shape) {
    if (size == 0) Fail(Quoted(name), " is empty: it has no values");
    if (size > most / array.count) {
      Fail(Quoted(name), " is truncated: it is shorter than its header says");
    }
    array.count *= size;
  }
  array.bytes = array.bytes.substr(0, static_cast<size_t>(array.count) * found->bytes);
  bytes.remove_prefix(header.data_offset + array.bytes.size());
  return found->read(array);
}

[[noreturn]] void FailLonger(std::string_view name) {
  Fail(Quoted(name), " is longer than its header says: save it again");
}

}  // namespace

Column ReadNpy(std::string_view name, std::string_view bytes, Workspace& workspace) {
  Column column = TakeNpy(name, bytes, workspace);
  if (!bytes.empty()) FailLonger(name);
  return column;
}

Column ReadNpy(std::string_view name, std::string_view bytes) {
  Workspace workspace({});
  return ReadNpy(name, bytes, workspace);
}

Table ReadNpyFiles(std::string_view name, const std::vector<std::string>& names,
                   std::string_view bytes) {
  Workspace workspace({});
  return ReadNpyFiles(name, names, bytes, workspace);
}

Table ReadNpyFiles(std::string_view name, const std::vector<std::string>& names,
                   std::string_view bytes, Workspace& workspace) {
  std::vector<Column> columns;
  while (columns.empty() || !bytes.empty()) {
    const size_t i = columns.size();
    if (i > 0 && !bytes.starts_with("\x93NUMPY")) FailLonger(columns.back().name());
    columns.push_back(TakeNpy(i < names.size() ? std::string_view(names[i])
                              : i == 0         ? name
                                               : Cat("array", i),
                              bytes, workspace));
    if (columns[i].rows() != columns[0].rows()) {
      Fail("array ", i + 1, " has ", columns[i].rows(), " rows, but array 1 has ",
           columns[0].rows(), ": give files that belong together");
    }
  }
  if (!names.empty() && names.size() != columns.size()) {
    Fail("there are ", names.size(), " column names for ", columns.size(),
         " arrays: give one for each");
  }
  if (names.empty() && columns.size() > 1) columns[0] = columns[0].Renamed("array0");
  return Table(std::move(columns));
}

Table ReadArrays(const std::vector<NamedArray>& arrays) {
  Workspace workspace({});
  return ReadArrays(arrays, workspace);
}

Table ReadArrays(const std::vector<NamedArray>& arrays, Workspace& workspace) {
  if (arrays.empty()) throw Error("there is no array");
  std::vector<Column> columns;
  for (const NamedArray& array : arrays) {
    columns.push_back(ReadNpy(array.name, array.bytes, workspace));
  }
  std::sort(columns.begin(), columns.end(),
            [](const Column& a, const Column& b) { return a.name() < b.name(); });
  return Table(std::move(columns));
}

}  // namespace beamline::engine::data
