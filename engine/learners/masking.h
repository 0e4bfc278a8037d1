// What masked prediction hides of rows of codes (Devlin et al. 2018).
#pragma once

#include <cstdint>

#include "engine/core/philox.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine {

// What is drawn where a model is measured: the same each time.
inline constexpr uint64_t kMeasured = ~uint64_t{0};

// Depends on (seed, step, row, column) alone. Code 0, which stands for unknown values, is what is
// seen of a hidden one; it is never chosen itself, nor are negative codes. Thread-safe.
class TokenMask {
 public:
  // `codes`: how many there are, 0 included; at least 2.
  TokenMask(const MaskingSpec& spec, int64_t codes, uint64_t seed, uint64_t step);

  // Whether the code there is to be predicted; if so `code` becomes what is seen of it: 0, another
  // one, or itself.
  bool Hide(int64_t row, int64_t column, int32_t* code) const;

 private:
  MaskingSpec spec_;
  uint64_t codes_;
  Philox random_;
};

}  // namespace beamline::engine
