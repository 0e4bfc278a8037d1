// Networks with a memory.
#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layers.h"

namespace beamline::engine {

Value BuildMemory(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  context.RequireNumbers();
  if (context.shape().rank() != 3) {
    Fail("layer \"", context.name, "\" takes sequences [batch, steps, features] but gets ",
         context.shape(), ": add a reshape layer with shape [steps, features] before it");
  }
  const int64_t units = context.Units();
  const int64_t inputs = context.shape().Columns();
  const Graph::MemoryOptions options = {layer.memory, layer.slots, layer.width, layer.heads,
                                        context.training()};
  // What the controller sees at a step: the input, its own state and what it read.
  const int64_t state = units + layer.heads * layer.width;
  const Initial initial =
      InitialWeight(layer.initializer, Activation::kTanh, inputs + state, units);
  const Value weight = context.Parameter("weight", {inputs, 4 * units}, initial);
  const Value recurrent = context.Parameter("recurrent_weight", {state, 4 * units}, initial);
  Initial remembers{Initial::Kind::kConstant, 1};  // as an LSTM does
  remembers.begin = units;
  remembers.end = 2 * units;
  const Value bias = context.Parameter("bias", {4 * units}, remembers);
  const int64_t numbers = Graph::MemoryInterface(options);
  const Value interface_weight =
      context.Parameter("interface_weight", {units, numbers},
                        InitialWeight(layer.initializer, Activation::kTanh, units, numbers));
  const Value interface_bias = context.Parameter("interface_bias", {numbers}, {});
  Graph& graph = context.graph;
  const Value gates = graph.Dense(context.name, context.x(), weight, bias, Activation::kLinear);
  const Value y = graph.MemoryNetwork(context.name, gates, recurrent, interface_weight,
                                      interface_bias, context.lengths, options);
  if (layer.sequence) return y;
  return graph.SequenceLast(context.name, y, context.lengths, false);
}

}  // namespace beamline::engine
