#include "engine/graph/graph.h"

#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {

Graph::Graph(DType real) : real_(real) {
  if (real != DType::kFloat32 && real != DType::kFloat64) {
    Fail("a graph computes in float32 or float64, not in ", engine::Name(real));
  }
}

size_t Graph::Check(Value value) const {
  if (value.id < 0 || static_cast<size_t>(value.id) >= values_.size()) {
    Fail("a value of another graph, or none, was given to the graph builder");
  }
  return static_cast<size_t>(value.id);
}

Value Graph::Named(const std::string& name, const Shape& shape, DType dtype, Role role,
                   Initial initial) {
  if (name.empty()) Fail("inputs, parameters and states of a graph need a name");
  const Value value{static_cast<int32_t>(values_.size())};
  if (!named_.emplace(name, value.id).second) {
    Fail("\"", name, "\" is there twice in the graph: give one of them another name");
  }
  values_.push_back({name, shape, dtype, role, initial, false, nullptr});
  return value;
}

Value Graph::Find(std::string_view name) const {
  const auto found = named_.find(std::string(name));
  return found == named_.end() ? Value() : Value{found->second};
}

const Node& Graph::Append(OpKind op, const std::string& name, std::vector<Value> inputs,
                          const std::vector<Shape>& outputs, const Attributes& attributes) {
  Node node{op, name, std::move(inputs), {}, attributes, gradients_};
  for (const Shape& shape : outputs) {
    node.outputs.push_back({static_cast<int32_t>(values_.size())});
    values_.push_back({name, shape, real_, Role::kIntermediate, {}, false, nullptr});
  }
  nodes_.push_back(std::move(node));
  return nodes_.back();
}

Value Graph::Input(const std::string& name, const Shape& shape) {
  return Named(name, shape, real_, Role::kInput, {});
}

Value Graph::CodesInput(const std::string& name, const Shape& shape) {
  return Named(name, shape, DType::kInt32, Role::kInput, {});
}

Value Graph::Parameter(const std::string& name, const Shape& shape, Initial initial) {
  return Named(name, shape, real_, Role::kParameter, initial);
}

Value Graph::State(const std::string& name, const Shape& shape, double initial) {
  return Named(name, shape, real_, Role::kState, {Initial::Kind::kConstant, initial});
}

Value Graph::Constant(const std::string& name, const Shape& shape,
                      std::span<const double> numbers) {
  Tensor tensor =
      real_ == DType::kFloat64
          ? Tensor::From<double>(shape, numbers)
          : Tensor::From<float>(shape, std::vector<float>(numbers.begin(), numbers.end()));
  const Value value = Named(name, shape, real_, Role::kConstant, {});
  values_[Check(value)].constant = std::make_shared<const Tensor>(std::move(tensor));
  return value;
}

Value Graph::CodesConstant(const std::string& name, const Shape& shape,
                           std::span<const int32_t> codes) {
  Tensor tensor = Tensor::From<int32_t>(shape, codes);
  const Value value = Named(name, shape, DType::kInt32, Role::kConstant, {});
  values_[Check(value)].constant = std::make_shared<const Tensor>(std::move(tensor));
  return value;
}

Value Graph::SharedConstant(const std::string& name, std::shared_ptr<const Tensor> elements) {
  if (elements->dtype() != DType::kInt32 && elements->dtype() != real_) {
    const std::span<const float> numbers = elements->values<float>();
    return Constant(name, elements->shape(), std::vector<double>(numbers.begin(), numbers.end()));
  }
  const Value value = Named(name, elements->shape(), elements->dtype(), Role::kConstant, {});
  values_[Check(value)].constant = std::move(elements);
  return value;
}

void Graph::RequireVector(const std::string& name, std::string_view what, Value value,
                          int64_t length) const {
  if (shape(value) != Shape({length})) {
    Fail("layer \"", name, "\": its ", what, " must have shape [", length, "], not ", shape(value));
  }
}

}  // namespace beamline::engine
