#include "engine/learners/word_vectors.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/classic_learner.h"
#include "engine/learners/epoch_rows.h"
#include "engine/learners/word_blocks.h"
#include "engine/learners/word_places.h"

namespace beamline::engine {
namespace {

// Streams of the seed. Shuffling and places: with the epoch.
constexpr uint64_t kVectorStream = uint64_t{0x7776} << 44;
constexpr uint64_t kShuffleStream = uint64_t{0x7777} << 44;
constexpr uint64_t kPlaceStream = uint64_t{0x7778} << 44;
constexpr uint64_t kMeasureStream = uint64_t{0x7779} << 44;
// Blocks that are drawn at once; places, and rows to be changed, that one thread does at once.
constexpr int64_t kDrawnBlocks = 32, kPlaceTile = 8, kRowTile = 32;
constexpr double kLastRate = 1e-4;  // of the first one

int64_t RowsMeasuredAtOnce(int64_t columns) {
  constexpr int64_t kCodes = int64_t{1} << 19;
  return std::clamp<int64_t>(kCodes / std::max<int64_t>(columns, 1), 1, RowReader::kBlock);
}

class WordVectors : public ClassicLearner {
 public:
  WordVectors(const WordVectorsSpec& spec, const LearnerData& data);
  Evaluation Evaluate(const BatchSource& source) override;

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  bool FillsProbabilities() const override { return true; }
  bool FillsOutputs() const override { return false; }
  void Check(const Tensors& tensors) const override;
  void Taken(bool weights_only) override;
  int64_t WorkingBytes() const override;
  Shape OutputShape(int64_t rows) const override { return Shape({rows, spec_.dimensions}); }

 private:
  // Sums over the pairs of some rows.
  struct Sums {
    double loss = 0;
    int64_t pairs = 0;
  };

  static Definition Define(const WordVectorsSpec& spec, const LearnerData& data);
  bool TakesMean() const { return spec_.architecture == WordArchitecture::kBagOfWords; }
  void CheckCodes(const RowBlock& block) const;
  void CountCodes();
  // Goes through the places of some rows; with `rate` 0 nothing changes.
  Sums GoThrough(const RowBlock& rows, const Philox& random, double rate);
  void Compute(WordBlock* block, bool changes);
  void Apply(const WordBlock& block, double rate);
  float* RowOf(int32_t row);

