#include "pipeline/search/grid.h"

#include <algorithm>
#include <utility>

namespace beamline::pipeline::search {
namespace {

struct Combination {
  // Of the values of each dimension; 0 where it is no part.
  std::vector<int> index;
  Values values;
};

class Enumeration {
 public:
  Enumeration(const SearchSpace& space, int limit) : space_(space), limit_(limit) {
    for (const Dimension& dimension : space.dimensions()) {
      choices_.push_back(dimension.GridValues(limit));
    }
    current_.index.assign(choices_.size(), 0);
    Visit(0);
  }

  std::vector<Combination> Take() { return std::move(found_); }

 private:
  // Dimensions from order()[depth] on. Not more branches than combinations are visited, since every
  // branch ends in one.
  void Visit(size_t depth) {
    if (static_cast<int>(found_.size()) >= limit_) return;
    if (depth == choices_.size()) {
      found_.push_back(current_);
      return;
    }
    const size_t d = space_.order()[depth];
    if (!space_.Active(d, current_.values)) return Visit(depth + 1);
    const std::string& key = space_.dimensions()[d].key();
    for (size_t i = 0; i < choices_[d].size(); ++i) {
      current_.index[d] = static_cast<int>(i);
      current_.values[key] = choices_[d][i];
      Visit(depth + 1);
    }
    current_.index[d] = 0;
    current_.values.erase(key);
  }

  const SearchSpace& space_;
  const int limit_;
  std::vector<std::vector<google::protobuf::Value>> choices_;
  Combination current_;
  std::vector<Combination> found_;
};

}  // namespace

std::vector<Values> GridCombinations(const SearchSpace& space, int limit) {
  std::vector<Combination> combinations = Enumeration(space, limit).Take();
  std::sort(combinations.begin(), combinations.end(),
            [](const Combination& a, const Combination& b) { return a.index < b.index; });
  std::vector<Values> values;
  for (Combination& combination : combinations) values.push_back(std::move(combination.values));
  return values;
}

}  // namespace beamline::pipeline::search
