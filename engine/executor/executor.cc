#include "engine/executor/executor.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace beamline::engine {
namespace {

int64_t Align(int64_t bytes) {
  return (bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
}

size_t Index(Value value) { return static_cast<size_t>(value.id); }

int64_t BytesOf(const ValueInfo& info) {
  return Align(info.shape.NumElements() * SizeOf(info.dtype));
}

Operand OperandOf(const ValueInfo& info, void* data) {
  const Shape& shape = info.shape;
  return {data,        shape.Rows(), shape.Columns(), shape.NumElements(), shape.extents().data(),
          shape.rank()};
}

}  // namespace

void MoveUpdatesToEnd(Graph* graph) {
  std::vector<Node> nodes = graph->nodes();
  std::vector<bool> updated(graph->values().size());
  for (const Node& node : nodes) {
    for (const Value input : node.inputs) {
      if (updated[Index(input)] && node.op != OpKind::kUpdate) return;
      const Role role = graph->info(input).role;
      const bool variable = role == Role::kParameter || role == Role::kState;
      if (node.op == OpKind::kUpdate && variable) updated[Index(input)] = true;
    }
  }
  std::stable_partition(nodes.begin(), nodes.end(),
                        [](const Node& node) { return node.op != OpKind::kUpdate; });
  graph->SetNodes(std::move(nodes));
}

Scratch ScratchFor(const Graph& graph, const Backend& backend) {
  Scratch most;
  if (backend.scratch == nullptr) return most;
  std::vector<Operand> operands;
  for (const Node& node : graph.nodes()) {
    operands.clear();
    for (const Value value : node.inputs) operands.push_back(OperandOf(graph.info(value), nullptr));
    for (const Value value : node.outputs) {
      operands.push_back(OperandOf(graph.info(value), nullptr));
    }
    KernelCall call;
    call.attributes = &node.attributes;
    call.offsets = node.attributes.offsets.data();
    call.inputs = operands.data();
    call.inputs_count = static_cast<int>(node.inputs.size());
    call.outputs = operands.data() + node.inputs.size();
    call.outputs_count = static_cast<int>(node.outputs.size());
    const Scratch scratch = backend.scratch(node.op, call);
    most.shared_bytes = std::max(most.shared_bytes, Align(scratch.shared_bytes));
    most.per_thread_bytes = std::max(most.per_thread_bytes, Align(scratch.per_thread_bytes));
  }
  return most;
}

Executor::Executor(const Graph& graph, const Backend& backend, Variables* variables,
                   ThreadPool* pool, uint64_t seed)
    : backend_(&backend), variables_(variables), values_(graph.values()), nodes_(graph.nodes()) {
  if (backend.update_many != nullptr) {
    Graph arranged = graph;
    MoveUpdatesToEnd(&arranged);
    nodes_ = arranged.nodes();
    plan_ = PlanMemory(arranged);
  } else {
    plan_ = PlanMemory(graph);
  }
  variables->Create(graph, seed);
  run_.pool = pool;
  run_.seed = seed;
  run_.random = &random_;
  run_.context = backend.context;
  random_.seed = seed;
  pointers_.assign(values_.size(), nullptr);
  places_.assign(values_.size(), nullptr);
  if (backend.device == nullptr) {
    PlaceOnHost();
  } else {
    PlaceOnDevice();
  }
  for (const Node& node : nodes_) {
    if (node.op != OpKind::kReshape) continue;
    pointers_[Index(node.outputs[0])] = pointers_[Index(node.inputs[0])];
  }
  if (backend.device == nullptr) {
    places_ = pointers_;
  } else {
    PlaceOutputs();
  }
  Compile(graph);
  AllocateScratch(ScratchFor(graph, backend));
}

void Executor::AllocateScratch(const Scratch& scratch) {
  const int64_t threads = run_.pool == nullptr ? 1 : run_.pool->threads();
  scratch_bytes_ = scratch.shared_bytes + threads * scratch.per_thread_bytes;
  if (backend_->device != nullptr) {
    device_scratch_ = DeviceBuffer(backend_->device, scratch_bytes_);
    run_.shared_scratch = device_scratch_.data();
    return;
  }
  scratch_ = AlignedBuffer(scratch_bytes_);
  run_.shared_scratch = scratch_.data();
  run_.thread_scratch = scratch_.data() + scratch.shared_bytes;
  run_.thread_scratch_bytes = scratch.per_thread_bytes;
}

void Executor::PlaceOnHost() {
  arena_ = AlignedBuffer(plan_.arena_bytes);
  for (size_t i = 0; i < values_.size(); ++i) {
    const ValueInfo& info = values_[i];
    if (info.role == Role::kParameter || info.role == Role::kState) {
      pointers_[i] = variables_->Get(info.name).raw();
    } else if (info.role == Role::kConstant) {
      // No kernel writes to it.
      pointers_[i] = const_cast<std::byte*>(info.constant->raw());
    } else if (plan_.offset_bytes[i] >= 0) {
      pointers_[i] = arena_.data() + plan_.offset_bytes[i];
    }
  }
}

void Executor::PlaceOnDevice() {
  Device* device = backend_->device;
  device_arena_ = DeviceBuffer(device, plan_.arena_bytes);
  input_bytes_ = Align(sizeof(RandomState));
  int64_t output_bytes = 0;
  for (size_t i = 0; i < values_.size(); ++i) {
    const ValueInfo& info = values_[i];
    if (info.role == Role::kInput && plan_.offset_bytes[i] >= 0) input_bytes_ += BytesOf(info);
    if (info.output) output_bytes += BytesOf(info);
  }
  device_inputs_ = DeviceBuffer(device, input_bytes_);
  mirror_ = HostBuffer(device, input_bytes_ + output_bytes);
  run_.random = reinterpret_cast<const RandomState*>(device_inputs_.data());
  int64_t next = Align(sizeof(RandomState));
  for (size_t i = 0; i < values_.size(); ++i) {
    const ValueInfo& info = values_[i];
    if (info.role == Role::kParameter || info.role == Role::kState) {
      pointers_[i] = variables_->OnDevice(info.name, device)->on_device.data();
    } else if (info.role == Role::kConstant) {
      DeviceBuffer& constant = constants_.emplace_back(device, BytesOf(info));
      device->Upload(constant.data(), info.constant->raw(), info.constant->size_bytes());
      pointers_[i] = constant.data();
    } else if (info.role == Role::kInput && plan_.offset_bytes[i] >= 0) {
      pointers_[i] = device_inputs_.data() + next;
      places_[i] = mirror_.data() + next;
      next += BytesOf(info);
    } else if (plan_.offset_bytes[i] >= 0) {
      pointers_[i] = device_arena_.data() + plan_.offset_bytes[i];
    }
  }
  device->AwaitUploads();
}

// Gives each output a place beside the inputs', and notes which variables the graph changes.
void Executor::PlaceOutputs() {
  int64_t next = input_bytes_;
  for (size_t i = 0; i < values_.size(); ++i) {
    const ValueInfo& info = values_[i];
    if (!info.output || info.role != Role::kIntermediate || pointers_[i] == nullptr) continue;
    places_[i] = mirror_.data() + next;
    const int64_t bytes = info.shape.NumElements() * SizeOf(info.dtype);
    outputs_.push_back({mirror_.data() + next, pointers_[i], bytes});
    next += BytesOf(info);
  }
  for (const Node& node : nodes_) {
    if (node.op != OpKind::kUpdate && node.op != OpKind::kBatchNorm) continue;
    for (const Value input : node.inputs) {
      const ValueInfo& info = values_[Index(input)];
      if (info.role != Role::kParameter && info.role != Role::kState) continue;
      written_.push_back(variables_->OnDevice(info.name, backend_->device));
    }
  }
}

void Executor::Compile(const Graph& graph) {
  const bool wide = graph.real() == DType::kFloat64;
  const KernelTable* table = wide ? backend_->float64 : backend_->float32;
  if (table == nullptr) {
    Fail("backend \"", backend_->name, "\" does not compute in ", engine::Name(graph.real()),
         ": use backend \"reference\"");
  }
  size_t operands = 0;
  for (const Node& node : nodes_) operands += node.inputs.size() + node.outputs.size();
  operands_.reserve(operands);
  const auto append = [&](const std::vector<Value>& values) {
    const size_t first = operands_.size();
    for (const Value value : values) {
      operands_.push_back(OperandOf(values_[Index(value)], pointers_[Index(value)]));
    }
    return operands_.data() + first;
  };
  for (const Node& node : nodes_) {
    if (node.op == OpKind::kReshape) continue;
    Step step{node.op, (*table)[static_cast<size_t>(node.op)], calls_.size(), 1};
    if (step.kernel == nullptr) {
      Fail("backend \"", backend_->name, "\" cannot compute layer \"", node.name, "\" (",
           Name(node.op), "): use backend \"reference\"");
    }
    KernelCall& call = calls_.emplace_back();
    call.attributes = &node.attributes;
    call.offsets = node.attributes.offsets.data();
    call.inputs = append(node.inputs);
    call.inputs_count = static_cast<int>(node.inputs.size());
    call.outputs = append(node.outputs);
    call.outputs_count = static_cast<int>(node.outputs.size());
    const bool update = node.op == OpKind::kUpdate && backend_->update_many != nullptr;
    if (update) step.kernel = nullptr;
    if (update && !steps_.empty() && steps_.back().kernel == nullptr &&
        calls_[steps_.back().first].attributes->rule == node.attributes.rule) {
      ++steps_.back().count;
    } else {
      steps_.push_back(step);
    }
  }
}

void* Executor::Locate(Value value, DType dtype) {
  const size_t index = Index(value);
  if (value.id < 0 || index >= values_.size() || pointers_[index] == nullptr) {
    Fail("the executor was asked for a value that its graph does not hold");
  }
  const ValueInfo& info = values_[index];
  if (info.role == Role::kIntermediate && !info.output) {
    Fail("a value of layer \"", info.name, "\" was asked for that is not an output: mark it first");
  }
  if (info.dtype != dtype) {
    Fail("\"", info.name, "\" holds ", engine::Name(info.dtype), ", not ", engine::Name(dtype));
  }
  if (places_[index] != nullptr) return places_[index];
  return variables_->Get(info.name).raw();
}

void Executor::Set(Value number, double to) {
  if (values_.at(Index(number)).dtype == DType::kFloat64) {
    Data<double>(number)[0] = to;
  } else {
    Data<float>(number)[0] = static_cast<float>(to);
  }
}

double Executor::Get(Value number) {
  if (values_.at(Index(number)).dtype == DType::kFloat64) return Data<double>(number)[0];
  return Data<float>(number)[0];
}

void Executor::Start(uint64_t step) {
  run_.step = step;
  random_.step = step;
  if (backend_->device != nullptr) return StartOnDevice();
  for (const Step& next : steps_) next.kernel(calls_[next.first], run_);
}

void Executor::RunTimed(uint64_t step, const std::function<double()>& now,
                        std::vector<double>* seconds) {
  if (backend_->device != nullptr) {
    Fail("kernels on a device run beside their caller: they cannot be timed one by one");
  }
  run_.step = step;
  random_.step = step;
  seconds->resize(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    const double before = now();
    steps_[i].kernel(calls_[steps_[i].first], run_);
    (*seconds)[i] = now() - before;
  }
}

void Executor::StartOnDevice() {
  Device* device = backend_->device;
  variables_->ToDevice();
  std::memcpy(mirror_.data(), &random_, sizeof random_);
  device->Upload(device_inputs_.data(), mirror_.data(), input_bytes_);
  ++runs_;
  // The first run finds out what cannot be started, and by which op; it also lets libraries choose
  // their kernels, which a recording must not.
  if (backend_->records && runs_ == 2) {
    device->BeginRecording();
    Launch();
    recording_ = device->EndRecording();
  }
  if (recording_ != nullptr) {
    recording_->Replay();
  } else {
    Launch();
  }
  for (Variable* variable : written_) variable->device_newer = true;
}

void Executor::Launch() {
  for (const Step& step : steps_) {
    const KernelCall& call = calls_[step.first];
    if (step.kernel == nullptr) {
      backend_->update_many(&call, step.count, run_);
    } else {
      step.kernel(call, run_);
    }
    backend_->device->CheckLaunch(Name(step.op));
  }
  backend_->device->DownloadAll(outputs_);
}

void Executor::AwaitInputs() {
  if (backend_->device != nullptr) backend_->device->AwaitUploads();
}

void Executor::Finish() {
  if (backend_->device != nullptr) backend_->device->Wait();
}

}  // namespace beamline::engine
