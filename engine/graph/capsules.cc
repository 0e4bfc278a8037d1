// The builder methods of capsules.
#include "engine/core/error.h"
#include "engine/graph/graph.h"

namespace beamline::engine {
namespace {

// Whole examples are routed at once: a bound on what each of them keeps.
constexpr int64_t kMaxIterations = 100;

void RequireCapsules(const Graph& graph, const std::string& name, Value x) {
  const Shape& shape = graph.shape(x);
  if (graph.info(x).dtype != graph.real()) {
    Fail("layer \"", name, "\" cannot take codes: embed them first");
  }
  if (shape.rank() == 3 && shape.NumElements() > 0) return;
  Fail("layer \"", name, "\" expects capsules [batch, capsules, dimension] but gets ", shape,
       ": put primary_capsules before it, or \"reshape: {shape: [capsules, dimension]}\"");
}

}  // namespace

Value Graph::Squash(const std::string& name, Value x) {
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  return Append(OpKind::kSquash, name, {x}, {shape(x)}).outputs[0];
}

Value Graph::CapsuleLength(const std::string& name, Value x) {
  RequireCapsules(*this, name, x);
  return Append(OpKind::kRowLength, name, {x}, {Shape({shape(x).dim(0), shape(x).dim(1)})})
      .outputs[0];
}

Value Graph::Votes(const std::string& name, Value u, Value weight) {
  RequireCapsules(*this, name, u);
  const Shape& from = shape(u);
  const Shape& by = shape(weight);
  if (by.rank() != 3 || by.dim(0) != from.dim(1) || by.dim(1) != from.dim(2)) {
    Fail("layer \"", name, "\" has a weight of shape ", by, " for capsules ", from,
         ": make it [capsules, dimension, votes]");
  }
  return Append(OpKind::kVotes, name, {u, weight}, {Shape({from.dim(0), from.dim(1), by.dim(2)})})
      .outputs[0];
}

Value Graph::Routing(const std::string& name, Value votes, int64_t capsules, int64_t iterations) {
  RequireCapsules(*this, name, votes);
  const Shape& from = shape(votes);
  if (capsules < 1 || from.dim(2) % capsules != 0) {
    Fail("layer \"", name, "\" routes to ", capsules, " capsules, which do not divide the ",
         from.dim(2), " numbers of a vote");
  }
  if (iterations < 1 || iterations > kMaxIterations) {
    Fail("layer \"", name, "\" has ", iterations, " iterations: set iterations to a number from 1 ",
         "to ", kMaxIterations, ", such as 3");
  }
  Attributes attributes;
  attributes.heads = capsules;
  attributes.iterations = iterations;
  return Append(OpKind::kRouting, name, {votes},
                {Shape({from.dim(0), capsules, from.dim(2) / capsules}),
                 Shape({from.dim(0), iterations, from.dim(2)})},
                attributes)
      .outputs[0];
}

}  // namespace beamline::engine
