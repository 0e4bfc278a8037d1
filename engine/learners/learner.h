// One interface for everything that learns from rows.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/learners/batch_source.h"

namespace beamline::engine {

// What one step did.
struct StepReport {
  int64_t step = 0;           // steps done so far, this one included
  int64_t epoch = 0;          // the epoch of this step, from 0
  int64_t examples_seen = 0;  // rows used so far, repetitions included
  // Of this batch, before the update: what training minimises, penalties of layers and weights
  // included; and the loss of the outputs alone. The same if there are no penalties.
  double loss = 0;
  double main_loss = 0;
  // False for a learner that cannot tell its loss without more work than the training is: losses of
  // the training are not set then.
  bool has_loss = true;
  // Used by this step; NaN for a learner that has none.
  double learning_rate = std::numeric_limits<double>::quiet_NaN();
  // Of an adversarial learner: of the generator's last update; NaN before it, and for others.
  double generator_loss = std::numeric_limits<double>::quiet_NaN();

  // The fields below are set on the last step of an epoch.
  bool epoch_end = false;
  double training_loss = 0;    // over the epoch's batches, each before its update
  double validation_loss = 0;  // NaN without validation rows
  double training_main_loss = 0;
  double validation_main_loss = 0;
  bool improved = false;  // the watched metric is the best so far (early stopping on "loss")
};

// Loss over a data set: sum of w l over sum of |w|, w being event weight times class weight.
// Penalties, and losses that compare rows, are those of batches of up to 512 rows.
struct Evaluation {
  double loss = 0;        // penalties of layers and weights included
  double main_loss = 0;   // of the outputs alone
  double weight_sum = 0;  // sum of |w|
  int64_t rows = 0;
};

struct Predictions {
  // [rows, outputs]: the last layer. Next token: [rows, steps, vocabulary]. Of a learner that gives
  // scores in place of reconstructions (isolation forest): [rows, 0], and row_losses are the
  // scores; of one that knows probabilities alone (Markov chain): [rows, 0].
  Tensor outputs;
  // The shape of the last layer: sigmoid of the outputs for binary cross-entropy (focal, hinge: a
  // score above a half where class 1 is chosen, no probability), softmax of them for cross-entropy,
  // rows of unit length for losses that compare rows, else the outputs themselves.
  Tensor probabilities;
  // [rows]: how far each row is from its reconstruction, by the main loss; where features are the
  // target, else empty. Large for rows unlike those of the training.
  Tensor row_losses;
  // [rows, k], float32: where each row lies in the learner's own terms (coordinates, hidden units),
  // if it has such beside its outputs; else empty.
  Tensor codes = {};
  // [rows], int64: which of the learner's clusters or units each row belongs to; else empty.
  Tensor clusters = {};
};

// What a learner other than a network is made from, beside its specification. The sources must
// outlive the learner.
struct LearnerData {
  // What the rows look like; needed even without training rows.
  BatchLayout layout;
  // Null makes a learner for prediction only: Step throws Error.
  const BatchSource* training = nullptr;
  // May be null.
  const BatchSource* validation = nullptr;
};

// Not thread-safe: one thread at a time. Every method throws Error on what the caller can put
// right; after an Error from Step the learner can only be destroyed.
class Learner {
 public:
  virtual ~Learner() = default;

  // Does one step and describes it. False, and `report` untouched, when training had already
  // ended: all epochs done, or stopped early. Once done() is true after early stopping with
  // `restore_best`, the best weights are in place.
  virtual bool Step(StepReport* report) = 0;

  // Nothing is left to do.
  virtual bool done() const = 0;
  // Steps done, and the steps of a whole training if it is not stopped early.
  virtual int64_t step() const = 0;
  virtual int64_t total_steps() const = 0;

  // Gives the value of the metric that early stopping watches, for the epoch that just ended. To
  // be called after a step with `epoch_end` and before the next Step, if the metric is not "loss".
  // True if it is the best so far. Throws Error at another time or for another name.
  virtual bool ReportMetric(std::string_view name, double value) = 0;

  // Of the present weights, in evaluation mode. `source` must have the training rows' layout.
  virtual Evaluation Evaluate(const BatchSource& source) = 0;
  // As Evaluate; targets and weights of the source are not read.
  virtual Predictions Predict(const BatchSource& source, std::span<const int64_t> rows) = 0;
  // All rows.
  Predictions Predict(const BatchSource& source);

  // Everything that the rest of the training depends on. A learner that was made from the same
  // definition and data, and loads it, continues with the same bits as this one.
  virtual void Save(std::string* bytes) const = 0;
  // Throws Error, and changes nothing, if the bytes are damaged or are of another definition.
  virtual void Load(std::string_view bytes) = 0;
  // Goes on with the state of a learner that was made from other numbers (rates, penalties, shares
  // of dropout), at the end of an epoch. Throws Error, and changes nothing, if the number of
  // training rows, the steps of an epoch, or the names or shapes of variables are others: that
  // nothing else but such numbers differs, the caller sees to. Learners but networks cannot, and
  // always throw.
  virtual void Adopt(std::string_view bytes);

  // Weights and running statistics by name: what prediction needs. float32 or int64.
  virtual std::vector<NamedTensor> Weights() const = 0;
  // Takes such weights. Throws Error, and changes nothing, if a name or shape is not this
  // learner's or one is missing.
  virtual void SetWeights(const std::vector<NamedTensor>& weights) = 0;

  // What share each feature has in what was learned, as far as the learner can tell (trees: in the
  // gain of all splits); empty if it cannot.
  virtual std::vector<double> Importance() const { return {}; }

  // Bytes that training holds at its peak: weights, optimiser state, activations, gradients.
  // Exact for a graph: known before the first step.
  virtual int64_t PeakBytes() const = 0;
};

}  // namespace beamline::engine
