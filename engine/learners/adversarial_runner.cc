#include "engine/learners/adversarial_runner.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

// The stream of the seed that latent numbers of given rows come from.
constexpr uint64_t kSampleStream = uint64_t{1} << 62;

const NetworkSpec& Updated(const AdversarialSpec& spec, AdversarialMode mode) {
  return mode == AdversarialMode::kGeneratorStep ? spec.generator : spec.discriminator;
}

}  // namespace

AdversarialRunner::AdversarialRunner(const AdversarialSpec& spec, const BatchLayout& layout,
                                     int64_t batch, AdversarialMode mode, LatentSource latent,
                                     Variables* variables, ThreadPool* pool)
    : batch_(batch),
      seed_(spec.seed),
      made_(BuildAdversarial(spec, layout, batch, mode, latent)),
      executor_(made_.graph, FindBackend(spec.backend), variables, pool, spec.seed),
      clip_limit_(Updated(spec, mode).clip_norm),
      value_limit_(Updated(spec, mode).clip_value),
      rule_(RuleOf(Updated(spec, mode).optimizer)) {
  const auto numbers = [this](Value value) {
    return value.valid() ? executor_.Data<float>(value) : std::span<float>();
  };
  features_ = numbers(made_.features);
  weights_ = numbers(made_.weights);
  counted_ = numbers(made_.counted);
  latent_ = numbers(made_.latent);
  shares_ = numbers(made_.shares);
  numbers_ = numbers(made_.update.numbers);
  undecayed_ = numbers(made_.update.undecayed);
  clip_ = numbers(made_.update.clip_limit);
  value_clip_ = numbers(made_.update.value_limit);
  for (const auto& [value, rate] : made_.rates) {
    rates_.emplace_back(numbers(value), static_cast<float>(rate));
  }
  loss_ = numbers(made_.loss);
  main_loss_ = numbers(made_.main_loss);
  real_loss_ = numbers(made_.real_loss);
  fake_loss_ = numbers(made_.fake_loss);
  weight_sum_ = numbers(made_.weight_sum);
  samples_ = numbers(made_.samples);
}

void AdversarialRunner::Feed(const BatchSource& source, std::span<const int64_t> rows) {
  BatchView view;
  view.features = features_.data();
  view.weights = source.layout().has_weights ? weights_.data() : nullptr;
  source.Gather(rows, view);
  const auto used = static_cast<ptrdiff_t>(rows.size());
  if (!weights_.empty()) {
    if (view.weights == nullptr) std::fill_n(weights_.begin(), used, 1.0f);
    std::fill(weights_.begin() + used, weights_.end(), 0.0f);
  }
  if (!counted_.empty()) {
    std::fill_n(counted_.begin(), used, 1.0f);
    std::fill(counted_.begin() + used, counted_.end(), 0.0f);
  }
}

void AdversarialRunner::DrawLatent(std::span<const int64_t> rows) {
  const Philox random(seed_, kSampleStream);
  const size_t columns = latent_.size() / static_cast<size_t>(batch_);
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint64_t first = static_cast<uint64_t>(rows[i]) * columns;
    for (size_t j = 0; j < columns; ++j) latent_[i * columns + j] = random.Normal(first + j);
  }
  // Rows that only fill the batch.
  std::fill(latent_.begin() + static_cast<ptrdiff_t>(rows.size() * columns), latent_.end(), 0.0f);
}

void AdversarialRunner::SetLatent(std::span<const float> latent, std::span<const float> shares) {
  if (latent.size() != latent_.size() || shares.size() != shares_.size()) {
    Fail("the graph takes ", latent_.size(), " latent numbers and ", shares_.size(),
         " shares, but ", latent.size(), " and ", shares.size(), " were given");
  }
  std::copy(latent.begin(), latent.end(), latent_.begin());
  std::copy(shares.begin(), shares.end(), shares_.begin());
}

void AdversarialRunner::SetUpdate(const std::array<double, kUpdateNumbers>& numbers) {
  std::copy(numbers.begin(), numbers.end(), numbers_.begin());
  if (!undecayed_.empty()) {
    const auto undecayed = WithoutDecay(numbers, rule_);
    std::copy(undecayed.begin(), undecayed.end(), undecayed_.begin());
  }
  if (!clip_.empty()) clip_[0] = static_cast<float>(clip_limit_);
  if (!value_clip_.empty()) value_clip_[0] = static_cast<float>(value_limit_);
}

void AdversarialRunner::Run(uint64_t step) {
  for (const auto& [number, rate] : rates_) number[0] = rate;
  executor_.Run(step);
}

}  // namespace beamline::engine
