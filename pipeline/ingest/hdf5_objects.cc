#include "pipeline/ingest/hdf5_objects.h"

#include <algorithm>
#include <functional>

namespace beamline::pipeline {
namespace {

using engine::Fail;

constexpr int kDeepest = 16;  // groups in groups, and levels of a tree
constexpr size_t kMostDatasets = 10'000;
constexpr size_t kMostBlocks = 1'000;  // of one object's header
constexpr size_t kMostExtents = 8;
constexpr uint32_t kLargestValue = 1 << 16;

constexpr char kNewer[] =
    "the HDF5 file is in a newer form of the format, which is not read: write it with "
    "libver='earliest' (the default of h5py), without track_order";

// Messages of an object's header.
enum Message : uint16_t {
  kDataspace = 1,
  kLinkInfo = 2,
  kDatatype = 3,
  kFillValue = 5,
  kLink = 6,
  kExternalFiles = 7,
  kLayout = 8,
  kFilters = 11,
  kContinuation = 16,
  kSymbolTable = 17,
};

struct MessageAt {
  uint16_t type = 0;
  uint64_t at = 0;
  uint16_t size = 0;
};

std::vector<MessageAt> MessagesOf(const Hdf5Bytes& bytes, uint64_t header) {
  if (bytes.Piece(header, 4) == "OHDR") Fail(kNewer);
  if (bytes.At<uint8_t>(header) != 1) Fail("the HDF5 file is damaged: an object has no header");
  struct Block {
    uint64_t at, size;
  };
  std::vector<Block> blocks = {{header + 16, bytes.At<uint32_t>(header + 8)}};
  std::vector<MessageAt> messages;
  for (size_t b = 0; b < blocks.size(); ++b) {
    if (b > kMostBlocks) Fail("the HDF5 file is damaged: the header of an object does not end");
    bytes.Piece(blocks[b].at, blocks[b].size);
    uint64_t at = blocks[b].at;
    const uint64_t end = at + blocks[b].size;
    while (end - at >= 8) {
      MessageAt message{bytes.At<uint16_t>(at), at + 8, bytes.At<uint16_t>(at + 2)};
      const bool shared = (bytes.At<uint8_t>(at + 4) & 2) != 0;
      if (message.size > end - message.at) Fail("the HDF5 file is damaged: a header is cut off");
      at = message.at + message.size;
      if (shared && message.type == kDatatype) {
        Fail("named types of an HDF5 file are not read: give the dataset a type of its own");
      }
      if (message.type == kContinuation) {
        blocks.push_back({bytes.At<uint64_t>(message.at), bytes.At<uint64_t>(message.at + 8)});
      } else if (!shared) {
        messages.push_back(message);
      }
    }
  }
  return messages;
}

Hdf5Type NumberType(const Hdf5Bytes& bytes, uint64_t at, int kind, uint32_t size) {
  const auto bits = bytes.At<uint8_t>(at + 1);
  if ((bits & 1) != 0) Fail("its numbers are big-endian: convert them");
  const bool is_float = kind == 1;
  const bool fits = is_float ? size == 2 || size == 4 || size == 8
                             : size == 1 || size == 2 || size == 4 || size == 8;
  const auto precision = bytes.At<uint16_t>(at + 10);
  if (!fits || bytes.At<uint16_t>(at + 8) != 0 || precision != 8 * size) {
    Fail("its numbers have ", precision, " bits in ", size, " bytes: convert them");
  }
  const char letter = is_float ? 'f' : (bits & 8) != 0 ? 'i' : 'u';
  Hdf5Type type{.kind = Hdf5Type::Kind::kNumber, .npy = size == 1 ? "|" : "<", .size = size};
  type.npy += letter;
  type.npy += std::to_string(size);
  return type;
}

// h5py's truth values: FALSE and TRUE, 0 and 1, of one byte.
bool IsBool(const Hdf5Bytes& bytes, uint64_t at, uint32_t size) {
  const auto members = bytes.At<uint16_t>(at + 1);
  const int version = bytes.At<uint8_t>(at) >> 4;
  if (members != 2 || size != 1) return false;
  const uint64_t names = at + 8 + 12;  // behind the base type
  const uint64_t second = version >= 3 ? 6 : 8;
  const uint64_t values = names + (version >= 3 ? 11 : 16);
  return bytes.Piece(names, 6) == std::string_view("FALSE\0", 6) &&
         bytes.Piece(names + second, 5) == std::string_view("TRUE\0", 5) &&
         bytes.At<uint8_t>(values) == 0 && bytes.At<uint8_t>(values + 1) == 1;
}

Hdf5Type ReadType(const Hdf5Bytes& bytes, uint64_t at) {
  const int kind = bytes.At<uint8_t>(at) & 15;
  const auto bits = bytes.At<uint8_t>(at + 1);
  const auto size = bytes.At<uint32_t>(at + 4);
  if (size == 0 || size > kLargestValue) Fail("its values have ", size, " bytes each");
  switch (kind) {
    case 0:
    case 1:
      return NumberType(bytes, at, kind, size);
    case 3:
      return {
          .kind = Hdf5Type::Kind::kFixedText, .npy = "", .size = size, .padded = (bits & 15) == 2};
    case 8:
      if (!IsBool(bytes, at, size)) {
        Fail("enumerations are not read, but for truth values: store numbers or texts");
      }
      return {.kind = Hdf5Type::Kind::kBool, .npy = "|b1", .size = 1};
    case 9:
      if ((bits & 15) != 1 || size != 16) Fail("rows of varying length are not read: pad them");
      return {.kind = Hdf5Type::Kind::kVariableText, .npy = "", .size = size};
    default:
      Fail("compound and other types are not read: store each of its parts as a dataset");
  }
}

std::vector<uint64_t> ReadExtents(const Hdf5Bytes& bytes, uint64_t at) {
  const auto version = bytes.At<uint8_t>(at);
  const auto rank = bytes.At<uint8_t>(at + 1);
  if (version < 1 || version > 2) Fail(kNewer);
  if (rank > kMostExtents) Fail("it has ", rank, " dimensions, more than ", kMostExtents);
  std::vector<uint64_t> extents;
  for (uint64_t k = 0; k < rank; ++k) {
    extents.push_back(bytes.At<uint64_t>(at + (version == 1 ? 8 : 4) + 8 * k));
  }
  return extents;
}

void ReadLayout(const Hdf5Bytes& bytes, uint64_t at, Hdf5Dataset* out) {
  if (bytes.At<uint8_t>(at) != 3) Fail(kNewer);
  const auto kind = bytes.At<uint8_t>(at + 1);
  if (kind == 0) {
    out->layout = Hdf5Dataset::Layout::kCompact;
    out->size = bytes.At<uint16_t>(at + 2);
    out->address = at + 4;
  } else if (kind == 1) {
    out->layout = Hdf5Dataset::Layout::kContiguous;
    out->address = bytes.At<uint64_t>(at + 2);
    out->size = bytes.At<uint64_t>(at + 10);
  } else if (kind == 2) {
    out->layout = Hdf5Dataset::Layout::kChunked;
    const auto rank = bytes.At<uint8_t>(at + 2);
    out->address = bytes.At<uint64_t>(at + 3);
    // The last is the size of a value.
    for (uint64_t k = 0; k + 1 < rank; ++k) {
      out->chunk_extents.push_back(bytes.At<uint32_t>(at + 11 + 4 * k));
    }
  } else {
    Fail("virtual datasets lead to other files, and are not read");
  }
}

void ReadFilters(const Hdf5Bytes& bytes, uint64_t at, Hdf5Dataset* out) {
  const auto version = bytes.At<uint8_t>(at);
  if (version < 1 || version > 2) Fail(kNewer);
  const auto count = bytes.At<uint8_t>(at + 1);
  uint64_t next = at + (version == 1 ? 8 : 2);
  for (int k = 0; k < count; ++k) {
    const auto id = bytes.At<uint16_t>(next);
    if (id != kHdf5Deflate && id != kHdf5Shuffle && id != kHdf5Checksum) {
      Fail("filter ", id, " is not read: compress by gzip (deflate), with or without shuffle");
    }
    const bool named = version == 1;
    const auto name = named ? bytes.At<uint16_t>(next + 2) : uint16_t{0};
    const auto numbers = bytes.At<uint16_t>(next + (named ? 6 : 4));
    next += (named ? 8 : 6) + (name + 7) / 8 * 8 + 4 * uint64_t{numbers};
    if (named && numbers % 2 != 0) next += 4;
    out->filters.push_back(id);
  }
}

void ReadFill(const Hdf5Bytes& bytes, uint64_t at, Hdf5Dataset* out) {
  const auto version = bytes.At<uint8_t>(at);
  uint64_t value = at + 4;
  if (version == 2 && bytes.At<uint8_t>(at + 3) == 0) return;
  if (version == 3) {
    if ((bytes.At<uint8_t>(at + 1) & 0x20) == 0) return;
    value = at + 2;
  }
  const auto size = bytes.At<uint32_t>(value);
  if (size > kLargestValue) Fail("the HDF5 file is damaged: a fill value is too large");
  out->fill = bytes.Piece(value + 4, size);
}

class Lister {
 public:
  explicit Lister(const Hdf5Bytes& bytes) : bytes_(bytes) {}

