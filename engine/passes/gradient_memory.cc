// The rule of networks with a memory.
#include "engine/core/error.h"
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {

void MemoryRule(GradientContext& context, const Node& node, Value dy) {
  if (node.outputs.size() < 3) {
    Fail("layer \"", node.name, "\" was built for prediction: build it for training");
  }
  const Value gates = node.inputs[0];
  const Value weight = node.inputs[1];
  const Value interface_weight = node.inputs[2];
  const Value interface_bias = node.inputs[3];
  std::vector<Value> inputs = {dy, weight, interface_weight, node.outputs[2]};
  if (node.attributes.has_lengths) inputs.push_back(node.inputs[4]);
  const Shape gates_shape = context.shape(gates);
  const int64_t rows = gates_shape.dim(0);
  const int64_t steps = gates_shape.dim(1);
  const Shape interface({rows, steps, context.shape(interface_bias).Columns()});
  const std::vector<Value> out = context.AppendAll(OpKind::kMemoryNetworkGrad, node, inputs,
                                                   {gates_shape, interface}, node.attributes);
  context.Accumulate(gates, out[0], node);
  Attributes transposed;
  transposed.transpose_a = true;
  const auto product = [&](Value a, Value b, Value target) {
    const Shape shape = context.shape(target);
    context.Accumulate(target, context.Append(OpKind::kMatMul, node, {a, b}, shape, transposed),
                       node);
  };
  if (context.Needed(weight)) product(node.outputs[1], out[0], weight);
  if (context.Needed(interface_weight)) {
    const Shape states({rows, steps, gates_shape.dim(2) / 4});
    const Value state = context.Append(OpKind::kSlice, node, {node.outputs[0]}, states);
    product(state, out[1], interface_weight);
  }
  if (!context.Needed(interface_bias)) return;
  const Shape shape = context.shape(interface_bias);
  context.Accumulate(interface_bias, context.Append(OpKind::kColumnSum, node, {out[1]}, shape),
                     node);
}

}  // namespace beamline::engine
