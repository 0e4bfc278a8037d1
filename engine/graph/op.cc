#include "engine/graph/op.h"

#include <iterator>

namespace beamline::engine {
namespace {

constexpr std::string_view kActivationNames[] = {"linear",  "relu",     "leaky_relu", "elu",
                                                 "selu",    "gelu",     "silu",       "tanh",
                                                 "sigmoid", "softplus", "softmax"};
constexpr std::string_view kCellNames[] = {"rnn", "rnn", "lstm", "gru"};
constexpr std::string_view kMemoryNames[] = {"ntm", "dnc"};
constexpr std::string_view kLossNames[] = {
    "mse",   "mae",      "huber", "bce",     "ce",       "hinge",       "multi_class_hinge",
    "focal", "focal_ce", "kl",    "triplet", "info_nce", "wasserstein", "margin"};
constexpr std::string_view kOpNames[] = {
#define BEAMLINE_OP(Name, text) text,
#include "engine/graph/ops.def"
#undef BEAMLINE_OP
};
static_assert(std::size(kLossNames) == static_cast<size_t>(LossKind::kMargin) + 1);
static_assert(std::size(kActivationNames) == static_cast<size_t>(Activation::kSoftmax) + 1);

}  // namespace

std::string_view Name(Activation activation) {
  return kActivationNames[static_cast<size_t>(activation)];
}
std::string_view Name(LossKind loss) { return kLossNames[static_cast<size_t>(loss)]; }
std::string_view Name(RecurrentCell cell) { return kCellNames[static_cast<size_t>(cell)]; }
std::string_view Name(MemoryKind kind) { return kMemoryNames[static_cast<size_t>(kind)]; }
std::string_view Name(OpKind op) { return kOpNames[static_cast<size_t>(op)]; }

bool GradientNeedsInput(Activation activation) {
  return activation == Activation::kGelu || activation == Activation::kSilu;
}

int64_t Gates(RecurrentCell cell) {
  return cell == RecurrentCell::kLstm ? 4 : cell == RecurrentCell::kGru ? 3 : 1;
}

int InPlaceInput(OpKind op, RecurrentCell cell, int output) {
  const bool keeps = cell == RecurrentCell::kLstm || cell == RecurrentCell::kGru;
  // The kept gates, or the states, take the place of the projected input; the gradient of the gates
  // that of the kept gates, or of the states' gradient.
  if (op == OpKind::kRecurrent && output == (keeps ? 1 : 0)) return 0;
  if (op == OpKind::kRecurrentGrad && output == 0) return keeps ? 3 : 0;
  return -1;
}

bool TakesLabels(LossKind loss) {
  return loss == LossKind::kCrossEntropy || loss == LossKind::kMultiClassHinge ||
         loss == LossKind::kFocalCrossEntropy || loss == LossKind::kMargin || ComparesRows(loss);
}

bool ComparesRows(LossKind loss) {
  return loss == LossKind::kTriplet || loss == LossKind::kInfoNce;
}

bool TakesNumber(LossKind loss) {
  return loss == LossKind::kFocal || loss == LossKind::kFocalCrossEntropy ||
         loss == LossKind::kMargin || ComparesRows(loss);
}

bool IsForClasses(LossKind loss) {
  return TakesLabels(loss) || loss == LossKind::kBinaryCrossEntropy || loss == LossKind::kHinge ||
         loss == LossKind::kFocal;
}

}  // namespace beamline::engine
