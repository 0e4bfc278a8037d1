#include "base/edit_distance.h"

#include <algorithm>

namespace beamline {

int EditDistance(std::string_view a, std::string_view b) {
  const size_t width = b.size() + 1;
  std::vector<int> d((a.size() + 1) * width);
  for (size_t i = 0; i <= a.size(); ++i) d[i * width] = static_cast<int>(i);
  for (size_t j = 0; j <= b.size(); ++j) d[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      int& best = d[i * width + j];
      best = d[(i - 1) * width + j - 1] + (a[i - 1] != b[j - 1]);
      best = std::min({best, d[(i - 1) * width + j] + 1, d[i * width + j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        best = std::min(best, d[(i - 2) * width + j - 2] + 1);
      }
    }
  }
  return d.back();
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates) {
  int best = std::clamp(static_cast<int>(word.size()) / 3, 1, 3) + 1;
  std::string nearest;
  if (word.size() > 100) return nearest;
  for (const std::string& candidate : candidates) {
    const int distance = EditDistance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace beamline
