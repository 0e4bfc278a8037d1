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
  kWasserstein,  // mean over outputs of (1 - 2 t) p: what a critic's outputs are apart (Arjovsky et
                 // al. 2017)
  kMargin,  // max(0, 0.9 - p_label)^2 + w sum over j != label of max(0, p_j - 0.1)^2, p the lengths
            // of capsules (Sabour et al. 2017)
};
std::string_view Name(LossKind loss);
// The target is a class label and not numbers.
bool TakesLabels(LossKind loss);
// Compares rows of a batch with each other, by their labels.
bool ComparesRows(LossKind loss);
// The formula has a number: gamma of focal losses, margin of triplets, temperature of InfoNCE, w of
// the margin loss.
bool TakesNumber(LossKind loss);
// Of one output per class, or of two classes: what class weights are for.
bool IsForClasses(LossKind loss);

// What a recurrent layer computes at each step. s is the logistic sigmoid, * the product of
// elements, h the state before the step; x W + b is given for all steps, in blocks of n columns.
enum class RecurrentCell : uint8_t {
  kTanh,  // h' = tanh(x W + b + h U) (Elman 1990)
  kRelu,  // h' = max(0, x W + b + h U)
  // Blocks input i, forget f, candidate g, output o (Hochreiter, Schmidhuber 1997; Gers et al.
  // 2000): i, f, o = s(x W + b + h U), g = tanh(x W + b + h U), c' = f * c + i * g, h' = o *
  // tanh(c')
  kLstm,
  // Blocks reset r, update z, candidate g (Cho et al. 2014, the reset after the product):
  // r, z = s(x W + b + h U), g = tanh(x W + b + r * (h U + q)), h' = (1 - z) * g + z * h
  kGru,
};
std::string_view Name(RecurrentCell cell);
// Blocks of n columns in W and U.
int64_t Gates(RecurrentCell cell);

// A memory M of rows m_i, one per slot, that a controller writes to by one head and then reads by
// others, each by a weighting w of the slots; all begins at zero. The controller is an LSTM over
// the input and what was read at the step before; its state times a weight, plus a bias, is the
// interface: the numbers below, squashed into their range.
//   by content    c = softmax_i(b cos(k, m_i)) of key k and strength b, the lengths in the cosine
//                 being sqrt(|x|^2 + 1e-6)
//   write         m_i' = m_i - w_i e * m_i + w_i a, erasing e in (0, 1) and adding a
//   read          r = sum_i w_i m_i'
enum class MemoryKind : uint8_t {
  // Neural Turing machine (Graves et al. 2014). b = softplus. Gate g in (0, 1): v = g c +
  // (1 - g) w; shift s, softmax of three: u_i = s_-1 v_i+1 + s_0 v_i + s_1 v_i-1, slots being a
  // ring; sharpness p >= 1: w_i' = u_i^p / sum_j u_j^p. Heads begin at slot 0.
  kNtm,
  // Differentiable neural computer (Graves et al. 2016), one write head. b = 1 + softplus. Usage
  // u' = (u + w - u w) prod_h (1 - f_h w_h), f_h freeing what head h read; allocation a_i =
  // (1 - u_i) prod of u_j over slots that are used less; w' = g (q a + (1 - q) c). Links L_ij =
  // (1 - w_i - w_j) L_ij + w_i p_j but for L_ii = 0, precedence p' = (1 - sum w) p + w. A reading
  // head mixes L^T w_h, c and L w_h by three shares.
  kDnc,
};
std::string_view Name(MemoryKind kind);

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

// The input whose memory an output may take over, if nothing else reads that input afterwards: the
// kernels of all backends read an element of it before they write that of the output. -1: none.
int InPlaceInput(OpKind op, RecurrentCell cell, int output);

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

// How a window slides over images [batch, height, width, channels], or over sequences
// [batch, steps, channels], whose height is 1. Of each pair the first is for the height. Tap k of
// output position i looks at place i * stride + k * dilation - low of the input, between whose
// neighbours base - 1 zeros stand: place p holds input p / base, or nothing. A kind of windows that
// is closed under differentiation, as in XLA.
struct Window {
  int64_t kernel[2] = {1, 1};
  int64_t stride[2] = {1, 1};
  // Places added before and after the input; taken away if negative.
  int64_t low[2] = {0, 0};
  int64_t high[2] = {0, 0};
  int64_t dilation[2] = {1, 1};
  int64_t base[2] = {1, 1};
  // The channels are split into so many parts that do not see each other.
  int64_t groups = 1;
  // The kernel is read back to front and its channels and units change places.
  bool flip = false;
};

// What kReduce makes of all positions of a channel. Of equal maxima the first one counts.
enum class Reduction : uint8_t { kMean, kMax, kSum, kLast };

// Numbers of a node that are fixed when the graph is built. Those that differ between trials
// (rates, decay, dropout) are values of the graph instead. Each op uses the few it needs.
struct Attributes {
  Activation activation = Activation::kLinear;
  LossKind loss = LossKind::kMeanSquaredError;
  UpdateRule rule = UpdateRule::kSgd;
  bool transpose_a = false;
  bool transpose_b = false;
  // kMatMul, kConv: input 2 is a bias.
  bool has_bias = false;
  // kConv, kBatchNorm, kBatchNormInference: an input of the output's shape, behind the bias or the
  // running variance, is added before the activation or its gradient.
  bool has_residual = false;
  // kMatMul, kConv: the last input is y (or x) of `activation`, whose gradient multiplies the
  // product.
  bool activation_grad = false;
  // kLoss, kLossGrad: which optional inputs are there.
  bool has_weights = false;
  bool has_class_weights = false;
  // Losses and their gradients: an input [] is the formula's number.
  bool has_number = false;
  // kUpdate, gradients of losses: an input [] scales the gradient.
  bool has_scale = false;
  // kRecurrent and what belongs to it: the kind, from the last step to the first, which optional
  // inputs are there. Steps beyond a row's length are zeros and carry no gradient; backwards begins
  // at the last step within the length.
  RecurrentCell cell = RecurrentCell::kTanh;
  bool reverse = false;
  bool has_initial = false;
  bool has_lengths = false;
  double alpha = 0.01;
  double epsilon = 1e-5;
  double momentum = 0.9;
  double delta = 1;
  double smoothing = 0;
  // kSlice.
  int64_t begin = 0;
  // kAttention, kRotary: parts of the columns that are treated by themselves. kRouting: capsules.
  // kMemoryNetwork: heads that read.
  int64_t heads = 1;
  // kRouting.
  int64_t iterations = 1;
  // kMemoryNetwork: rows of the memory and their length.
  MemoryKind memory = MemoryKind::kNtm;
  int64_t slots = 0;
  int64_t width = 0;
  // kAttention: query i sees keys 0 to i. `has_lengths` as above.
  bool causal = false;
  // kRotary: turns back.
  bool inverse = false;
  // kConv, kConvWeightGrad, pools and their gradients.
  Window window;
  // kGroupNorm and its gradient.
  int64_t groups = 1;
  // kReduce, kReduceGrad.
  Reduction reduction = Reduction::kMean;
  // kDropout, kGaussian: distinguishes those of one graph.
  uint64_t stream = 0;
  // kDropout.
  bool rescale = true;
  // kEmbedding: first row of the table for each code column.
  std::vector<int64_t> offsets;
};

}  // namespace beamline::engine
