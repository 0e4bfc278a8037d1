// Messages of a task's process: the same however the stream is cut. The bytes are given as they
// are, and as lines that a program says.
#include <string>
#include <vector>

#include "beamline/v1/task.pb.h"
#include "pipeline/metric_lines.h"
#include "tests/fuzz/fuzz.h"
#include "worker/frames.h"

namespace beamline::fuzz {
namespace {

std::vector<std::string> Messages(std::string_view bytes, size_t piece) {
  worker::FrameReader reader;
  std::vector<std::string> messages;
  while (true) {
    while (true) {
      const auto next = reader.Next();
      if (!next.ok()) {
        messages.emplace_back("useless");
        return messages;
      }
      if (!next->has_value()) break;
      messages.emplace_back(**next);
    }
    if (bytes.empty()) return messages;
    reader.Append(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
}

}  // namespace

void Fuzz(std::string_view bytes) {
  Choices choices(bytes);
  const size_t piece = 1 + choices.Below(20);
  const std::vector<std::string> messages = Messages(choices.rest(), choices.rest().size() + 1);
  Require(Messages(choices.rest(), piece) == messages, "how a stream is cut changes nothing");
  for (const std::string& message : messages) {
    v1::TaskMessage parsed;
    if (!parsed.ParseFromString(message)) continue;
    const auto frame = worker::EncodeFrame(parsed);
    Require(frame.ok() && Messages(*frame, piece).size() == 1, "a message is one frame");
  }
  const pipeline::ProgramWord word = pipeline::ParseMetricLine(choices.rest());
  Require((word.kind == pipeline::ProgramWord::kWrong) == !word.why.empty(),
          "a line is right, or said to be wrong");
}

}  // namespace beamline::fuzz
