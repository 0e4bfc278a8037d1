#include "pipeline/node_pairs.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "pipeline/fitted.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;

// Of the seed: which pairs without an arc are drawn.
constexpr uint64_t kPairStream = 0x7061697273;

struct Pair {
  int32_t from = 0;
  int32_t to = 0;

  uint64_t key() const { return static_cast<uint64_t>(from) << 32 | static_cast<uint32_t>(to); }
};

// Of an undirected graph the smaller node is the first.
Pair PairOf(int32_t from, int32_t to, bool directed) {
  if (directed || from < to) return {from, to};
  return {to, from};
}

// Draws pairs that are not in a set, each once.
class Drawing {
 public:
  Drawing(int64_t nodes, bool directed, uint64_t seed)
      : nodes_(static_cast<uint64_t>(nodes)), directed_(directed), random_(seed, kPairStream) {}

  // False if it is taken already.
  bool Take(const Pair& pair) { return taken_.insert(pair.key()).second; }

  // There must be one left.
  Pair Next() {
    while (true) {
      const auto from = static_cast<int32_t>(random_.Below(counter_, nodes_));
      const auto to = static_cast<int32_t>(random_.Below(counter_ + 1, nodes_));
      counter_ += 2;
      const Pair pair = PairOf(from, to, directed_);
      if (from != to && Take(pair)) return pair;
    }
  }

 private:
  const uint64_t nodes_;
  const bool directed_;
  const engine::Philox random_;
  uint64_t counter_ = 0;
  std::unordered_set<uint64_t> taken_;
};

// Each arc once, in the order of the table; none from a node to itself.
std::vector<Pair> PairsOf(const Arcs& arcs, bool directed, Drawing* drawing) {
  std::vector<Pair> pairs;
  for (size_t k = 0; k < arcs.sources.size(); ++k) {
    const Pair pair = PairOf(arcs.sources[k], arcs.targets[k], directed);
    if (pair.from != pair.to && drawing->Take(pair)) pairs.push_back(pair);
  }
  return pairs;
}

void RequireEnoughPairs(int64_t nodes, int64_t arcs, bool directed) {
  const int64_t pairs = nodes * (nodes - 1) / (directed ? 1 : 2);
  if (arcs == 0) engine::Fail("there are no arcs between different nodes: nothing can be learned");
  if (pairs - arcs >= arcs) return;
  engine::Fail("there are ", arcs, " arcs, but only ", pairs - arcs,
               " pairs of nodes without one: each arc needs one to be told apart from");
}

engine::data::Split SplitOf(int64_t arcs, const v1::TrainingData& data, uint64_t seed) {
  std::vector<int64_t> numbers(static_cast<size_t>(arcs));
  std::iota(numbers.begin(), numbers.end(), 0);
  const SplitChoice choice = ToSplitSpec(data, seed);
  if (choice.has_split) {
    return engine::data::MakeSplit(Table({Column::Of("arc", numbers)}), choice.spec);
  }
  engine::data::Split all;
  all.train = std::move(numbers);
  return all;
}

void Add(const Pair& pair, int32_t label, Examples* examples) {
  examples->heads.push_back(examples->size());
  examples->begins.push_back(pair.from);
  examples->begins.push_back(pair.to);
  examples->labels.push_back(label);
}

}  // namespace

bool LearnsPairs(const v1::TrainingData& data) { return data.graph().has_pairs(); }

SplitPairs MakePairs(const Table& nodes, const Table& arcs, const v1::TrainingData& data,
                     uint64_t seed) {
  const bool directed = data.graph().directed();
  Drawing drawing(nodes.rows(), directed, seed);
  const std::vector<Pair> all = PairsOf(ReadArcs(nodes, arcs, data.graph()), directed, &drawing);
  const auto count = static_cast<int64_t>(all.size());
  RequireEnoughPairs(nodes.rows(), count, directed);
  const engine::data::Split split = SplitOf(count, data, seed);
  SplitPairs out;
  const auto fill = [&](const std::vector<int64_t>& part, Examples* examples) {
    for (const int64_t arc : part) {
      Add(all[static_cast<size_t>(arc)], 1, examples);
      Add(drawing.Next(), 0, examples);
    }
  };
  fill(split.train, &out.examples.train);
  fill(split.validation, &out.examples.validation);
  fill(split.test, &out.examples.test);
  for (const int64_t arc : split.train) {
    out.seen.sources.push_back(all[static_cast<size_t>(arc)].from);
    out.seen.targets.push_back(all[static_cast<size_t>(arc)].to);
  }
  out.examples.training_rows = engine::data::AllRows(nodes);
  return out;
}

}  // namespace beamline::pipeline