  const WordVectorsSpec spec_;
  const int64_t width_;  // dimensions, up to whole lanes
  const cpu::LearnerKernels& kernels_;
  Tensor* vectors_;
  Tensor* contexts_;
  Tensor* counts_;
  WordNoise noise_;  // of counts_
  std::optional<EpochRows> rows_;
  WordPlaces places_;
  std::vector<WordBlock> blocks_;
  std::vector<std::vector<int32_t>> numbers_;  // of each thread: of rows in a block, or -1
  std::vector<Tensor> rooms_;                  // of each thread
  Tensor changes_{Shape({0}), DType::kFloat32};
};

ClassicLearner::Definition WordVectors::Define(const WordVectorsSpec& spec,
                                               const LearnerData& data) {
  const auto within = [](int64_t value, int64_t most) { return value >= 1 && value <= most; };
  if (!within(spec.vocabulary, int64_t{1} << 30) || !within(spec.dimensions, 4096) ||
      !within(spec.reach, 100) || !within(spec.negatives, 100) || spec.epochs < 1 ||
      spec.batch_size < 1) {
    Fail("word_vectors needs a vocabulary, 1 to 4096 dimensions, a reach and negatives from 1 to ",
         "100, and epochs and batch_size of at least 1");
  }
  if (!(spec.subsample >= 0) || !(spec.learning_rate > 0)) {
    Fail("word_vectors needs a learning_rate above 0 and a subsample of at least 0");
  }
  Definition definition;
  definition.name = "word_vectors";
  definition.text = Concat(
      std::hexfloat, spec.vocabulary, ' ', spec.unknown, ' ', static_cast<int>(spec.architecture),
      ' ', spec.dimensions, ' ', spec.reach, ' ', spec.negatives, ' ', spec.subsample, ' ',
      spec.learning_rate, ' ', spec.epochs, ' ', spec.batch_size, ' ', spec.seed);
  definition.threads = spec.threads;
  const int64_t rows = data.training != nullptr ? data.training->rows() : 1;
  definition.steps_per_epoch = EpochRows::StepsOf(rows, spec.batch_size);
  definition.total_steps = definition.steps_per_epoch * spec.epochs;
  definition.row_weights = RowWeights::kRefused;
  definition.takes_codes = true;
  return definition;
}

WordVectors::WordVectors(const WordVectorsSpec& spec, const LearnerData& data)
    : ClassicLearner(Define(spec, data), data),
      spec_(spec),
      width_((spec.dimensions + cpu::kLanes - 1) / cpu::kLanes * cpu::kLanes),
      kernels_(cpu::FindLearnerKernels()),
      places_(spec.reach, spec.negatives),
      numbers_(static_cast<size_t>(spec.threads)),
      rooms_(static_cast<size_t>(spec.threads)) {
  contexts_ = &AddWeight("contexts", {spec.vocabulary, spec.dimensions});
  counts_ = &AddWeight("counts", {spec.vocabulary}, DType::kInt64);
  vectors_ = &AddWeight("vectors", {spec.vocabulary, spec.dimensions});
  const int64_t room =
      cpu::RoomOfPlace(TakesMean() ? 1 : 2 * spec.reach, 1 + spec.negatives, width_);
  for (Tensor& tensor : rooms_) tensor = Tensor(Shape({room}), DType::kFloat32);
  if (training() == nullptr) return;
  CountCodes();
  rows_.emplace(*training(), spec.seed, kShuffleStream, spec.batch_size, &pool());
}

void WordVectors::CheckCodes(const RowBlock& block) const {
  for (int64_t i = 0; i < block.rows * layout().code_columns; ++i) {
    if (block.codes[i] < spec_.vocabulary) continue;
    Fail("row ", block.index[static_cast<size_t>(i / layout().code_columns)], " has the code ",
         block.codes[i], ", but there are only ", spec_.vocabulary);
  }
}

// And begins with small vectors, of the codes that there are.
void WordVectors::CountCodes() {
  const std::span<int64_t> counts = counts_->values<int64_t>();
  RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) {
    CheckCodes(block);
    for (int64_t i = 0; i < block.rows * layout().code_columns; ++i) {
      const int32_t code = block.codes[i];
      if (code >= 0 && code != spec_.unknown) ++counts[static_cast<size_t>(code)];
    }
  });
  if (std::all_of(counts.begin(), counts.end(), [](int64_t count) { return count == 0; })) {
    Fail("no training row has a known code");
  }
  const Philox random(spec_.seed, kVectorStream);
  const auto size = static_cast<size_t>(spec_.dimensions);
  const std::span<float> vectors = vectors_->values<float>();
  for (size_t i = 0; i < vectors.size(); ++i) {
    if (counts[i / size] == 0) continue;
    vectors[i] = (random.Uniform(i) - 0.5f) / static_cast<float>(size);
  }
  Taken(false);
}

void WordVectors::Check(const Tensors& tensors) const {
  double sum = 0;
  bool right = true;
  for (const int64_t count : tensors.find("counts")->second.values<int64_t>()) {
    right = right && count >= 0;
    sum += static_cast<double>(count);
  }
  if (!right || sum > 1e18) {
    Fail("the counts of the word vectors are damaged: take them from a training");
  }
}

void WordVectors::Taken(bool) { noise_ = WordNoise(counts_->values<int64_t>(), spec_.subsample); }

float* WordVectors::RowOf(int32_t row) {
  const bool context = row >= spec_.vocabulary;
  const int64_t code = context ? row - spec_.vocabulary : row;
  return (context ? contexts_ : vectors_)->values<float>().data() + code * spec_.dimensions;
}

