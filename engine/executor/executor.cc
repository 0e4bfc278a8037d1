#include "engine/executor/executor.h"

#include <algorithm>

namespace beamline::engine {
namespace {

int64_t Align(int64_t bytes) {
  return (bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
}

Operand OperandOf(const ValueInfo& info, void* data) {
  const Shape& shape = info.shape;
  return {data,        shape.Rows(), shape.Columns(), shape.NumElements(), shape.extents().data(),
          shape.rank()};
}

}  // namespace

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
    : values_(graph.values()),
      nodes_(graph.nodes()),
      plan_(PlanMemory(graph)),
      arena_(plan_.arena_bytes) {
  variables->Create(graph, seed);
  run_.pool = pool;
  run_.seed = seed;
  Resolve(graph, variables);
  Compile(graph, backend);
  AllocateScratch(ScratchFor(graph, backend));
}

void Executor::AllocateScratch(const Scratch& scratch) {
  const int64_t threads = run_.pool == nullptr ? 1 : run_.pool->threads();
  scratch_ = AlignedBuffer(scratch.shared_bytes + threads * scratch.per_thread_bytes);
  run_.shared_scratch = scratch_.data();
  run_.thread_scratch = scratch_.data() + scratch.shared_bytes;
  run_.thread_scratch_bytes = scratch.per_thread_bytes;
}

void Executor::Resolve(const Graph& graph, Variables* variables) {
  pointers_.assign(values_.size(), nullptr);
  for (size_t i = 0; i < values_.size(); ++i) {
    const ValueInfo& info = values_[i];
    if (info.role == Role::kParameter || info.role == Role::kState) {
      pointers_[i] = variables->Get(info.name).raw();
    } else if (info.role == Role::kConstant) {
      // No kernel writes to it.
      pointers_[i] = const_cast<std::byte*>(info.constant->raw());
    } else if (plan_.offset_bytes[i] >= 0) {
      pointers_[i] = arena_.data() + plan_.offset_bytes[i];
    }
  }
  for (const Node& node : graph.nodes()) {
    if (node.op != OpKind::kReshape) continue;
    pointers_[static_cast<size_t>(node.outputs[0].id)] =
        pointers_[static_cast<size_t>(node.inputs[0].id)];
  }
}

void Executor::Compile(const Graph& graph, const Backend& backend) {
  const KernelTable* table = graph.real() == DType::kFloat64 ? backend.float64 : backend.float32;
  if (table == nullptr) {
    Fail("backend \"", backend.name, "\" does not compute in ", engine::Name(graph.real()),
         ": use backend \"reference\"");
  }
  size_t operands = 0;
  for (const Node& node : nodes_) operands += node.inputs.size() + node.outputs.size();
  operands_.reserve(operands);
  const auto append = [&](const std::vector<Value>& values) {
    const size_t first = operands_.size();
    for (const Value value : values) {
      const auto index = static_cast<size_t>(value.id);
      operands_.push_back(OperandOf(values_[index], pointers_[index]));
    }
    return operands_.data() + first;
  };
  for (const Node& node : nodes_) {
    if (node.op == OpKind::kReshape) continue;
    Step step;
    step.kernel = (*table)[static_cast<size_t>(node.op)];
    if (step.kernel == nullptr) {
      Fail("backend \"", backend.name, "\" cannot compute layer \"", node.name, "\" (",
           Name(node.op), "): use backend \"reference\"");
    }
    step.call.attributes = &node.attributes;
    step.call.offsets = node.attributes.offsets.data();
    step.call.inputs = append(node.inputs);
    step.call.inputs_count = static_cast<int>(node.inputs.size());
    step.call.outputs = append(node.outputs);
    step.call.outputs_count = static_cast<int>(node.outputs.size());
    steps_.push_back(step);
  }
}

void* Executor::Locate(Value value, DType dtype) {
  const auto index = static_cast<size_t>(value.id);
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
  return pointers_[index];
}

void Executor::Set(Value number, double to) {
  if (values_.at(static_cast<size_t>(number.id)).dtype == DType::kFloat64) {
    Data<double>(number)[0] = to;
  } else {
    Data<float>(number)[0] = static_cast<float>(to);
  }
}

double Executor::Get(Value number) {
  if (values_.at(static_cast<size_t>(number.id)).dtype == DType::kFloat64) {
    return Data<double>(number)[0];
  }
  return Data<float>(number)[0];
}

void Executor::Run(uint64_t step) {
  run_.step = step;
  for (const Step& next : steps_) next.kernel(next.call, run_);
}

}  // namespace beamline::engine
