#include "pipeline/ingest/hdf5.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/core/error.h"
#include "engine/data/npy.h"
#include "engine/data/text.h"
#include "pipeline/ingest/hdf5_objects.h"

namespace beamline::pipeline {
namespace {

using engine::Fail;
using engine::data::Array;
using engine::data::Column;
using engine::data::Workspace;

constexpr std::string_view kMagic("\x89HDF\r\n\x1a\n", 8);
constexpr int kDeepestTree = 16;
constexpr size_t kMostNodes = 10'000'000;

uint64_t Times(uint64_t a, uint64_t b) {
  if (a != 0 && b > std::numeric_limits<int64_t>::max() / a) Fail("it is too large");
  return a * b;
}

// Undoes shuffle: byte k of all values lay side by side.
std::string Unshuffled(const std::string& bytes, uint32_t size) {
  const size_t count = bytes.size() / size;
  std::string out = bytes;
  for (size_t k = 0; k < size; ++k) {
    for (size_t i = 0; i < count; ++i) out[i * size + k] = bytes[k * count + i];
  }
  return out;
}

std::string Inflated(std::string_view bytes, size_t size) {
  std::string out(size, '\0');
  uLongf made = size;
  if (uncompress(reinterpret_cast<Bytef*>(out.data()), &made,
                 reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != Z_OK) {
    Fail("a chunk is damaged");
  }
  out.resize(made);
  return out;
}

// The values of one dataset.
class Values {
 public:
  Values(const Hdf5Bytes& bytes, const Hdf5Dataset& dataset) : bytes_(bytes), dataset_(dataset) {
    for (const uint64_t extent : dataset.extents) count_ = Times(count_, extent);
    size_ = Times(count_, dataset.type.size);
  }

  uint64_t count() const { return count_; }
  uint64_t size() const { return size_; }

  // `head`, and behind it all of them as they are stored, one after the other.
  Array<char> Read(std::string_view head, Workspace& workspace) {
    const Array<char> all = workspace.New<char>(
        static_cast<int64_t>(std::min<uint64_t>(size_, INT64_MAX / 2) + head.size()));
    head.copy(all.data, head.size());
    out_ = all.data + head.size();
    ReadValues();
    return all;
  }

 private:
  void ReadValues() {
    if (dataset_.layout != Hdf5Dataset::Layout::kChunked) {
      if (dataset_.address == kHdf5Nowhere) return FillOut();
      if (dataset_.size != size_) Fail("it has ", dataset_.size, " bytes, not ", size_);
      bytes_.Piece(dataset_.address, size_).copy(out_, size_);
      return;
    }
    chunk_size_ = dataset_.type.size;
    if (dataset_.chunk_extents.size() != dataset_.extents.size()) Fail("its chunks do not fit");
    for (const uint32_t extent : dataset_.chunk_extents) {
      if (extent == 0) Fail("its chunks are empty");
      chunk_size_ = Times(chunk_size_, extent);
    }
    // Chunks reach over the ends of the dataset, but not by much.
    for (size_t d = 0; d < dataset_.extents.size(); ++d) {
      const uint64_t extent = dataset_.chunk_extents[d];
      chunks_ = Times(chunks_, (dataset_.extents[d] + extent - 1) / extent);
    }
    if (Times(chunks_, chunk_size_) > Times(size_, 16) + (uint64_t{64} << 20)) {
      Fail("its chunks are too large");
    }
    FillOut();
    if (dataset_.address != kHdf5Nowhere) ReadTree(dataset_.address, kDeepestTree);
  }

  void FillOut() {
    const std::string& fill = dataset_.fill;
    if (fill.size() != dataset_.type.size) {
      std::fill_n(out_, size_, '\0');
      return;
    }
    for (size_t at = 0; at < size_; at += fill.size()) fill.copy(out_ + at, fill.size());
  }

  void ReadTree(uint64_t node, int levels) {
    const int level = bytes_.At<uint8_t>(node + 5);
    if (bytes_.Piece(node, 4) != "TREE" || bytes_.At<uint8_t>(node + 4) != 1 || level >= levels ||
        ++nodes_ > kMostNodes) {
      Fail("its tree of chunks is damaged");
    }
    const size_t rank = dataset_.extents.size();
    const uint64_t key = 8 + 8 * (rank + 1);
    const auto count = bytes_.At<uint16_t>(node + 6);
    for (uint64_t k = 0; k < count; ++k) {
      const uint64_t at = node + 24 + k * (key + 8);
      const auto child = bytes_.At<uint64_t>(at + key);
      if (level > 0) {
        ReadTree(child, level);
        continue;
      }
      if (chunks_-- == 0) Fail("it has more chunks than room for them");
      std::vector<uint64_t> first;
      for (size_t d = 0; d < rank; ++d) first.push_back(bytes_.At<uint64_t>(at + 8 + 8 * d));
      Place(first,
            Chunk(bytes_.Piece(child, bytes_.At<uint32_t>(at)), bytes_.At<uint32_t>(at + 4)));
    }
  }

  // The values of a chunk; bit k of `skipped`: filter k was not applied.
  std::string Chunk(std::string_view stored, uint32_t skipped) const {
    std::string values(stored);
    for (size_t k = dataset_.filters.size(); k-- > 0;) {
      if ((skipped >> k & 1) != 0) continue;
      if (dataset_.filters[k] == kHdf5Checksum) {
        // The checksum behind the values; what damage it would find, others find too.
        if (values.size() < 4) Fail("a chunk is damaged");
        values.resize(values.size() - 4);
      } else if (dataset_.filters[k] == kHdf5Deflate) {
        values = Inflated(values, chunk_size_ + 4);
      } else {
        values = Unshuffled(values, dataset_.type.size);
      }
    }
    if (values.size() != chunk_size_)
      Fail("a chunk has ", values.size(), " bytes, not ", chunk_size_);
    return values;
  }

  // Copies the part of a chunk that lies within the dataset, line by line.
  void Place(const std::vector<uint64_t>& first, const std::string& chunk) {
    const size_t rank = first.size();
    std::vector<uint64_t> extents(rank);
    for (size_t d = 0; d < rank; ++d) {
      if (first[d] >= dataset_.extents[d]) return;
      extents[d] = std::min<uint64_t>(dataset_.chunk_extents[d], dataset_.extents[d] - first[d]);
    }
    const uint64_t size = dataset_.type.size;
    std::vector<uint64_t> at(rank);
    while (true) {
      uint64_t from = 0, to = 0;
      for (size_t d = 0; d < rank; ++d) {
        from = from * dataset_.chunk_extents[d] + at[d];
        to = to * dataset_.extents[d] + first[d] + at[d];
      }
      chunk.copy(out_ + to * size, extents[rank - 1] * size, from * size);
      size_t d = rank - 1;
      while (d > 0 && ++at[d - 1] == extents[d - 1]) at[--d] = 0;
      if (d == 0) return;
    }
  }

  const Hdf5Bytes& bytes_;
  const Hdf5Dataset& dataset_;
  uint64_t count_ = 1, size_ = 0, chunk_size_ = 0, chunks_ = 1;
  size_t nodes_ = 0;
  char* out_ = nullptr;  // [size_]
};

// What an NPY file of the values begins with.
std::string NpyHead(const Hdf5Dataset& dataset) {
  std::string shape;
  for (const uint64_t extent : dataset.extents) shape += std::to_string(extent) + ", ";
  std::string header =
      "{'descr': '" + dataset.type.npy + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize((header.size() + 10 + 64) / 64 * 64 - 10, ' ');
  header.back() = '\n';
  std::string npy("\x93NUMPY\x01\x00", 8);
  npy += static_cast<char>(header.size() & 255);
  npy += static_cast<char>(header.size() >> 8);
  return npy + header;
}

// Texts in heaps that all objects of the file share.
class Heaps {
 public:
  explicit Heaps(const Hdf5Bytes& bytes) : bytes_(bytes) {}

  // Of a reference of 16 bytes.
  std::string_view Text(std::string_view reference) {
    uint64_t heap;
    uint32_t length, index;
    std::memcpy(&length, reference.data(), 4);
    std::memcpy(&heap, reference.data() + 4, 8);
    std::memcpy(&index, reference.data() + 12, 4);
    if (length == 0) return {};
    const auto known = objects_.find(heap);
    const Objects& objects = known != objects_.end() ? known->second : Read(heap);
    const auto found = objects.find(index);
    if (found == objects.end() || found->second.size() < length) {
      Fail("a text is nowhere: is the file damaged?");
    }
    return found->second.substr(0, length);
  }

 private:
  using Objects = std::unordered_map<uint32_t, std::string_view>;

  const Objects& Read(uint64_t heap) {
    if (bytes_.Piece(heap, 4) != "GCOL") Fail("a text is nowhere: is the file damaged?");
    const auto size = bytes_.At<uint64_t>(heap + 8);
    bytes_.Piece(heap, size);
    Objects& objects = objects_[heap];
    for (uint64_t at = 16; at + 16 <= size;) {
      const auto index = bytes_.At<uint16_t>(heap + at);
      const auto object = bytes_.At<uint64_t>(heap + at + 8);
      if (index == 0) break;  // What is left is free.
      objects[index] = bytes_.Piece(heap + at + 16, object);
      at += 16 + (object + 7) / 8 * 8;
      if (++steps_ > bytes_.size()) Fail("the heaps of the HDF5 file overlap: is it damaged?");
    }
    return objects;
  }

  const Hdf5Bytes& bytes_;
  std::unordered_map<uint64_t, Objects> objects_;
  uint64_t steps_ = 0;
};

Column TextColumn(const Hdf5Bytes& bytes, const Hdf5Dataset& dataset, std::string_view values) {
  if (dataset.extents.size() != 1) Fail("texts in several dimensions are not read");
  Heaps heaps(bytes);
  std::vector<std::string> texts;
  for (size_t at = 0; at < values.size(); at += dataset.type.size) {
    std::string_view text = values.substr(at, dataset.type.size);
    if (dataset.type.kind == Hdf5Type::Kind::kVariableText) {
      text = heaps.Text(text);
    } else {
      text = text.substr(0, text.find('\0'));
      if (dataset.type.padded) text = text.substr(0, text.find_last_not_of(' ') + 1);
    }
    if (!engine::data::IsValidUtf8(text)) Fail("row ", texts.size() + 1, " is not UTF-8");
    texts.emplace_back(text);
  }
  return Column::OfStrings(dataset.name, texts);
}

}  // namespace

bool IsHdf5(std::string_view head) { return head.starts_with(kMagic); }

engine::data::Table ReadHdf5(std::string_view file, const ExpansionLimit& limit,
                             Workspace& workspace) {
  const Hdf5Bytes bytes(file);
  if (!IsHdf5(file)) Fail("it is no HDF5 file");
  const std::vector<Hdf5Dataset> datasets = ListHdf5(bytes);
  if (datasets.empty()) Fail("the HDF5 file has no dataset but scalars");
  std::vector<Column> columns;
  uint64_t sum = 0;
  for (const Hdf5Dataset& dataset : datasets) {
    if (dataset.extents[0] != datasets[0].extents[0]) {
      Fail("dataset \"", dataset.name, "\" has ", dataset.extents[0], " rows, but \"",
           datasets[0].name, "\" has ", datasets[0].extents[0], ": a table needs as many of each");
    }
    try {
      Values values(bytes, dataset);
      sum += values.size();
      limit.Check(static_cast<int64_t>(std::min<uint64_t>(sum, INT64_MAX)));
      const bool text = dataset.type.kind == Hdf5Type::Kind::kFixedText ||
                        dataset.type.kind == Hdf5Type::Kind::kVariableText;
      const Array<char> read = values.Read(text ? "" : NpyHead(dataset), workspace);
      const std::string_view stored(read.data, static_cast<size_t>(read.size));
      columns.push_back(text ? TextColumn(bytes, dataset, stored)
                             : engine::data::ReadNpy(dataset.name, stored, workspace));
    } catch (const LimitError&) {
      throw;
    } catch (const engine::data::NoRoom&) {
      throw;
    } catch (const engine::Error& error) {
      Fail("dataset \"", dataset.name, "\": ", error.what());
    }
  }
  return engine::data::Table(std::move(columns));
}

}  // namespace beamline::pipeline
