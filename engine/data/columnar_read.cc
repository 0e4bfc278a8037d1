#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/thread_pool.h"
#include "engine/data/checksum.h"
#include "engine/data/columnar.h"
#include "engine/data/columnar_format.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

[[noreturn]] void FailDamaged(std::string_view what) {
  Fail("the columnar file is damaged (", what, "): fetch or convert it again");
}

// Reads what Encoder wrote; never beyond the end.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  T Take() {
    if (rest_.size() < sizeof(T)) FailDamaged("the description ends early");
    T value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string TakeText() {
    const auto size = Take<uint32_t>();
    if (size > rest_.size()) FailDamaged("a text of the description ends early");
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    if (!IsValidUtf8(text)) FailDamaged("a text is not UTF-8");
    return text;
  }
  // A count of things that take at least `least_bytes` each.
  size_t TakeCount(size_t least_bytes) {
    const auto count = Take<uint32_t>();
    if (count > rest_.size() / least_bytes) FailDamaged("a count is too large");
    return count;
  }
  size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
};

// One column as its description gives it, checked against the size of the file.
struct Described {
  Column::Parts parts;
  std::string_view values;
  std::string_view validity;
  ColumnStatistics statistics;
  std::vector<ChunkStatistics> chunks;
  std::vector<uint64_t> value_checksums;
  std::vector<uint64_t> validity_checksums;
  size_t row_bytes = 0;
};

ColumnStatistics TakeStatistics(Decoder& in) {
  ColumnStatistics out;
  out.count = in.Take<int64_t>();
  out.missing = in.Take<int64_t>();
  out.infinite = in.Take<int64_t>();
  out.min = in.Take<double>();
  out.max = in.Take<double>();
  out.mean = in.Take<double>();
  out.standard_deviation = in.Take<double>();
  for (double& quantile : out.quantiles) quantile = in.Take<double>();
  out.distinct = in.Take<int64_t>();
  out.sampled = in.Take<uint8_t>() != 0;
  for (int64_t& bin : out.histogram) bin = in.Take<int64_t>();
  out.top.resize(in.TakeCount(sizeof(uint32_t) + sizeof(int64_t)));
  for (ColumnStatistics::Category& category : out.top) {
    category.name = in.TakeText();
    category.count = in.Take<int64_t>();
  }
  return out;
}

// Bytes [offset, offset + size) of the data part, which ends where the description starts.
std::string_view TakePlace(Decoder& in, std::string_view data, uint64_t expected_size) {
  const auto offset = in.Take<uint64_t>();
  const auto size = in.Take<uint64_t>();
  if (size != expected_size || offset % kColumnarAlignment != 0 || offset > data.size() ||
      size > data.size() - offset || (size > 0 && offset < kColumnarHeaderBytes)) {
    FailDamaged("the place of a column is wrong");
  }
  return data.substr(offset, size);
}

std::shared_ptr<const std::vector<std::string>> TakeCategories(Decoder& in) {
  auto out = std::make_shared<std::vector<std::string>>();
  out->resize(in.TakeCount(sizeof(uint32_t)));
  for (std::string& category : *out) category = in.TakeText();
  if (std::adjacent_find(out->begin(), out->end(), std::greater_equal<>()) != out->end()) {
    FailDamaged("categories are out of order");
  }
  return out;
}

