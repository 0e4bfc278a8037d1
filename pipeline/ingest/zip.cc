#include "pipeline/ingest/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <set>

namespace beamline::pipeline {
namespace {

using engine::Error;
using engine::Fail;
using engine::data::NamedArray;

constexpr uint32_t kLocalHeader = 0x04034B50, kCentralHeader = 0x02014B50, kEnd = 0x06054B50,
                   kEnd64 = 0x06064B50, kEnd64Locator = 0x07064B50;
constexpr uint32_t kSeeZip64 = 0xFFFFFFFF;
constexpr size_t kMaxEntries = 100'000;

[[noreturn]] void FailDamaged(std::string_view what) {
  Fail("the NPZ file is damaged (", what, "): save or fetch it again");
}

// The little-endian number of type T at `offset`.
template <typename T>
T At(std::string_view bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) FailDamaged("it ends early");
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string_view Piece(std::string_view bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) FailDamaged("it ends early");
  return bytes.substr(offset, size);
}

struct Directory {
  uint64_t entries = 0;
  uint64_t offset = 0;
};

Directory FindDirectory(std::string_view bytes) {
  constexpr size_t kEndBytes = 22, kMostComment = 65535;
  if (bytes.size() < kEndBytes) FailDamaged("it is too short");
  const size_t first = bytes.size() - std::min(bytes.size(), kEndBytes + kMostComment);
  size_t at = bytes.size() - kEndBytes;
  while (At<uint32_t>(bytes, at) != kEnd) {
    if (at == first) FailDamaged("its directory is missing: is it complete?");
    --at;
  }
  Directory out{At<uint16_t>(bytes, at + 10), At<uint32_t>(bytes, at + 16)};
  if (out.entries == 0xFFFF || out.offset == kSeeZip64) {
    if (at < 20 || At<uint32_t>(bytes, at - 20) != kEnd64Locator) {
      FailDamaged("its directory is missing");
    }
    const auto end64 = At<uint64_t>(bytes, at - 20 + 8);
    if (At<uint32_t>(bytes, end64) != kEnd64) FailDamaged("its directory is missing");
    out.entries = At<uint64_t>(bytes, end64 + 32);
    out.offset = At<uint64_t>(bytes, end64 + 48);
  }
  if (out.entries > kMaxEntries) Fail("the NPZ file has more than ", kMaxEntries, " arrays");
  return out;
}

struct Entry {
  std::string name;
  int method = 0;
  uint32_t crc = 0;
  uint64_t compressed = 0;
  uint64_t size = 0;
  uint64_t offset = 0;  // of its local header
};

// Sizes and offset that do not fit into 32 bits are in the extra field 1, those that need it only.
void ReadZip64(std::string_view extra, Entry& entry) {
  while (extra.size() >= 4) {
    const auto id = At<uint16_t>(extra, 0), size = At<uint16_t>(extra, 2);
    std::string_view field = Piece(extra, 4, size);
    extra.remove_prefix(4 + size_t{size});
    if (id != 1) continue;
    for (uint64_t* value : {&entry.size, &entry.compressed, &entry.offset}) {
      if (*value != kSeeZip64) continue;
      *value = At<uint64_t>(field, 0);
      field.remove_prefix(8);
    }
  }
}

// Reads the directory's entry at `at` and moves behind it.
Entry ReadEntry(std::string_view bytes, uint64_t& at) {
  if (At<uint32_t>(bytes, at) != kCentralHeader) FailDamaged("its directory is malformed");
  const auto flags = At<uint16_t>(bytes, at + 8);
  const auto name_size = At<uint16_t>(bytes, at + 28), extra_size = At<uint16_t>(bytes, at + 30),
             comment_size = At<uint16_t>(bytes, at + 32);
  Entry out;
  out.method = At<uint16_t>(bytes, at + 10);
  out.crc = At<uint32_t>(bytes, at + 16);
  out.compressed = At<uint32_t>(bytes, at + 20);
  out.size = At<uint32_t>(bytes, at + 24);
  out.offset = At<uint32_t>(bytes, at + 42);
  out.name = Piece(bytes, at + 46, name_size);
  ReadZip64(Piece(bytes, at + 46 + name_size, extra_size), out);
  at += 46 + uint64_t{name_size} + extra_size + comment_size;
  if ((flags & 1) != 0) Fail("array \"", out.name, "\" of the NPZ file is encrypted");
  return out;
}

void Inflate(const Entry& entry, std::string_view compressed, engine::data::ValueStore& store) {
  z_stream stream = {};
  if (inflateInit2(&stream, -15) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> closer(&stream, inflateEnd);
  std::string piece(std::min<uint64_t>(entry.size + 1, size_t{1} << 20), '\0');
  uint64_t made = 0;
  int result = Z_OK;
  while (result == Z_OK && made <= entry.size) {
    if (stream.avail_in == 0) {
      const size_t size = std::min(compressed.size(), size_t{1} << 30);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
      stream.avail_in = static_cast<uInt>(size);
      compressed.remove_prefix(size);
    }
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    result = inflate(&stream, Z_NO_FLUSH);
    const size_t got = piece.size() - stream.avail_out;
    store.Append(std::string_view(piece).substr(0, got));
    made += got;
  }
  if (result != Z_STREAM_END || made != entry.size) FailDamaged(entry.name);
}

NamedArray ReadContent(std::string_view bytes, const Entry& entry,
                       const engine::data::ValueStoreFactory& store) {
  if (At<uint32_t>(bytes, entry.offset) != kLocalHeader) FailDamaged(entry.name);
  const uint64_t start = entry.offset + 30 + At<uint16_t>(bytes, entry.offset + 26) +
                         At<uint16_t>(bytes, entry.offset + 28);
  const std::string_view compressed = Piece(bytes, start, entry.compressed);
  NamedArray out{entry.name.substr(0, entry.name.size() - 4), compressed, nullptr};
  if (entry.method == 0) {
    if (entry.size != entry.compressed) FailDamaged(entry.name);
  } else if (entry.method == 8) {
    const auto inflated = store ? store() : std::make_unique<engine::data::MemoryValueStore>();
    Inflate(entry, compressed, *inflated);
    out.owner = inflated->Finish();
    out.bytes = {static_cast<const char*>(out.owner.get()), static_cast<size_t>(entry.size)};
  } else {
    Fail("array \"", entry.name, "\" of the NPZ file is compressed by method ", entry.method,
         ": use numpy.savez or numpy.savez_compressed");
  }
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(out.bytes.data()), out.bytes.size());
  if (crc != entry.crc) FailDamaged(entry.name);
  return out;
}

}  // namespace

std::vector<NamedArray> ReadNpz(std::string_view bytes, const ExpansionLimit& limit,
                                const engine::data::ValueStoreFactory& store) {
  const Directory directory = FindDirectory(bytes);
  uint64_t at = directory.offset;
  std::vector<Entry> entries;
  std::set<std::string> names;
  int64_t total = 0;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    Entry entry = ReadEntry(bytes, at);
    if (!entry.name.ends_with(".npy") || entry.name.size() == 4) {
      Fail("entry \"", entry.name, "\" of the NPZ file is no array: it should end with .npy");
    }
    if (!names.insert(entry.name).second) {
      Fail("array \"", entry.name, "\" is in the NPZ file twice");
    }
    total += static_cast<int64_t>(std::min<uint64_t>(entry.size, uint64_t{1} << 46));
    limit.Check(total);
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) throw Error("the NPZ file has no arrays");
  std::vector<NamedArray> out;
  for (const Entry& entry : entries) out.push_back(ReadContent(bytes, entry, store));
  return out;
}

}  // namespace beamline::pipeline
