// The builder methods of Graph, one per op.
#include <limits>

#include "engine/core/error.h"
#include "engine/graph/graph.h"

namespace beamline::engine {

Value Graph::MatMul(const std::string& name, Value a, Value b, bool transpose_a, bool transpose_b) {
  const Shape& left = shape(a);
  const Shape& right = shape(b);
  const bool matrices = left.rank() == 2 || (left.rank() > 2 && !transpose_a);
  if (!matrices || right.rank() != 2) {
    Fail("layer \"", name, "\" multiplies matrices, but its input has shape ", left,
         " and its weight ", right, ": add a reshape before it");
  }
  const int64_t inner = transpose_a ? left.dim(0) : left.Columns();
  const int64_t expected = right.dim(transpose_b ? 1 : 0);
  if (inner != expected) {
    Fail("layer \"", name, "\" expects ", expected, " inputs but gets ", inner, ": set inputs to ",
         inner, " or put a layer with ", expected, " outputs before it");
  }
  Attributes attributes;
  attributes.transpose_a = transpose_a;
  attributes.transpose_b = transpose_b;
  std::vector<int64_t> extents(left.extents().begin(), left.extents().end());
  if (transpose_a) extents = {left.dim(1), 0};
  extents.back() = right.dim(transpose_b ? 0 : 1);
  return Append(OpKind::kMatMul, name, {a, b}, {Shape(extents)}, attributes).outputs[0];
}

Value Graph::BiasAdd(const std::string& name, Value x, Value bias) {
  RequireVector(name, "bias", bias, shape(x).Columns());
  return Append(OpKind::kBiasAdd, name, {x, bias}, {shape(x)}).outputs[0];
}

Value Graph::Activate(const std::string& name, Value x, Activation activation, double alpha) {
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  if (activation == Activation::kLinear) return x;
  Attributes attributes;
  attributes.activation = activation;
  attributes.alpha = alpha;
  return Append(OpKind::kActivate, name, {x}, {shape(x)}, attributes).outputs[0];
}

Value Graph::Dense(const std::string& name, Value x, Value weight, Value bias,
                   Activation activation) {
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  if (shape(x).rank() < 2) {
    Fail("layer \"", name, "\" expects [batch, features] but gets ", shape(x),
         ": add a reshape layer before it");
  }
  Value y = MatMul(name, x, weight);
  if (bias.valid()) y = BiasAdd(name, y, bias);
  return Activate(name, y, activation);
}

Value Graph::Dropout(const std::string& name, Value x, Value rate) {
  if (shape(rate) != Shape()) Fail("layer \"", name, "\": its rate must be a single number");
  if (shape(x).NumElements() > std::numeric_limits<uint32_t>::max()) {
    Fail("layer \"", name, "\" has more than 2^32 elements: use a smaller batch");
  }
  Attributes attributes;
  attributes.stream = dropouts_;
  const Value y = Append(OpKind::kDropout, name, {x, rate}, {shape(x)}, attributes).outputs[0];
  ++dropouts_;
  return y;
}

Value Graph::BatchNorm(const std::string& name, Value x, Value gamma, Value beta,
                       Value running_mean, Value running_variance, double momentum,
                       double epsilon) {
  const int64_t columns = shape(x).Columns();
  RequireVector(name, "gamma", gamma, columns);
  RequireVector(name, "beta", beta, columns);
  RequireVector(name, "running mean", running_mean, columns);
  RequireVector(name, "running variance", running_variance, columns);
  Attributes attributes;
  attributes.momentum = momentum;
  attributes.epsilon = epsilon;
  return Append(OpKind::kBatchNorm, name, {x, gamma, beta, running_mean, running_variance},
                {shape(x), Shape({columns}), Shape({columns})}, attributes)
      .outputs[0];
}

Value Graph::BatchNormInference(const std::string& name, Value x, Value gamma, Value beta,
                                Value running_mean, Value running_variance, double epsilon) {
  const int64_t columns = shape(x).Columns();
  RequireVector(name, "gamma", gamma, columns);
  RequireVector(name, "beta", beta, columns);
  RequireVector(name, "running mean", running_mean, columns);
  RequireVector(name, "running variance", running_variance, columns);
  Attributes attributes;
  attributes.epsilon = epsilon;
  return Append(OpKind::kBatchNormInference, name, {x, gamma, beta, running_mean, running_variance},
                {shape(x)}, attributes)
      .outputs[0];
}

Value Graph::LayerNorm(const std::string& name, Value x, Value gamma, Value beta, double epsilon) {
  RequireVector(name, "gamma", gamma, shape(x).Columns());
  RequireVector(name, "beta", beta, shape(x).Columns());
  Attributes attributes;
  attributes.epsilon = epsilon;
  const Shape rows({shape(x).Rows()});
  return Append(OpKind::kLayerNorm, name, {x, gamma, beta}, {shape(x), rows, rows}, attributes)
      .outputs[0];
}

Value Graph::Embedding(const std::string& name, Value table, Value codes,
                       const std::vector<int64_t>& offsets) {
  if (info(codes).dtype != DType::kInt32 || shape(codes).rank() != 2) {
    Fail("layer \"", name, "\" takes category codes [batch, columns], but its input is ",
         engine::Name(info(codes).dtype), " ", shape(codes), ": set inputs to \"codes\"");
  }
  const int64_t columns = shape(codes).Columns();
  if (shape(table).rank() != 2 || static_cast<int64_t>(offsets.size()) != columns) {
    Fail("layer \"", name,
         "\" needs a table [categories, units] and a number of categories for "
         "each of the ",
         columns, " code columns");
  }
  Attributes attributes;
  attributes.offsets = offsets;
  return Append(OpKind::kEmbedding, name, {table, codes},
                {Shape({shape(codes).dim(0), columns * shape(table).dim(1)})}, attributes)
      .outputs[0];
}

Value Graph::Concat(const std::string& name, std::span<const Value> parts) {
  if (parts.empty()) Fail("layer \"", name, "\" joins nothing: give it inputs");
  const Shape& first = shape(parts[0]);
  int64_t columns = 0;
  for (const Value part : parts) {
    if (info(part).dtype != real_) Fail("layer \"", name, "\" cannot join codes: embed them first");
    if (shape(part).rank() != first.rank() || shape(part).Rows() != first.Rows()) {
      Fail("layer \"", name, "\" cannot join ", first, " and ", shape(part),
           ": all but the last dimension must be the same");
    }
    columns += shape(part).Columns();
  }
  std::vector<int64_t> extents(first.extents().begin(), first.extents().end());
  if (extents.empty()) Fail("layer \"", name, "\" cannot join single numbers");
  extents.back() = columns;
  return Append(OpKind::kConcat, name, {parts.begin(), parts.end()}, {Shape(extents)}).outputs[0];
}

Value Graph::Slice(const std::string& name, Value x, int64_t begin, int64_t size) {
  if (begin < 0 || size < 1 || begin + size > shape(x).Columns()) {
    Fail("layer \"", name, "\" takes columns ", begin, " to ", begin + size, " of an input with ",
         shape(x).Columns(), ": choose begin and size within them");
  }
  std::vector<int64_t> extents(shape(x).extents().begin(), shape(x).extents().end());
  extents.back() = size;
  Attributes attributes;
  attributes.begin = begin;
  return Append(OpKind::kSlice, name, {x}, {Shape(extents)}, attributes).outputs[0];
}

Value Graph::Add(const std::string& name, Value a, Value b) {
  if (shape(a) != shape(b)) {
    Fail("layer \"", name, "\" adds inputs of one shape but gets ", shape(a), " and ", shape(b),
         ": make their widths equal, for example with a dense layer");
  }
  return Append(OpKind::kAdd, name, {a, b}, {shape(a)}).outputs[0];
}

Value Graph::Multiply(const std::string& name, Value a, Value b) {
  if (shape(a) != shape(b)) {
    Fail("layer \"", name, "\" multiplies inputs of one shape but gets ", shape(a), " and ",
         shape(b), ": make their widths equal, for example with a dense layer");
  }
  return Append(OpKind::kMultiply, name, {a, b}, {shape(a)}).outputs[0];
}

Value Graph::Reshape(const std::string& name, Value x, const Shape& to) {
  if (shape(x).NumElements() != to.NumElements()) {
    Fail("layer \"", name, "\" cannot give ", shape(x), " the shape ", to,
         ": the numbers of elements differ (", shape(x).NumElements(), " and ", to.NumElements(),
         ")");
  }
  return Append(OpKind::kReshape, name, {x}, {to}).outputs[0];
}

Value Graph::Flatten(const std::string& name, Value x) {
  const Shape& from = shape(x);
  if (from.rank() == 2) return x;
  if (from.rank() == 0) Fail("layer \"", name, "\" cannot flatten a single number");
  const int64_t rows = from.dim(0);
  return Reshape(name, x, {rows, rows == 0 ? 0 : from.NumElements() / rows});
}

}  // namespace beamline::engine