Described TakeColumn(Decoder& in, std::string_view data, int64_t rows) {
  Described out;
  out.parts.name = in.TakeText();
  out.parts.type = static_cast<ColumnType>(in.Take<uint8_t>());
  const size_t value_bytes = ValueBytes(out.parts.type);
  if (value_bytes == 0) FailDamaged("a column has no known type");
  const size_t dimensions = in.Take<uint8_t>();
  if (dimensions > kMaxItemDimensions) FailDamaged("an item has too many dimensions");
  // No product may exceed the size of the file, so none can overflow.
  uint64_t row_bytes = value_bytes;
  for (size_t i = 0; i < dimensions; ++i) {
    const auto size = in.Take<int64_t>();
    if (size < 1 || static_cast<uint64_t>(size) > data.size() / row_bytes) {
      FailDamaged("the shape of an item is wrong");
    }
    row_bytes *= static_cast<uint64_t>(size);
    out.parts.item_shape.push_back(size);
  }
  if (static_cast<uint64_t>(rows) > data.size() / row_bytes) FailDamaged("too many rows");
  out.row_bytes = row_bytes;
  out.values = TakePlace(in, data, row_bytes * static_cast<uint64_t>(rows));
  Decoder peek = in;
  peek.Take<uint64_t>();
  const bool bitmap = peek.Take<uint64_t>() != 0;
  if (bitmap && (!IsInteger(out.parts.type) || row_bytes != value_bytes)) {
    FailDamaged("a column has a bitmap it cannot have");
  }
  out.validity = TakePlace(in, data, bitmap ? static_cast<uint64_t>(rows + 7) / 8 : 0);
  out.parts.rows = rows;
  out.parts.values = out.values.data();
  if (bitmap) out.parts.validity = reinterpret_cast<const uint8_t*>(out.validity.data());
  out.parts.categories = TakeCategories(in);
  const bool categorical = out.parts.type == ColumnType::kCategorical;
  if (!categorical && !out.parts.categories->empty()) {
    FailDamaged("a column has categories it cannot have");
  }
  if (categorical && row_bytes != value_bytes) FailDamaged("a column has arrays of categories");
  out.statistics = TakeStatistics(in);
  for (int64_t i = 0; i < ChunkCount(rows); ++i) {
    out.value_checksums.push_back(in.Take<uint64_t>());
    out.validity_checksums.push_back(in.Take<uint64_t>());
    ChunkStatistics& chunk = out.chunks.emplace_back();
    chunk.missing = in.Take<int64_t>();
    chunk.min = in.Take<double>();
    chunk.max = in.Take<double>();
  }
  return out;
}

void VerifyChecksums(const Described& column, std::string_view bytes, size_t chunk_bytes,
                     const std::vector<uint64_t>& checksums) {
  for (size_t i = 0; i < checksums.size() && !bytes.empty(); ++i) {
    const std::string_view chunk = bytes.substr(i * chunk_bytes, chunk_bytes);
    if (Xxh64(std::as_bytes(std::span(chunk))) != checksums[i]) {
      FailDamaged(Cat("column ", Quoted(column.parts.name), ", rows from ", i * kChunkRows + 1));
    }
  }
}

// That nothing but zero follows `bytes` up to the next multiple of the alignment.
void VerifyPadding(std::string_view file, std::string_view bytes) {
  const auto end = static_cast<size_t>(bytes.data() + bytes.size() - file.data());
  const std::string_view gap = file.substr(end, AlignUp(end) - end);
  if (gap.find_first_not_of('\0') != std::string_view::npos) FailDamaged("a gap is not empty");
}

void VerifyColumn(std::string_view file, const Described& column) {
  VerifyChecksums(column, column.values, column.row_bytes * kChunkRows, column.value_checksums);
  VerifyChecksums(column, column.validity, kChunkRows / 8, column.validity_checksums);
  VerifyPadding(file, column.values);
  if (!column.validity.empty()) VerifyPadding(file, column.validity);
  if (column.parts.type == ColumnType::kBool) {
    for (const char value : column.values) {
      if (value != 0 && value != 1) FailDamaged("a bool is neither 0 nor 1");
    }
  }
  if (column.parts.type == ColumnType::kCategorical) {
    const auto* const codes = static_cast<const int32_t*>(column.parts.values);
    const auto categories = static_cast<int64_t>(column.parts.categories->size());
    for (int64_t row = 0; row < column.parts.rows; ++row) {
      if (codes[row] < -1 || codes[row] >= categories) FailDamaged("a code has no category");
    }
  }
}

// The part of the file before the description, and the description.
struct Frame {
  std::string_view data;
  std::string_view metadata;
};