void WordVectors::Compute(WordBlock* block, bool changes) {
  if (changes && changes_.NumElements() < block->changes * width_) {
    changes_ = Tensor::Unset(Shape({block->changes * width_}), DType::kFloat32);
  }
  const auto count = static_cast<int64_t>(block->places.size());
  pool().ParallelFor((count + kPlaceTile - 1) / kPlaceTile, [&](int64_t tile, int slot) {
    cpu::WordPlace asked;
    asked.vectors = vectors_->values<float>().data();
    asked.contexts = contexts_->values<float>().data();
    asked.outputs = places_.outputs();
    asked.size = spec_.dimensions;
    asked.width = width_;
    asked.takes_mean = TakesMean();
    asked.room = rooms_[static_cast<size_t>(slot)].values<float>().data();
    for (int64_t p = tile * kPlaceTile; p < std::min(count, (tile + 1) * kPlaceTile); ++p) {
      WordBlock::Place& place = block->places[static_cast<size_t>(p)];
      if (place.inputs == 0) continue;
      asked.input_codes = block->inputs.data() + place.first_input;
      asked.inputs = place.inputs;
      asked.output_codes = block->outputs.data() + p * asked.outputs;
      asked.signs = block->signs.data() + p * asked.outputs;
      asked.changes = changes ? changes_.values<float>().data() + place.change * width_ : nullptr;
      place.loss = kernels_.TellPlace(asked);
    }
  });
}

void WordVectors::Apply(const WordBlock& block, double rate) {
  const auto count = static_cast<int64_t>(block.rows.size());
  const float* changes = changes_.values<float>().data();
  pool().ParallelFor((count + kRowTile - 1) / kRowTile, [&](int64_t tile) {
    for (int64_t i = tile * kRowTile; i < std::min(count, (tile + 1) * kRowTile); ++i) {
      const auto at = static_cast<size_t>(i);
      const double most = kWordStep / static_cast<double>(block.terms[at]);
      kernels_.AddChanges(changes, width_, block.which.data() + block.begins[at],
                          block.begins[at + 1] - block.begins[at],
                          static_cast<float>(std::min(rate, most)), spec_.dimensions,
                          RowOf(block.rows[at]));
    }
  });
}

WordVectors::Sums WordVectors::GoThrough(const RowBlock& rows, const Philox& random, double rate) {
  places_.Take(rows, layout().code_columns, noise_, random, &pool());
  const int64_t blocks = (places_.size() + kWordBlock - 1) / kWordBlock;
  if (static_cast<int64_t>(blocks_.size()) < std::min(blocks, kDrawnBlocks)) {
    blocks_.resize(static_cast<size_t>(std::min(blocks, kDrawnBlocks)));
  }
  Sums sums;
  for (int64_t first = 0; first < blocks; first += kDrawnBlocks) {
    const int64_t count = std::min(kDrawnBlocks, blocks - first);
    pool().ParallelFor(count, [&](int64_t i, int slot) {
      WordBlock* block = &blocks_[static_cast<size_t>(i)];
      const int64_t begin = (first + i) * kWordBlock;
      block->Draw(places_, begin, std::min(places_.size(), begin + kWordBlock), TakesMean());
      if (rate > 0) block->FindRows(spec_.vocabulary, &numbers_[static_cast<size_t>(slot)]);
    });
    for (int64_t i = 0; i < count; ++i) {
      WordBlock* block = &blocks_[static_cast<size_t>(i)];
      Compute(block, rate > 0);
      if (rate > 0) Apply(*block, rate);
      for (const WordBlock::Place& place : block->places) sums.loss += place.loss;
      sums.pairs += block->pairs;
    }
  }
  return sums;
}

ClassicLearner::StepResult WordVectors::Train(int64_t step) {
  const int64_t steps = rows_->steps();
  const double done = static_cast<double>(step) / static_cast<double>(steps * spec_.epochs);
  StepResult result;
  result.learning_rate = spec_.learning_rate * std::max(kLastRate, 1 - done);
  const RowBlock block = rows_->Read(step);
  const Philox random(spec_.seed, kPlaceStream | static_cast<uint64_t>(step / steps));
  const Sums sums = GoThrough(block, random, result.learning_rate);
  result.loss = sums.pairs > 0 ? sums.loss / static_cast<double>(sums.pairs) : 0;
  result.weight = static_cast<double>(sums.pairs);
  result.examples = block.rows;
  return result;
}

