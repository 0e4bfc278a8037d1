#include "engine/executor/variables.h"

#include "engine/executor/orthogonal.h"

#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

// FNV-1a: a stream of random numbers per name.
uint64_t StreamOf(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

float Element(const Initial& initial, const Philox& random, uint64_t i) {
  const auto scale = static_cast<float>(initial.scale);
  switch (initial.kind) {
    case Initial::Kind::kConstant: {
      const auto at = static_cast<int64_t>(i);
      return initial.end == 0 || (at >= initial.begin && at < initial.end) ? scale : 0.0f;
    }
    case Initial::Kind::kUniform:
      return scale * (2.0f * random.Uniform(i) - 1.0f);
    case Initial::Kind::kNormal:
      return scale * random.Normal(i);
    case Initial::Kind::kOrthogonal:
      break;  // not made element by element
  }
  return 0;
}

template <typename T>
void FillInitial(const ValueInfo& info, uint64_t seed, Tensor* tensor) {
  const Philox random(seed, StreamOf(info.name));
  const std::span<T> values = tensor->values<T>();
  if (info.initial.kind == Initial::Kind::kOrthogonal) {
    const std::vector<double> drawn =
        OrthogonalBlocks(info.shape.dim(0), info.shape.dim(1), random);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(info.initial.scale * drawn[i]);
    }
    return;
  }
  for (size_t i = 0; i < values.size(); ++i) values[i] = Element(info.initial, random, i);
}

}  // namespace

void Variables::Create(const Graph& graph, uint64_t seed) {
  for (const ValueInfo& info : graph.values()) {
    if (info.role != Role::kParameter && info.role != Role::kState) continue;
    const auto found = variables_.find(info.name);
    if (found != variables_.end()) {
      const Tensor& tensor = found->second.tensor;
      if (tensor.shape() != info.shape || tensor.dtype() != info.dtype) {
        Fail("\"", info.name, "\" has shape ", tensor.shape(), " in one graph and ", info.shape,
             " in another: graphs that share variables must be made of one definition");
      }
      continue;
    }
    Variable variable{info.role, Tensor(info.shape, info.dtype)};
    if (info.dtype == DType::kFloat64) {
      FillInitial<double>(info, seed, &variable.tensor);
    } else {
      FillInitial<float>(info, seed, &variable.tensor);
    }
    variables_.emplace(info.name, std::move(variable));
  }
}

Tensor& Variables::Get(std::string_view name) {
  const auto found = variables_.find(name);
  if (found == variables_.end()) Fail("there is no parameter or state \"", name, "\"");
  return found->second.tensor;
}

const Tensor& Variables::Get(std::string_view name) const {
  const auto found = variables_.find(name);
  if (found == variables_.end()) Fail("there is no parameter or state \"", name, "\"");
  return found->second.tensor;
}

}  // namespace beamline::engine
