#include "engine/graph/op.h"

#include <iterator>

namespace beamline::engine {
namespace {

constexpr std::string_view kActivationNames[] = {"linear",  "relu",     "leaky_relu", "elu",
                                                 "selu",    "gelu",     "silu",       "tanh",
                                                 "sigmoid", "softplus", "softmax"};
constexpr std::string_view kLossNames[] = {"mse", "mae", "huber", "bce", "ce"};
constexpr std::string_view kOpNames[] = {"matmul",
                                         "bias_add",
                                         "activation",
                                         "activation_grad",
                                         "softmax_grad",
                                         "column_sum",
                                         "dropout",
                                         "batch_norm",
                                         "batch_norm_inference",
                                         "batch_norm_grad",
                                         "layer_norm",
                                         "layer_norm_grad",
                                         "embedding",
                                         "embedding_grad",
                                         "concat",
                                         "slice",
                                         "add",
                                         "multiply",
                                         "reshape",
                                         "loss",
                                         "loss_grad",
                                         "squared_norm",
                                         "clip_scale",
                                         "update"};
static_assert(std::size(kOpNames) == static_cast<size_t>(OpKind::kUpdate) + 1);
static_assert(std::size(kActivationNames) == static_cast<size_t>(Activation::kSoftmax) + 1);

}  // namespace

std::string_view Name(Activation activation) {
  return kActivationNames[static_cast<size_t>(activation)];
}
std::string_view Name(LossKind loss) { return kLossNames[static_cast<size_t>(loss)]; }
std::string_view Name(OpKind op) { return kOpNames[static_cast<size_t>(op)]; }

bool GradientNeedsInput(Activation activation) {
  return activation == Activation::kGelu || activation == Activation::kSilu;
}

bool TakesLabels(LossKind loss) { return loss == LossKind::kCrossEntropy; }

}  // namespace beamline::engine
