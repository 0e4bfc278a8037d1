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
    Variable variable;
    variable.role = info.role;
    variable.tensor = Tensor(info.shape, info.dtype);
    if (info.dtype == DType::kFloat64) {
      FillInitial<double>(info, seed, &variable.tensor);
    } else {
      FillInitial<float>(info, seed, &variable.tensor);
    }
    variables_.emplace(info.name, std::move(variable));
  }
}

// The variable of that name.
template <typename Map>
static auto& Find(Map& variables, std::string_view name) {
  const auto found = variables.find(name);
  if (found == variables.end()) Fail("there is no parameter or state \"", name, "\"");
  return found->second;
}

void Variables::ToHost(Variable* variable) const {
  if (!variable->device_newer) return;
  device_->Download(variable->tensor.raw(), variable->on_device.data(),
                    variable->tensor.size_bytes());
  device_->Wait();
  variable->device_newer = false;
}

const std::map<std::string, Variable, std::less<>>& Variables::all() const {
  for (auto& [name, variable] : variables_) ToHost(&variable);
  return variables_;
}

Tensor& Variables::Get(std::string_view name) {
  Variable& variable = Find(variables_, name);
  ToHost(&variable);
  variable.host_newer = true;
  touched_ = true;
  return variable.tensor;
}

const Tensor& Variables::Get(std::string_view name) const {
  Variable& variable = Find(variables_, name);
  ToHost(&variable);
  return variable.tensor;
}

void Variables::Touch(bool change) {
  if (device_ == nullptr) return;
  for (auto& [name, variable] : variables_) {
    ToHost(&variable);
    variable.host_newer = variable.host_newer || change;
  }
  touched_ = touched_ || change;
}

Variable* Variables::OnDevice(std::string_view name, Device* device) {
  Variable& variable = Find(variables_, name);
  device_ = device;
  if (variable.on_device.data() == nullptr) {
    variable.on_device = DeviceBuffer(device, variable.tensor.size_bytes());
    variable.host_newer = true;
    touched_ = true;
  }
  return &variable;
}

void Variables::ToDevice() {
  if (!touched_) return;
  for (auto& [name, variable] : variables_) {
    if (!variable.host_newer || variable.on_device.data() == nullptr) continue;
    device_->Upload(variable.on_device.data(), variable.tensor.raw(), variable.tensor.size_bytes());
    variable.host_newer = false;
  }
  touched_ = false;
}

}  // namespace beamline::engine
