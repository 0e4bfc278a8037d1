// The builder methods of networks with a memory.
#include "engine/core/error.h"
#include "engine/graph/graph.h"
#include "engine/graph/memory_places.h"

namespace beamline::engine {
namespace {

constexpr int64_t kMaxSlots = 65'536;

Attributes AttributesOf(const Graph::MemoryOptions& options) {
  Attributes attributes;
  attributes.memory = options.kind;
  attributes.slots = options.slots;
  attributes.width = options.width;
  attributes.heads = options.reads;
  return attributes;
}

}  // namespace

int64_t Graph::MemoryInterface(const MemoryOptions& options) {
  return memory::PlacesOf(AttributesOf(options), 1).interface_size;
}

Value Graph::MemoryNetwork(const std::string& name, Value gates, Value weight,
                           Value interface_weight, Value interface_bias, Value lengths,
                           const MemoryOptions& options) {
  RequireSequence(name, gates);
  const int64_t rows = shape(gates).dim(0);
  const int64_t steps = shape(gates).dim(1);
  const int64_t units = shape(gates).Columns() / 4;
  if (options.slots < 3 || options.slots > kMaxSlots || options.width < 1 || options.reads < 1) {
    Fail("layer \"", name, "\": its memory has ", options.slots, " slots of ", options.width,
         " numbers and ", options.reads, " read heads: there must be 3 to ", kMaxSlots,
         " slots, and at least one number and one head");
  }
  if (steps < 1 || units < 1 || shape(gates).Columns() != 4 * units) {
    Fail("layer \"", name, "\": its controller needs 4 numbers per unit at each of at least one ",
         "step, but its projected input is ", shape(gates));
  }
  Attributes attributes = AttributesOf(options);
  attributes.has_lengths = lengths.valid();
  const memory::Places places = memory::PlacesOf(attributes, units);
  if (shape(weight) != Shape({places.state, places.gates})) {
    Fail("layer \"", name, "\": its recurrent weight must have shape [", places.state, ", ",
         places.gates, "], not ", shape(weight));
  }
  if (shape(interface_weight) != Shape({units, places.interface_size})) {
    Fail("layer \"", name, "\": its interface's weight must have shape [", units, ", ",
         places.interface_size, "], not ", shape(interface_weight));
  }
  RequireVector(name, "interface's bias", interface_bias, places.interface_size);
  RequireLengths(name, lengths, rows);
  std::vector<Value> inputs = {gates, weight, interface_weight, interface_bias};
  if (lengths.valid()) inputs.push_back(lengths);
  const Shape y({rows, steps, places.state});
  std::vector<Shape> outputs = {y};
  if (options.training) {
    outputs.push_back(y);
    outputs.push_back({rows, steps, places.record});
  }
  return Append(OpKind::kMemoryNetwork, name, inputs, outputs, attributes).outputs[0];
}

}  // namespace beamline::engine
