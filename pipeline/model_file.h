// Model files: safetensors, with the ModelCard as JSON in the metadata.
//
//   8 bytes   length N of the header, little-endian
//   N bytes   JSON: {"__metadata__": {"beamline.card": "...", "format": "beamline-model"},
//             "NAME": {"dtype": "F32", "shape": [28, 64], "data_offsets": [0, 7168]}, ...},
//             padded with spaces to a multiple of 8
//   the rest  the tensors' bytes, little-endian, in ascending order of names, without gaps
//
// Any safetensors reader can open it. The bytes are a function of the content: names are sorted,
// the card is written with sorted keys and shortest round-trip numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/model.pb.h"
#include "engine/core/tensor.h"

namespace beamline::pipeline {

// A header longer than this is refused. Unit: bytes.
inline constexpr size_t kMaxModelHeaderBytes = size_t{8} << 20;
inline constexpr size_t kMaxModelTensors = 100'000;

struct ModelFile {
  v1::ModelCard card;
  // float32 or int64; ascending by name.
  std::vector<engine::NamedTensor> tensors;
};

// InvalidArgument if a name is empty, reserved or there twice, or a type is not float32 or int64.
absl::StatusOr<std::string> EncodeModel(const ModelFile& model);

// InvalidArgument, saying what is wrong, for what is no model file: any bytes are safe to pass. The
// text of the card may be another than EncodeModel writes: it belongs to the JSON library.
absl::StatusOr<ModelFile> DecodeModel(std::string_view bytes);

}  // namespace beamline::pipeline
