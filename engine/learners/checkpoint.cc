#include "engine/learners/checkpoint.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "checkpoints are little-endian");

constexpr std::string_view kMagic = "BLCKPT01";

// FNV-1a over words of 8 bytes, the last one padded with zeros, then the length.
uint64_t Checksum(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto mix = [&hash](uint64_t word) {
    hash = (hash ^ word) * 0x100000001b3u;
    hash ^= hash >> 32;
  };
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<size_t>(8, bytes.size() - i));
    mix(word);
  }
  mix(bytes.size());
  return hash;
}

[[noreturn]] void Damaged() {
  Fail("the checkpoint is damaged: use an earlier one or start the training anew");
}

}  // namespace

CheckpointWriter::CheckpointWriter(std::string* bytes) : bytes_(*bytes) { bytes_.assign(kMagic); }

void CheckpointWriter::Integer(uint64_t value) {
  bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void CheckpointWriter::Number(double value) { Integer(std::bit_cast<uint64_t>(value)); }

void CheckpointWriter::Text(std::string_view text) {
  Integer(text.size());
  bytes_.append(text);
}

void CheckpointWriter::Elements(const Tensor& tensor) {
  Integer(static_cast<uint64_t>(tensor.dtype()));
  Integer(static_cast<uint64_t>(tensor.shape().rank()));
  for (const int64_t extent : tensor.shape().extents()) Integer(static_cast<uint64_t>(extent));
  Text({reinterpret_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.size_bytes())});
}

void CheckpointWriter::Finish() { Integer(Checksum(bytes_)); }

CheckpointReader::CheckpointReader(std::string_view bytes) : rest_(bytes) {
  if (bytes.size() < kMagic.size() + 8 || bytes.substr(0, kMagic.size()) != kMagic) {
    Fail("this is not a checkpoint of this version: start the training anew");
  }
  uint64_t sum = 0;
  std::memcpy(&sum, bytes.data() + bytes.size() - 8, 8);
  bytes.remove_suffix(8);
  if (Checksum(bytes) != sum) Damaged();
  rest_ = bytes.substr(kMagic.size());
}

std::string_view CheckpointReader::Take(size_t size) {
  if (size > rest_.size()) Damaged();
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

uint64_t CheckpointReader::Integer() {
  uint64_t value = 0;
  std::memcpy(&value, Take(sizeof(value)).data(), sizeof(value));
  return value;
}

double CheckpointReader::Number() { return std::bit_cast<double>(Integer()); }

std::string_view CheckpointReader::Text() { return Take(Integer()); }

void CheckpointReader::Elements(Tensor* tensor) {
  bool same = Integer() == static_cast<uint64_t>(tensor->dtype());
  const uint64_t rank = Integer();
  same = same && rank == static_cast<uint64_t>(tensor->shape().rank());
  for (uint64_t i = 0; same && i < rank; ++i) {
    same = Count() == tensor->shape().dim(static_cast<int>(i));
  }
  if (!same) Fail("the checkpoint holds tensors of other shapes: it belongs to another network");
  const std::string_view bytes = Text();
  if (static_cast<int64_t>(bytes.size()) != tensor->size_bytes()) Damaged();
  if (!bytes.empty()) std::memcpy(tensor->raw(), bytes.data(), bytes.size());
}

void CheckpointReader::Finish() const {
  if (!rest_.empty()) Damaged();
}

uint64_t FingerprintOf(std::string_view definition) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : definition) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

void WriteHead(uint64_t fingerprint, const BatchSource* training, CheckpointWriter* out) {
  out->Integer(fingerprint);
  out->Integer(training != nullptr ? static_cast<uint64_t>(training->rows()) : 0);
}

void CheckHead(std::optional<uint64_t> fingerprint, const BatchSource* training,
               CheckpointReader* in) {
  if (const uint64_t found = in->Integer(); fingerprint.value_or(found) != found) {
    Fail("the checkpoint belongs to another definition: start the training anew");
  }
  const int64_t rows = training != nullptr ? training->rows() : 0;
  if (in->Count() != rows) {
    Fail("the checkpoint belongs to other training rows than these ", rows,
         ": start the training anew");
  }
}

void WriteTensors(const std::map<std::string, Tensor>& tensors, CheckpointWriter* out) {
  out->Integer(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    out->Text(name);
    out->Elements(tensor);
  }
}

void WriteVariables(const Variables& variables, CheckpointWriter* out) {
  out->Integer(variables.all().size());
  for (const auto& [name, variable] : variables.all()) {
    out->Text(name);
    out->Elements(variable.tensor);
  }
}

std::map<std::string, Tensor> ReadTensors(const Variables& variables, CheckpointReader* in) {
  std::map<std::string, Tensor> tensors;
  for (uint64_t left = in->Integer(); left > 0; --left) {
    const std::string name(in->Text());
    const Tensor& like = variables.Get(name);
    Tensor tensor(like.shape(), like.dtype());
    in->Elements(&tensor);
    tensors[name] = std::move(tensor);
  }
  return tensors;
}

std::map<std::string, Tensor> ReadVariables(const Variables& variables, CheckpointReader* in) {
  std::map<std::string, Tensor> tensors = ReadTensors(variables, in);
  if (tensors.size() != variables.all().size()) {
    Fail("the checkpoint lacks variables of the network: it belongs to another one");
  }
  return tensors;
}

void RestoreVariables(const std::map<std::string, Tensor>& tensors, Variables* variables) {
  for (const auto& [name, tensor] : tensors) {
    std::memcpy(variables->Get(name).raw(), tensor.raw(), static_cast<size_t>(tensor.size_bytes()));
  }
}

}  // namespace beamline::engine