Frame CheckFrame(std::string_view file) {
  if (!file.starts_with(kColumnarMagic)) {
    throw Error("this is not a columnar file: convert the data first");
  }
  if (file.size() < kColumnarHeaderBytes + kColumnarFooterBytes) FailDamaged("it is truncated");
  Decoder header(file.substr(kColumnarMagic.size(), kColumnarHeaderBytes - kColumnarMagic.size()));
  const auto version = header.Take<uint32_t>();
  if (version != kColumnarVersion) {
    Fail("the columnar file has version ", version, ", this program reads version ",
         kColumnarVersion, ": update the program or convert the data again");
  }
  while (header.left() > 0) {
    if (header.Take<uint8_t>() != 0) FailDamaged("its header");
  }
  const std::string_view footer = file.substr(file.size() - kColumnarFooterBytes);
  if (!footer.ends_with(kColumnarEndMagic)) FailDamaged("it is truncated");
  Decoder in(footer);
  const auto offset = in.Take<uint64_t>();
  const auto size = in.Take<uint64_t>();
  const auto checksum = in.Take<uint64_t>();
  const auto file_size = in.Take<uint64_t>();
  const std::string_view checked = footer.substr(0, kColumnarFooterChecked);
  if (Xxh64(std::as_bytes(std::span(checked))) !=
      Decoder(footer.substr(kColumnarFooterChecked)).Take<uint64_t>()) {
    FailDamaged("its footer");
  }
  if (file_size != file.size()) FailDamaged("its size is wrong");
  const uint64_t end = file.size() - kColumnarFooterBytes;
  if (offset % kColumnarAlignment != 0 || offset < kColumnarHeaderBytes || offset > end ||
      size > end - offset || AlignUp(offset + size) != end) {
    FailDamaged("the place of its description is wrong");
  }
  const std::string_view metadata = file.substr(offset, size);
  if (Xxh64(std::as_bytes(std::span(metadata))) != checksum) FailDamaged("its description");
  VerifyPadding(file, metadata);
  return {file.substr(0, offset), metadata};
}

// A file in memory as long as the object lives.
class Mapping {
 public:
  explicit Mapping(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) Fail("cannot open ", path, ": ", std::strerror(errno));
    struct stat info;
    const bool known = fstat(fd, &info) == 0;
    size_ = known && info.st_size > 0 ? static_cast<size_t>(info.st_size) : 0;
    if (size_ > 0) data_ = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
    const int error = errno;
    close(fd);
    if (size_ == 0) Fail(path, " is empty: it is not a columnar file");
    if (data_ == MAP_FAILED) Fail("cannot map ", path, ": ", std::strerror(error));
  }
  ~Mapping() {
    if (data_ != MAP_FAILED) munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = MAP_FAILED;
  size_t size_ = 0;
};

}  // namespace

Dataset ParseColumnar(std::string_view bytes, std::shared_ptr<const void> owner,
                      const OpenOptions& options) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kColumnarAlignment != 0) {
    throw Error("the bytes of a columnar file must be aligned to 64 bytes");
  }
  const Frame parts = CheckFrame(bytes);
  Decoder in(parts.metadata);
  const auto rows = in.Take<int64_t>();
  if (rows < 1 || in.Take<int64_t>() != kChunkRows) FailDamaged("its number of rows");
  std::vector<Described> columns;
  const size_t count = in.TakeCount(64);
  columns.reserve(count);
  for (size_t c = 0; c < count; ++c) columns.push_back(TakeColumn(in, parts.data, rows));
  if (in.left() != 0 || count == 0) FailDamaged("its description has a wrong length");
  if (options.verify) {
    ThreadPool pool(options.threads);
    pool.ParallelFor(static_cast<int64_t>(count),
                     [&](int64_t c) { VerifyColumn(bytes, columns[static_cast<size_t>(c)]); });
  }
  Dataset out;
  std::vector<Column> finished;
  for (Described& column : columns) {
    column.parts.owner = owner;
    finished.emplace_back(std::move(column.parts));
    out.statistics.push_back(std::move(column.statistics));
    out.chunks.push_back(std::move(column.chunks));
  }
  out.table = Table(std::move(finished));
  return out;
}

Dataset OpenColumnar(const std::string& path, const OpenOptions& options) {
  const auto mapping = std::make_shared<const Mapping>(path);
  try {
    return ParseColumnar(mapping->bytes(), mapping, options);
  } catch (const Error& error) {
    Fail(path, ": ", error.what());
  }
}

}  // namespace beamline::engine::data
