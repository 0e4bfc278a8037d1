// Where a learner takes its rows from.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/nn/node_graph.h"

namespace beamline::engine {

// What each row of a source holds.
struct BatchLayout {
  // Numbers per row.
  int64_t features = 0;
  // Category codes per row, for embeddings.
  int64_t code_columns = 0;
  // Numbers to predict per row; 0 if the target is a class or absent.
  int64_t targets = 0;
  // The target is a class label in [0, classes); 0 if it is not.
  int64_t classes = 0;
  // Rows carry event weights; without them each weighs 1.
  bool has_weights = false;
  // The graph whose nodes (or small graphs) the codes name; null if the data has none.
  std::shared_ptr<const NodeGraph> nodes;
  // The features of a row are a sequence of so many steps, [steps, features / steps], and reach the
  // layers as one; 0: they are numbers side by side.
  int64_t steps = 0;
  // The sequence may end early: rows carry the number of steps that count, at most `steps`, or if
  // that is 0 what the network's reshape says.
  bool has_lengths = false;
  // Targets, labels and weights are those of each of so many steps: a row has [target_steps] of
  // them; 0: those of the row. Steps beyond the row's length count for nothing.
  int64_t target_steps = 0;
  // Objective kTranslate: of the code columns so many, the last, are a target of tokens, and those
  // before them its source. What lies behind the end of either is negative.
  int64_t target_codes = 0;

  // Labels, weights and sets of targets of a row.
  int64_t Judged() const { return target_steps > 0 ? target_steps : 1; }
};

// Memory for some rows, owned by the caller; a pointer is null where the layout has no such part
// or the caller does not want it. Row-major.
struct BatchView {
  float* features = nullptr;  // [rows, features]
  int32_t* codes = nullptr;   // [rows, code_columns]; negative: unknown category
  // Where the layout has target_steps, [rows, target_steps, targets] and [rows, target_steps].
  float* targets = nullptr;    // [rows, targets]
  int32_t* labels = nullptr;   // [rows]
  float* weights = nullptr;    // [rows]
  int32_t* lengths = nullptr;  // [rows]; at least 1
};

// A data set as rows that are addressed by index. Immutable while learners use it; Gather may be
// called from several threads.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  virtual int64_t rows() const = 0;
  virtual const BatchLayout& layout() const = 0;

  // Copies the rows named by `rows`, in this order, into `out`. The indices are valid. Called once
  // a step: should not allocate.
  virtual void Gather(std::span<const int64_t> rows, const BatchView& out) const = 0;

  // Says that from now on parts of `order` will be gathered, in place and one behind the other,
  // from order[position] on; `order` has every row once at most, and stays as it is until the next
  // call, or nothing is gathered any more. A hint: a source that cannot hold its rows reads ahead;
  // what Gather gives is the same. May take as long as reading all rows; nothing may be gathered
  // meanwhile.
  virtual void Expect(std::span<const int64_t> /*order*/, int64_t /*position*/) const {}
};

// Arrays in memory, row-major; parts that the data set lacks stay empty.
struct MemoryBatch {
  int64_t rows = 0;
  BatchLayout layout;
  std::vector<float> features;
  std::vector<int32_t> codes;
  std::vector<float> targets;
  std::vector<int32_t> labels;
  std::vector<float> weights;
  std::vector<int32_t> lengths;
};

// A source over arrays that it owns. Thread-safe: immutable.
class MemoryBatchSource : public BatchSource {
 public:
  // Throws Error if an array has another length than rows and layout say, a label is not in
  // [0, classes), a row has fewer steps than 1, or a number is not finite.
  explicit MemoryBatchSource(MemoryBatch batch);

  int64_t rows() const override { return batch_.rows; }
  const BatchLayout& layout() const override { return batch_.layout; }
  void Gather(std::span<const int64_t> rows, const BatchView& out) const override;

 private:
  MemoryBatch batch_;
};

}  // namespace beamline::engine
