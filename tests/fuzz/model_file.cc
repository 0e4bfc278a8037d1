// Model files: what can be read can be written, and be made a learner of or not.
#include <new>

#include "engine/core/error.h"
#include "pipeline/model_file.h"
#include "pipeline/training.h"
#include "tests/fuzz/fuzz.h"

namespace beamline::fuzz {

void Fuzz(std::string_view bytes) {
  const auto model = pipeline::DecodeModel(bytes);
  if (!model.ok()) {
    Require(!model.status().message().empty(), "an error says what is wrong");
    return;
  }
  const auto written = pipeline::EncodeModel(*model);
  Require(written.ok(), "what was read can be written");
  const auto read = pipeline::DecodeModel(*written);
  Require(read.ok(), "what was written can be read");
  const auto again = pipeline::EncodeModel(*read);
  Require(again.ok() && *again == *written, "a model file is a function of its content");
  Thrown<engine::Error>([&] { pipeline::PrepareInference(model->card); });
}

}  // namespace beamline::fuzz
