#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/thread_pool.h"
#include "engine/data/checksum.h"
#include "engine/data/columnar.h"
#include "engine/data/columnar_format.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

// What the file says of one column, besides its values.
struct Described {
  ColumnStatistics statistics;
  std::vector<ChunkStatistics> chunks;
  std::vector<uint64_t> value_checksums;
  std::vector<uint64_t> validity_checksums;
};

std::span<const std::byte> ValidityBytes(const Column& column) {
  if (column.validity() == nullptr) return {};
  return {reinterpret_cast<const std::byte*>(column.validity()),
          static_cast<size_t>((column.rows() + 7) / 8)};
}

std::vector<uint64_t> Checksums(std::span<const std::byte> bytes, size_t chunk_bytes,
                                int64_t chunks) {
  std::vector<uint64_t> out;
  for (int64_t i = 0; i < chunks; ++i) {
    const size_t begin = std::min(bytes.size(), static_cast<size_t>(i) * chunk_bytes);
    const size_t size = std::min(chunk_bytes, bytes.size() - begin);
    out.push_back(bytes.empty() ? 0 : Xxh64(bytes.subspan(begin, size)));
  }
  return out;
}

Described DescribeForFile(const Column& column) {
  Described out;
  out.statistics = Describe(column, &out.chunks);
  const size_t row_bytes = static_cast<size_t>(column.item_size()) * ValueBytes(column.type());
  const int64_t chunks = ChunkCount(column.rows());
  out.value_checksums = Checksums(column.bytes(), row_bytes * kChunkRows, chunks);
  out.validity_checksums = Checksums(ValidityBytes(column), kChunkRows / 8, chunks);
  return out;
}

// Little-endian fields one after the other.
class Encoder {
 public:
  template <typename T>
  void Put(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out_.append(bytes, sizeof value);
  }
  void PutText(std::string_view text) {
    Put(static_cast<uint32_t>(text.size()));
    out_ += text;
  }
  const std::string& bytes() const { return out_; }
  std::string& bytes() { return out_; }

 private:
  std::string out_;
};

void PutStatistics(Encoder& out, const ColumnStatistics& statistics) {
  out.Put(statistics.count);
  out.Put(statistics.missing);
  out.Put(statistics.infinite);
  out.Put(statistics.min);
  out.Put(statistics.max);
  out.Put(statistics.mean);
  out.Put(statistics.standard_deviation);
  for (const double quantile : statistics.quantiles) out.Put(quantile);
  out.Put(statistics.distinct);
  out.Put(static_cast<uint8_t>(statistics.sampled ? 1 : 0));
  for (const int64_t bin : statistics.histogram) out.Put(bin);
  out.Put(static_cast<uint32_t>(statistics.top.size()));
  for (const ColumnStatistics::Category& category : statistics.top) {
    out.PutText(category.name);
    out.Put(category.count);
  }
}

// Where the bytes of a column are. A size of 0 goes with an offset of 0.
struct Place {
  uint64_t values_offset = 0;
  uint64_t validity_offset = 0;
};

void PutColumn(Encoder& out, const Column& column, const Place& place, const Described& described) {
  out.PutText(column.name());
  out.Put(static_cast<uint8_t>(column.type()));
  out.Put(static_cast<uint8_t>(column.item_shape().size()));
  for (const int64_t size : column.item_shape()) out.Put(size);
  out.Put(place.values_offset);
  out.Put(static_cast<uint64_t>(column.bytes().size()));
  out.Put(place.validity_offset);
  out.Put(static_cast<uint64_t>(ValidityBytes(column).size()));
  out.Put(static_cast<uint32_t>(column.categories().size()));
  for (const std::string& category : column.categories()) out.PutText(category);
  PutStatistics(out, described.statistics);
  for (size_t i = 0; i < described.chunks.size(); ++i) {
    out.Put(described.value_checksums[i]);
    out.Put(described.validity_checksums[i]);
    out.Put(described.chunks[i].missing);
    out.Put(described.chunks[i].min);
    out.Put(described.chunks[i].max);
  }
}

// Counts what goes through, to know where it lands.
class Output {
 public:
  explicit Output(const std::function<void(std::string_view)>& write) : write_(write) {}

  // Starts at the next aligned offset and returns it.
  uint64_t Write(std::span<const std::byte> bytes) {
    static constexpr char kZeros[kColumnarAlignment] = {};
    const uint64_t start = AlignUp(offset_);
    if (start > offset_) write_({kZeros, static_cast<size_t>(start - offset_)});
    if (!bytes.empty()) write_({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    offset_ = start + bytes.size();
    return start;
  }
  uint64_t Write(std::string_view text) { return Write(std::as_bytes(std::span(text))); }

 private:
  const std::function<void(std::string_view)>& write_;
  uint64_t offset_ = 0;
};

void CheckTable(const Table& table) {
  if (table.columns().empty() || table.rows() == 0) {
    throw Error("a table without rows cannot be written");
  }
  for (const Column& column : table.columns()) {
    if (column.item_shape().size() > kMaxItemDimensions) {
      Fail("column ", Quoted(column.name()), " has items of ", column.item_shape().size(),
           " dimensions, more than ", kMaxItemDimensions);
    }
    if (column.item_size() != 1 && (column.validity() != nullptr || !column.is_numeric())) {
      Fail("column ", Quoted(column.name()), " has arrays of categories or with a bitmap");
    }
  }
}

}  // namespace

std::vector<ColumnStatistics> WriteColumnar(const Table& table,
                                            const std::function<void(std::string_view)>& write,
                                            int threads) {
  CheckTable(table);
  std::vector<Described> described(table.columns().size());
  ThreadPool pool(threads);
  pool.ParallelFor(static_cast<int64_t>(described.size()), [&](int64_t c) {
    described[static_cast<size_t>(c)] = DescribeForFile(table.columns()[static_cast<size_t>(c)]);
  });

  Output output(write);
  Encoder header;
  header.bytes() += kColumnarMagic;
  header.Put(kColumnarVersion);
  header.bytes().resize(kColumnarHeaderBytes);
  output.Write(header.bytes());

  Encoder metadata;
  metadata.Put(table.rows());
  metadata.Put(kChunkRows);
  metadata.Put(static_cast<uint32_t>(table.columns().size()));
  for (size_t c = 0; c < described.size(); ++c) {
    const Column& column = table.columns()[c];
    Place place;
    place.values_offset = output.Write(column.bytes());
    if (column.validity() != nullptr) place.validity_offset = output.Write(ValidityBytes(column));
    PutColumn(metadata, column, place, described[c]);
  }
  const uint64_t metadata_offset = output.Write(metadata.bytes());

  Encoder footer;
  footer.Put(metadata_offset);
  footer.Put(static_cast<uint64_t>(metadata.bytes().size()));
  footer.Put(Xxh64(std::as_bytes(std::span(metadata.bytes()))));
  footer.Put(AlignUp(metadata_offset + metadata.bytes().size()) + kColumnarFooterBytes);
  footer.Put(kColumnarVersion);
  footer.bytes().resize(kColumnarFooterChecked);
  footer.Put(Xxh64(std::as_bytes(std::span(footer.bytes()))));
  footer.bytes() += kColumnarEndMagic;
  output.Write(footer.bytes());

  std::vector<ColumnStatistics> statistics;
  for (Described& column : described) statistics.push_back(std::move(column.statistics));
  return statistics;
}

}  // namespace beamline::engine::data