  std::vector<Hdf5Dataset> List() {
    const auto version = bytes_.At<uint8_t>(8);
    if (version > 1) Fail(kNewer);
    if (bytes_.At<uint8_t>(13) != 8 || bytes_.At<uint8_t>(14) != 8) Fail(kNewer);
    const uint64_t shift = version == 1 ? 4 : 0;
    if (bytes_.At<uint64_t>(24 + shift) != 0) Fail("the HDF5 file does not begin at its start");
    ReadObject(bytes_.At<uint64_t>(64 + shift), "", 0);
    std::ranges::sort(datasets_, {}, &Hdf5Dataset::name);
    return std::move(datasets_);
  }

 private:
  void ReadObject(uint64_t header, const std::string& name, int depth) {
    if (depth > kDeepest || ++objects_ > kMostDatasets) {
      Fail("the HDF5 file has too many groups and datasets, or groups that hold themselves");
    }
    bool is_dataset = false;
    const std::vector<MessageAt> messages = MessagesOf(bytes_, header);
    for (const MessageAt& message : messages) {
      if (message.type == kLinkInfo || message.type == kLink) Fail(kNewer);
      is_dataset = is_dataset || message.type == kLayout;
      if (message.type != kSymbolTable) continue;
      const auto heap = bytes_.At<uint64_t>(message.at + 8);
      if (bytes_.Piece(heap, 4) != "HEAP") Fail("the HDF5 file is damaged: a group has no names");
      ReadGroup(bytes_.At<uint64_t>(message.at), bytes_.At<uint64_t>(heap + 24),
                bytes_.At<uint64_t>(heap + 8), name, depth, kDeepest);
    }
    if (is_dataset) ReadDataset(messages, name);
  }

