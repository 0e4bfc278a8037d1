// Two networks that are trained against each other, as plain data.
#pragma once

#include <cstdint>
#include <string>

#include "engine/nn/network_spec.h"

namespace beamline::engine {

// D is the discriminator's output (a logit, or a critic's score), x a real row, y a generated one,
// E the mean over rows. Each network minimises its own:
enum class AdversarialLoss : uint8_t {
  // discriminator E softplus(-D(x)) + E softplus(D(y)); generator E softplus(-D(y))
  // (Goodfellow et al. 2014, the form that does not saturate)
  kNonSaturating,
  // E (D(x) - 1)^2 / 2 + E D(y)^2 / 2; E (D(y) - 1)^2 / 2 (Mao et al. 2017)
  kLeastSquares,
  // E max(0, 1 - D(x)) + E max(0, 1 + D(y)); -E D(y) (Lim, Ye 2017)
  kHinge,
  // E D(y) - E D(x); -E D(y) (Arjovsky et al. 2017); needs a gradient penalty
  kWasserstein,
};

struct AdversarialSpec {
  // Of both networks the layers, the optimiser, the schedule and the clipping count; the rest is
  // below, or has no meaning here and must be as NetworkSpec makes it. The learning rates of both
  // schedules are those of the learner's step.
  //
  // The generator's "features" are the latent numbers; it ends in as many numbers as a row has
  // features. The discriminator's "features" are those of a row; it ends in one number.
  NetworkSpec generator;
  NetworkSpec discriminator;
  AdversarialLoss loss = AdversarialLoss::kNonSaturating;
  // Times E (|dD/dz| - 1)^2 is added to the discriminator's loss, z being u x + (1 - u) y with u
  // drawn evenly from [0, 1) for each row (Gulrajani et al. 2017: 10). 0: no penalty.
  double gradient_penalty = 0;
  // Updates of the discriminator for each of the generator (Gulrajani et al. 2017: 5).
  int64_t discriminator_steps = 1;
  // Standard normal numbers from which a row is generated.
  int64_t latent = 64;
  int64_t batch_size = 64;
  int64_t epochs = 10;
  uint64_t seed = 0;
  // Threads of this learner, the calling one included. No result depends on it.
  int threads = 1;
  std::string backend = "cpu";
};

}  // namespace beamline::engine