Evaluation WordVectors::Evaluate(const BatchSource& source) {
  RequireLayout(source);
  Evaluation evaluation;
  evaluation.rows = source.rows();
  double sum = 0;
  RowReader reader(source, &pool());
  std::vector<int64_t> rows;
  for (int64_t first = 0; first < source.rows(); first += static_cast<int64_t>(rows.size())) {
    rows.resize(static_cast<size_t>(
        std::min(RowsMeasuredAtOnce(layout().code_columns), source.rows() - first)));
    std::iota(rows.begin(), rows.end(), first);
    const RowBlock block = reader.Read(rows);
    CheckCodes(block);
    const Sums sums = GoThrough(block, Philox(spec_.seed, kMeasureStream), 0);
    sum += sums.loss;
    evaluation.weight_sum += static_cast<double>(sums.pairs);
  }
  evaluation.loss = evaluation.weight_sum > 0 ? sum / evaluation.weight_sum : 0;
  evaluation.main_loss = evaluation.loss;
  return evaluation;
}

void WordVectors::Infer(const RowBlock& block, const Inference& out) {
  CheckCodes(block);
  const auto size = static_cast<size_t>(spec_.dimensions);
  const std::span<const float> vectors = vectors_->values<float>();
  pool().ParallelFor(block.rows, [&](int64_t row) {
    std::vector<double> sum(size);
    for (int64_t column = 0; column < layout().code_columns; ++column) {
      const int32_t code = block.codes[row * layout().code_columns + column];
      if (code < 0) continue;
      const auto vector = vectors.subspan(static_cast<size_t>(code) * size, size);
      for (size_t k = 0; k < size; ++k) sum[k] += static_cast<double>(vector[k]);
    }
    double squares = 0;
    for (const double x : sum) squares += x * x;
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    float* to = out.probabilities + row * spec_.dimensions;
    for (size_t k = 0; k < size; ++k) to[k] = static_cast<float>(scale * sum[k]);
  });
}

int64_t WordVectors::WorkingBytes() const {
  if (training() == nullptr) return 0;
  return static_cast<int64_t>(WordVectorsBytes(spec_, training()->rows(), layout().code_columns) -
                              8.0 * static_cast<double>(spec_.vocabulary * spec_.dimensions));
}

}  // namespace

double WordVectorsBytes(const WordVectorsSpec& spec, int64_t rows, int64_t columns) {
  const auto vocabulary = static_cast<double>(spec.vocabulary);
  const auto dimensions = static_cast<double>(spec.dimensions);
  const auto threads = static_cast<double>(spec.threads);
  const int64_t batch = std::min(rows, std::max(spec.batch_size, RowsMeasuredAtOnce(columns)));
  const double places =
      static_cast<double>(std::min<int64_t>(batch * columns, kWordBlock * kDrawnBlocks));
  const auto width = static_cast<double>((spec.dimensions + 15) / 16 * 16);
  const bool mean = spec.architecture == WordArchitecture::kBagOfWords;
  const auto told = static_cast<double>(mean ? 1 : 2 * spec.reach);
  const auto outputs = static_cast<double>(1 + spec.negatives);
  const auto seen = static_cast<double>(2 * spec.reach);
  return vocabulary * (8 * dimensions + 8 + 28 + 8 * threads) +
         static_cast<double>(WordPlaces::BytesOf(batch, columns)) +
         places * (32 + 4 * seen + 8 * outputs + 32 * (seen + outputs)) +
         4 * width * (static_cast<double>(kWordBlock) + threads) * (told + outputs) +
         8.0 * static_cast<double>(rows);
}

std::unique_ptr<Learner> MakeWordVectors(const WordVectorsSpec& spec, const LearnerData& data) {
  return std::make_unique<WordVectors>(spec, data);
}

}  // namespace beamline::engine