  // A node of the tree of a group's entries, whose level is below `levels`.
  void ReadGroup(uint64_t node, uint64_t names, uint64_t names_size, const std::string& group,
                 int depth, int levels) {
    if (bytes_.Piece(node, 4) == "SNOD") {
      const auto count = bytes_.At<uint16_t>(node + 6);
      for (uint64_t k = 0; k < count; ++k) {
        const uint64_t entry = node + 8 + 40 * k;
        const auto offset = bytes_.At<uint64_t>(entry);
        if (offset >= names_size) Fail("the HDF5 file is damaged: an entry has no name");
        const std::string_view rest = bytes_.Piece(names, names_size).substr(offset);
        const std::string name(rest.substr(0, rest.find('\0')));
        if (bytes_.At<uint32_t>(entry + 16) == 2) {
          Fail("\"", name, "\" of the HDF5 file is a link to another place, which is not followed");
        }
        ReadObject(bytes_.At<uint64_t>(entry + 8), group.empty() ? name : group + "/" + name,
                   depth + 1);
      }
      return;
    }
    const int level = bytes_.At<uint8_t>(node + 5);
    if (bytes_.Piece(node, 4) != "TREE" || bytes_.At<uint8_t>(node + 4) != 0 || level >= levels) {
      Fail("the HDF5 file is damaged: a group has no tree of entries");
    }
    const auto count = bytes_.At<uint16_t>(node + 6);
    for (uint64_t k = 0; k < count; ++k) {
      ReadGroup(bytes_.At<uint64_t>(node + 32 + 16 * k), names, names_size, group, depth, level);
    }
  }

  void ReadDataset(const std::vector<MessageAt>& messages, const std::string& name) {
    Hdf5Dataset dataset;
    dataset.name = name;
    bool has_type = false, has_extents = false;
    try {
      for (const MessageAt& message : messages) {
        if (message.type == kDatatype) {
          dataset.type = ReadType(bytes_, message.at);
          has_type = true;
        } else if (message.type == kDataspace) {
          dataset.extents = ReadExtents(bytes_, message.at);
          has_extents = true;
        } else if (message.type == kLayout) {
          ReadLayout(bytes_, message.at, &dataset);
        } else if (message.type == kFilters) {
          ReadFilters(bytes_, message.at, &dataset);
        } else if (message.type == kFillValue) {
          ReadFill(bytes_, message.at, &dataset);
        } else if (message.type == kExternalFiles) {
          Fail("its values are in other files, which are not read");
        }
      }
      if (!has_type || !has_extents) Fail("the HDF5 file is damaged: it has no type or extents");
    } catch (const engine::Error& error) {
      Fail("dataset \"", name, "\": ", error.what());
    }
    if (!dataset.extents.empty()) datasets_.push_back(std::move(dataset));
  }

  const Hdf5Bytes& bytes_;
  std::vector<Hdf5Dataset> datasets_;
  size_t objects_ = 0;
};

}  // namespace

std::vector<Hdf5Dataset> ListHdf5(const Hdf5Bytes& bytes) { return Lister(bytes).List(); }

}  // namespace beamline::pipeline
