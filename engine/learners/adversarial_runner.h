// A compiled graph of adversarial training with its inputs resolved.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/executor/executor.h"
#include "engine/learners/batch_source.h"
#include "engine/nn/adversarial.h"

namespace beamline::engine {

// One graph of a pair of networks for one batch size. Not thread-safe.
class AdversarialRunner {
 public:
  // `variables` and `pool` must outlive this object. Throws Error as BuildAdversarial does.
  AdversarialRunner(const AdversarialSpec& spec, const BatchLayout& layout, int64_t batch,
                    AdversarialMode mode, LatentSource latent, Variables* variables,
                    ThreadPool* pool);

  int64_t batch() const { return batch_; }
  // Inputs, activations and gradients at their peak, and the kernels' scratch. Unit: bytes.
  int64_t working_bytes() const { return executor_.plan().arena_bytes + executor_.scratch_bytes(); }

  // kDiscriminatorStep, kEvaluation: copies real rows into the inputs. Fewer than the batch, in
  // evaluation only: the rest, and as many generated rows, count for nothing.
  void Feed(const BatchSource& source, std::span<const int64_t> rows);
  // Latent numbers of the rows, each from (seed, its number, element); not for
  // LatentSource::kDrawn.
  void DrawLatent(std::span<const int64_t> rows);
  // The same from the caller: [batch, latent], and [batch] if there is a gradient penalty.
  void SetLatent(std::span<const float> latent, std::span<const float> shares);
  // Training: the numbers of this step's update.
  void SetUpdate(const std::array<double, kUpdateNumbers>& numbers);
  void Run(uint64_t step);

  double loss() const { return loss_[0]; }
  double main_loss() const { return main_loss_[0]; }
  // Of a discriminator: of the real rows, and of the generated ones.
  double real_loss() const { return real_loss_[0]; }
  double fake_loss() const { return fake_loss_[0]; }
  double weight_sum() const { return weight_sum_[0]; }
  // kSampling: [batch, features].
  std::span<const float> samples() const { return samples_; }

 private:
  const int64_t batch_;
  const uint64_t seed_;
  AdversarialNetwork made_;
  Executor executor_;
  double clip_limit_;
  double value_limit_;
  UpdateRule rule_;
  std::span<float> features_, weights_, counted_, latent_, shares_;
  std::span<float> numbers_, undecayed_, clip_, value_clip_;
  std::vector<std::pair<std::span<float>, float>> rates_;
  std::span<float> loss_, main_loss_, real_loss_, fake_loss_, weight_sum_, samples_;
};

}  // namespace beamline::engine
