#include "engine/learners/word_vectors.h"

#include <algorithm>

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {
namespace {

// From complete fields.
engine::WordVectorsSpec SpecOf(const v1::WordVectorsLearner& fields, const LearnerFacts& facts) {
  engine::WordVectorsSpec spec;
  spec.vocabulary = facts.code_sizes.empty() ? 0 : facts.code_sizes[0];
  spec.unknown = 0;  // what a missing value has
  if (fields.architecture() == v1::WordVectorsLearner::ARCHITECTURE_BAG_OF_WORDS) {
    spec.architecture = engine::WordArchitecture::kBagOfWords;
  }
  spec.dimensions = fields.dimensions();
  spec.reach = fields.reach();
  spec.negatives = fields.negatives();
  spec.subsample = fields.subsample();
  spec.learning_rate = fields.learning_rate();
  spec.epochs = fields.epochs();
  spec.batch_size = fields.batch_size();
  return spec;
}

}  // namespace

void CheckFields(const v1::WordVectorsLearner& fields, LearnerCheck& check) {
  check.Range("dimensions", fields.dimensions(), 1, 4096);
  check.Range("reach", fields.reach(), 1, 100);
  check.Range("negatives", fields.negatives(), 1, 100);
  check.Range("subsample", fields.subsample(), 1e-12, 1);
  check.Range("learning_rate", fields.learning_rate(), 1e-9, 100);
  check.Range("epochs", fields.epochs(), 1, 100'000);
  check.Range("batch_size", fields.batch_size(), 1, 1 << 20);
  if (check.facts().steps == 1) {
    check.Add("reach", "has nothing to reach: windows have one step, give data.windows more");
  }
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::WordVectorsLearner* fields) {
  if (fields->architecture() == v1::WordVectorsLearner::ARCHITECTURE_UNSPECIFIED) {
    fields->set_architecture(v1::WordVectorsLearner::ARCHITECTURE_SKIP_GRAM);
  }
  const bool bag = fields->architecture() == v1::WordVectorsLearner::ARCHITECTURE_BAG_OF_WORDS;
  if (fields->dimensions() == 0) fields->set_dimensions(100);
  if (fields->reach() == 0) fields->set_reach(5);
  if (fields->negatives() == 0) fields->set_negatives(5);
  if (!fields->has_subsample()) fields->set_subsample(1e-3);
  if (fields->learning_rate() == 0) fields->set_learning_rate(bag ? 0.05 : 0.025);
  if (fields->epochs() == 0) fields->set_epochs(5);
  if (fields->batch_size() == 0) fields->set_batch_size(32);
}

double BytesOf(const v1::WordVectorsLearner& fields, const LearnerFacts& facts) {
  // At the least: windows that do not overlap, of rows that may be those of the table.
  const int64_t steps = std::max<int64_t>(facts.steps, 1);
  return engine::WordVectorsBytes(SpecOf(fields, facts), facts.rows / steps, steps);
}

std::unique_ptr<engine::Learner> Make(const v1::WordVectorsLearner& fields,
                                      const LearnerSetting& setting) {
  engine::WordVectorsSpec spec = SpecOf(fields, setting.facts);
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeWordVectors(spec, setting.data);
}

}  // namespace beamline::pipeline
