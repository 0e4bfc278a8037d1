// How long kernels take, from a few executions that were measured.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/passes/kernel_work.h"

namespace beamline::engine {

// One execution that was measured.
struct MeasuredWork {
  KernelWork work;
  double seconds = 0;
};

// For each kernel seconds = start + flops / speed + bytes / bandwidth, with the three numbers,
// none of them negative, that come nearest to what was measured by relative error. So the time of
// more work is never less, and work of a size that was not measured has a time too. Immutable;
// thread-safe.
class CostModel {
 public:
  explicit CostModel(const std::vector<MeasuredWork>& measured);

  bool empty() const { return lines_.empty(); }
  // nullopt: neither the kernel nor the one that it is a fused form of was measured.
  std::optional<double> SecondsOf(const KernelWork& work) const;
  // Of all kernels one after the other. What is not known takes as long as any other kernel with so
  // much work on average, and is added to `unknown_seconds`.
  double SecondsOf(const std::vector<KernelWork>& kernels, double* unknown_seconds) const;

 private:
  // seconds = start + per_flop * flops + per_byte * bytes.
  struct Line {
    double start = 0;
    double per_flop = 0;
    double per_byte = 0;
    double SecondsOf(const KernelWork& work) const {
      return start + per_flop * work.flops + per_byte * work.bytes;
    }
  };
  static Line Fit(const std::vector<MeasuredWork>& points);

  std::map<std::string, Line, std::less<>> lines_;
  Line any_;
};

}  // namespace beamline::engine
