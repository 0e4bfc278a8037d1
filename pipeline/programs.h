// Which steps run programs of the user's, and what is fixed about these.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "beamline/v1/pipeline.pb.h"

namespace beamline::pipeline {

// Bounds of Program, for validation.
inline constexpr int kMaxProgramFiles = 100;
inline constexpr int64_t kMaxProgramBytes = int64_t{1} << 20;
inline constexpr int kMaxProgramArguments = 1000;

// A worker tells of no more images than so many, the first of them; an import beyond is refused.
inline constexpr int kMaxImages = 100;

// Whether an attempt at the step starts a program.
bool RunsProgram(const v1::PipelineDefinition& definition, const v1::Step& step);

// The image that it starts its program in: "sha256:..."; empty: the worker's own root.
std::string ImageOf(const v1::PipelineDefinition& definition, const v1::Step& step);

// Whether it is "sha256:" and 64 hexadecimal digits.
inline bool IsImageDigest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  return text.starts_with(kPrefix) && IsSha256Hex(text.substr(kPrefix.size()));
}

// The first step that does; null if none does.
const v1::Step* FindProgramStep(const v1::PipelineDefinition& definition);

}  // namespace beamline::pipeline
