// The operations of a graph and the numbers that belong to them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace beamline::engine {

// y = f(x), element by element but for softmax. alpha is Attributes::alpha.
enum class Activation : uint8_t {
  kLinear,     // x
  kRelu,       // max(0, x)
  kLeakyRelu,  // x if x > 0, else alpha x; alpha 0.01
  kElu,        // x if x > 0, else exp(x) - 1 (Clevert et al. 2015)
  kSelu,       // scaled ELU: alpha 1.6733, scale 1.0507 (Klambauer et al. 2017)
  kGelu,       // x Phi(x), the exact form (Hendrycks, Gimpel 2016)
  kSilu,       // x sigmoid(x)
  kTanh,
  kSigmoid,   // 1 / (1 + exp(-x))
  kSoftplus,  // log(1 + exp(x))
  kSoftmax,   // exp(x_i) / sum_j exp(x_j) over the last axis
};
std::string_view Name(Activation activation);
// The gradient needs x and not y alone.
bool GradientNeedsInput(Activation activation);

// Per-row loss l; the loss of a batch is sum w l / sum |w|, w = event weight * class weight. With
// no negative weight this is the weighted mean; |w| keeps it finite when weights cancel. A batch
// whose |w| sum to 0 has loss 0 and no gradient.
enum class LossKind : uint8_t {
  kMeanSquaredError,    // mean over outputs of (p - t)^2
  kMeanAbsoluteError,   // mean over outputs of |p - t|
  kHuber,               // (p - t)^2 / 2 within delta, delta (|p - t| - delta / 2) beyond
  kBinaryCrossEntropy,  // softplus(p) - t p, p the logit: mean over outputs
  kCrossEntropy,        // log sum_j exp(p_j) - p_label (with smoothing s: the target distribution
                        // is 1 - s at the label plus s / classes everywhere)
  kHinge,               // mean over outputs of max(0, 1 - (2 t - 1) p) (Cortes, Vapnik 1995)
  kMultiClassHinge,     // max(0, 1 + max over j != label of p_j - p_label) (Crammer, Singer 2001)
  kFocal,               // mean over outputs of t f(p) + (1 - t) f(-p), p the logit and
                        // f(z) = -(1 - q)^gamma log q, q = sigmoid(z) (Lin et al. 2017)
  kFocalCrossEntropy,   // -(1 - q)^gamma log q, q = softmax(p)_label
  kKullbackLeibler,     // sum_j t_j (log t_j - log softmax(p)_j); t_j >= 0, 0 log 0 = 0
  kTriplet,             // of pairs of rows: Graph::PairLoss
  kInfoNce,             // idem
};
std::string_view Name(LossKind loss);
// The target is a class label and not numbers.
bool TakesLabels(LossKind loss);
// Compares rows of a batch with each other, by their labels.
bool ComparesRows(LossKind loss);
// The formula has a number: gamma of focal losses, margin of triplets, temperature of InfoNCE.
bool TakesNumber(LossKind loss);
// Of one output per class, or of two classes: what class weights are for.
bool IsForClasses(LossKind loss);

// kMatMul, kBiasAdd, ...: ops.def says what each takes and gives.
enum class OpKind : uint8_t {
#define BEAMLINE_OP(Name, text) k##Name,
#include "engine/graph/ops.def"
#undef BEAMLINE_OP
};
inline constexpr size_t kOpKinds = 0
#define BEAMLINE_OP(Name, text) +1
#include "engine/graph/ops.def"
#undef BEAMLINE_OP
    ;
std::string_view Name(OpKind op);

// What kUpdate does; the formulas are in engine/optim/optimizer.h.
inline constexpr int kUpdateNumbers = 8;
enum class UpdateRule : uint8_t {
  kSgd,
  kMomentum,
  kNesterov,
  kAdam,
  kAdamW,
  kRmsProp,
  kAdaGrad,
  kRmsPropMomentum,
  kLamb,
};

// Numbers of a node that are fixed when the graph is built. Those that differ between trials
// (rates, decay, dropout) are values of the graph instead. Each op uses the few it needs.
struct Attributes {
  Activation activation = Activation::kLinear;
  LossKind loss = LossKind::kMeanSquaredError;
  UpdateRule rule = UpdateRule::kSgd;
  bool transpose_a = false;
  bool transpose_b = false;
  // kMatMul: input 2 is a bias.
  bool has_bias = false;
  // kMatMul: the last input is y (or x) of `activation`, whose gradient multiplies the product.
  bool activation_grad = false;
  // kLoss, kLossGrad: which optional inputs are there.
  bool has_weights = false;
  bool has_class_weights = false;
  // Losses and their gradients: an input [] is the formula's number.
  bool has_number = false;
  // kUpdate, gradients of losses: an input [] scales the gradient.
  bool has_scale = false;
  double alpha = 0.01;
  double epsilon = 1e-5;
  double momentum = 0.9;
  double delta = 1;
  double smoothing = 0;
  // kSlice.
  int64_t begin = 0;
  // kDropout, kGaussian: distinguishes those of one graph.
  uint64_t stream = 0;
  // kDropout.
  bool rescale = true;
  // kEmbedding: first row of the table for each code column.
  std::vector<int64_t> offsets;
};

}  // namespace beamline::engine
