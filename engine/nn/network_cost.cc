// What a training costs, from its graph alone.
#include "engine/executor/executor.h"
#include "engine/nn/adversarial.h"
#include "engine/nn/network.h"
#include "engine/passes/kernel_work.h"
#include "engine/passes/memory_plan.h"

namespace beamline::engine {
NetworkCost EstimateCost(const NetworkSpec& spec, const BatchLayout& layout) {
  NetworkCost cost;
  const Network training = BuildNetwork(spec, layout, spec.batch_size, NetworkMode::kTraining);
  const Network prediction = BuildNetwork(spec, layout, 1, NetworkMode::kPrediction);
  const Scratch scratch = ScratchFor(training.graph, FindBackend(spec.backend));
  cost.peak_bytes = PlanMemory(training.graph).peak_bytes() + scratch.shared_bytes +
                    spec.threads * scratch.per_thread_bytes;
  const bool averages = spec.averaging.kind != AveragingKind::kNone;
  for (const ValueInfo& info : training.graph.values()) {
    const int64_t elements = info.shape.NumElements();
    if (info.role == Role::kParameter) cost.parameters += elements;
    const bool weight = info.role == Role::kParameter ||
                        (info.role == Role::kState && !info.name.starts_with("optimizer/"));
    if (averages && weight) cost.peak_bytes += elements * SizeOf(info.dtype);
  }
  cost.flops_per_step = ProductFlops(training.graph);
  cost.flops_per_row = ProductFlops(prediction.graph);
  return cost;
}

NetworkCost EstimateCost(const AdversarialSpec& spec, const BatchLayout& layout) {
  NetworkCost cost;
  const Backend& backend = FindBackend(spec.backend);
  for (const AdversarialMode mode :
       {AdversarialMode::kDiscriminatorStep, AdversarialMode::kGeneratorStep}) {
    const AdversarialNetwork made = BuildAdversarial(spec, layout, spec.batch_size, mode);
    const Scratch scratch = ScratchFor(made.graph, backend);
    const MemoryPlan plan = PlanMemory(made.graph);
    cost.peak_bytes += plan.arena_bytes + plan.constant_bytes + scratch.shared_bytes +
                       spec.threads * scratch.per_thread_bytes;
    const bool generator = mode == AdversarialMode::kGeneratorStep;
    const std::string_view own = generator ? kGeneratorPrefix : kDiscriminatorPrefix;
    for (const ValueInfo& info : made.graph.values()) {
      if (info.role != Role::kParameter && info.role != Role::kState) continue;
      // The other network's variables are counted in its own step.
      const bool optimizer = info.name.starts_with("optimizer/");
      if (!optimizer && !info.name.starts_with(own)) continue;
      const int64_t elements = info.shape.NumElements();
      if (info.role == Role::kParameter) cost.parameters += elements;
      cost.peak_bytes += elements * SizeOf(info.dtype);
    }
    const int64_t flops = ProductFlops(made.graph);
    cost.flops_per_step += generator ? flops / spec.discriminator_steps : flops;
  }
  cost.flops_per_row =
      ProductFlops(BuildAdversarial(spec, layout, 1, AdversarialMode::kSampling).graph);
  return cost;
}

}  // namespace beamline::engine
