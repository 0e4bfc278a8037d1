// Rules of ops that stand beside losses.
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {

void UnitRowsRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Shape shape = context.shape(x);
  context.Accumulate(
      x, context.Append(OpKind::kUnitRowsGrad, node, {dy, node.outputs[0], node.outputs[1]}, shape),
      node);
}

// The noise has no gradient: it depends on no parameter.
void SampleRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Shape shape = context.shape(x);
  context.Accumulate(x, context.Append(OpKind::kSampleGrad, node, {dy, x, node.inputs[1]}, shape),
                     node);
}

}  // namespace beamline::engine
