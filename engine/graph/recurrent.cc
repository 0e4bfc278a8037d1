// The builder methods of recurrent layers and sequences.
#include "engine/core/error.h"
#include "engine/graph/graph.h"

namespace beamline::engine {

void Graph::RequireSequence(const std::string& name, Value x) const {
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  if (shape(x).rank() != 3) {
    Fail("layer \"", name, "\" takes sequences [batch, steps, features] but gets ", shape(x),
         ": add a reshape layer with shape [steps, features] before it");
  }
}

void Graph::RequireLengths(const std::string& name, Value lengths, int64_t rows) const {
  if (!lengths.valid()) return;
  if (info(lengths).dtype != DType::kInt32 || shape(lengths) != Shape({rows})) {
    Fail("layer \"", name, "\": its lengths must be int32 of shape [", rows, "], not ",
         engine::Name(info(lengths).dtype), " ", shape(lengths));
  }
}

Value Graph::Recurrent(const std::string& name, Value gates, Value weight, Value candidate_bias,
                       const RecurrentInitial& initial, Value lengths,
                       const RecurrentOptions& options) {
  RequireSequence(name, gates);
  const int64_t rows = shape(gates).dim(0);
  const int64_t steps = shape(gates).dim(1);
  const int64_t blocks = Gates(options.cell);
  const int64_t units = shape(gates).Columns() / blocks;
  if (steps < 1 || units < 1 || shape(gates).Columns() != blocks * units) {
    Fail("layer \"", name, "\": ", engine::Name(options.cell), " needs ", blocks,
         " numbers per unit at each of at least one step, but its projected input is ",
         shape(gates));
  }
  if (shape(weight) != Shape({units, blocks * units})) {
    Fail("layer \"", name, "\": its recurrent weight must have shape [", units, ", ",
         blocks * units, "], not ", shape(weight));
  }
  std::vector<Value> inputs = {gates, weight};
  const bool gru = options.cell == RecurrentCell::kGru;
  const bool lstm = options.cell == RecurrentCell::kLstm;
  if (candidate_bias.valid() != gru) {
    Fail("layer \"", name, "\": a GRU, and no other layer, has a bias of the candidate's product");
  }
  if (gru) {
    RequireVector(name, "candidate's bias", candidate_bias, units);
    inputs.push_back(candidate_bias);
  }
  if (initial.cell.valid() != (lstm && initial.state.valid())) {
    Fail("layer \"", name, "\": an initial cell state belongs to an LSTM with an initial state");
  }
  for (const Value state : {initial.state, initial.cell}) {
    if (!state.valid()) continue;
    if (shape(state) != Shape({rows, units})) {
      Fail("layer \"", name, "\": its initial state must have shape [", rows, ", ", units,
           "], not ", shape(state));
    }
    inputs.push_back(state);
  }
  RequireLengths(name, lengths, rows);
  if (lengths.valid()) inputs.push_back(lengths);
  Attributes attributes;
  attributes.cell = options.cell;
  attributes.reverse = options.reverse;
  attributes.has_initial = initial.state.valid();
  attributes.has_lengths = lengths.valid();
  const Shape states({rows, steps, units});
  std::vector<Shape> outputs = {states};
  if (options.training && (gru || lstm)) {
    outputs.push_back(shape(gates));
    outputs.push_back(states);
  }
  return Append(OpKind::kRecurrent, name, inputs, outputs, attributes).outputs[0];
}

Value Graph::SequenceLast(const std::string& name, Value y, Value lengths, bool reverse) {
  RequireSequence(name, y);
  RequireLengths(name, lengths, shape(y).dim(0));
  Attributes attributes;
  attributes.reverse = reverse;
  attributes.has_lengths = lengths.valid();
  std::vector<Value> inputs = {y};
  if (lengths.valid()) inputs.push_back(lengths);
  const Shape last({shape(y).dim(0), shape(y).dim(2)});
  return Append(OpKind::kSequenceLast, name, inputs, {last}, attributes).outputs[0];
}

Value Graph::Repeat(const std::string& name, Value x, int64_t steps) {
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  if (shape(x).rank() != 2) {
    Fail("layer \"", name, "\" repeats [batch, features] but gets ", shape(x),
         ": put a layer before it that gives one row per example");
  }
  if (steps < 1) Fail("layer \"", name, "\" repeats ", steps, " times: set steps to at least 1");
  const Shape repeated({shape(x).dim(0), steps, shape(x).dim(1)});
  return Append(OpKind::kRepeat, name, {x}, {repeated}).outputs[0];
}

Value Graph::StepSum(const std::string& name, Value x) {
  RequireSequence(name, x);
  const Shape sum({shape(x).dim(0), shape(x).dim(2)});
  return Append(OpKind::kStepSum, name, {x}, {sum}).outputs[0];
}

Value Graph::Transpose(const std::string& name, Value x) {
  RequireSequence(name, x);
  const Shape swapped({shape(x).dim(0), shape(x).dim(2), shape(x).dim(1)});
  return Append(OpKind::kTranspose, name, {x}, {swapped}).outputs[0];
}

}  // namespace beamline::engine
