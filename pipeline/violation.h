// What is wrong with a definition: a list of places, each with what to change.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "beamline/v1/common.pb.h"

namespace beamline::pipeline {

// A place in a text, from 1; 0 is unknown.
struct Position {
  int line = 0;
  int column = 0;
};

// Where the fields of a definition stand in the text that it was read from, by field path:
// "steps.train.train.network.layers.0.dense.units". Steps are named, all other list elements
// numbered from 0.
using Positions = std::map<std::string, Position, std::less<>>;

// Collects violations. Not thread-safe.
class Violations {
 public:
  Violations() = default;
  // Positions, if any, must outlive this object: every violation added gets the position of its
  // field, or else of the nearest field around it.
  explicit Violations(const Positions* positions) : positions_(positions) {}

  void Add(std::string_view field, std::string_view description);
  void AddAt(std::string_view field, std::string_view description, Position position);

  bool empty() const { return list_.empty(); }
  const std::vector<v1::Violation>& list() const { return list_; }

 private:
  const Positions* positions_ = nullptr;
  std::vector<v1::Violation> list_;
};

// One line a violation: "pipeline.yaml:3:5: steps.train: text"; without a position "steps.train:
// text". `file` may be empty.
std::string FormatViolations(const std::vector<v1::Violation>& violations, std::string_view file);

// InvalidArgument with all violations in the message, and as a google.rpc.BadRequest in the payload
// "type.googleapis.com/google.rpc.BadRequest" (field, description with "line L, column C: " in
// front where known). OK if there is none.
absl::Status ToInvalidArgument(const std::vector<v1::Violation>& violations);

// The same as Unimplemented: for what this version does not have yet.
absl::Status ToUnimplemented(const std::vector<v1::Violation>& violations);

// "" or " (did you mean "x"?)".
std::string Hint(std::string_view word, const std::vector<std::string>& known);

}  // namespace beamline::pipeline
