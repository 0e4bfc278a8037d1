#include "engine/learners/markov_counts.h"

#include <algorithm>
#include <utility>

namespace beamline::engine {
namespace {

using Follower = MarkovCounts::Follower;

// So many keys may be counted by a table of all.
constexpr int64_t kFewKeys = 65536;

class Counter {
 public:
  Counter(int64_t vocabulary, int64_t order, ThreadPool* pool)
      : vocabulary_(vocabulary), order_(order), pool_(*pool) {}

  void ReadCodes(const BatchSource& source, const std::function<void(const RowBlock&)>& check);
  MarkovCounts CountAll();
  // The same at once. TablesFit: the codes are so few that there may be a sum for every context.
  bool TablesFit(int64_t codes) const;
  MarkovCounts CountByTables(const BatchSource& source,
                             const std::function<void(const RowBlock&)>& check);

 private:
  static constexpr uint8_t kNone = 255;

  // Keys below this are counted by a table, and not sorted.
  bool Tables(int64_t keys) const {
    return keys <= 2 * static_cast<int64_t>(codes_.size()) + kFewKeys;
  }
  template <typename Key>
  std::vector<Follower> Count(int64_t length, int64_t keys, const Key& key);
  template <typename Key>
  void NumberContexts(const std::vector<int64_t>& seen, int64_t length, int64_t keys, int64_t begin,
                      const Key& key);

  // Sums of all followers of all lengths, by the codes themselves, in one walk.
  void AddTo(const RowBlock& block, std::vector<std::vector<double>>* tables) const;
  MarkovCounts FromTables(const std::vector<std::vector<double>>& tables) const;

  const int64_t vocabulary_;
  const int64_t order_;
  ThreadPool& pool_;
  int64_t codes_per_row_ = 0;
  // All codes of the rows, one behind the other.
  std::vector<int32_t> codes_;
  std::vector<uint8_t> known_;     // codes known before each, at most the order; kNone: not counted
  std::vector<double> weights_;    // empty for ones
  std::vector<int64_t> contexts_;  // the number of the one before each, of the length counted now
};

void Counter::ReadCodes(const BatchSource& source,
                        const std::function<void(const RowBlock&)>& check) {
  const BatchLayout& layout = source.layout();
  const int64_t width = layout.code_columns;
  const auto size = static_cast<size_t>(source.rows() * width);
  codes_.resize(size);
  known_.resize(size);
  contexts_.assign(size, 0);
  if (layout.has_weights) weights_.resize(size);
  RowReader(source, &pool_).ForEach([&](const RowBlock& block) {
    check(block);
    constexpr int64_t kTile = 64;
    pool_.ParallelFor((block.rows + kTile - 1) / kTile, [&](int64_t tile) {
      for (int64_t row = tile * kTile; row < std::min(block.rows, (tile + 1) * kTile); ++row) {
        const int32_t* from = block.codes + row * width;
        const auto first = static_cast<size_t>(block.index[static_cast<size_t>(row)] * width);
        std::copy_n(from, width, codes_.data() + first);
        if (layout.has_weights) {
          std::fill_n(weights_.data() + first, width, block.Weight(row));
        }
        int64_t known = 0;
        for (int64_t at = 0; at < width; ++at) {
          const bool counts = from[at] >= 0 && at > 0 && block.Weight(row) > 0;
          known_[first + static_cast<size_t>(at)] = counts ? static_cast<uint8_t>(known) : kNone;
          known = from[at] < 0 ? 0 : std::min(known + 1, order_);
        }
      }
    });
  });
}

// Sums of the weights of codes with at least `length` known before them, by key(place) in
// [0, keys), ascending. Those of one key are added in parts of fixed size, in order.
template <typename Key>
std::vector<Follower> Counter::Count(int64_t length, int64_t keys, const Key& key) {
  const auto places = static_cast<int64_t>(codes_.size());
  const auto counted = [&](int64_t place) {
    const uint8_t known = known_[static_cast<size_t>(place)];
    return known != kNone && known >= length;
  };
  const auto weight = [&](int64_t place) {
    return weights_.empty() ? 1.0 : weights_[static_cast<size_t>(place)];
  };
  std::vector<Follower> followers;
  if (!Tables(keys)) {
    for (int64_t place = 0; place < places; ++place) {
      if (counted(place)) followers.push_back({key(place), weight(place)});
    }
    std::stable_sort(followers.begin(), followers.end(),
                     [](const Follower& a, const Follower& b) { return a.key < b.key; });
    size_t last = 0;
    for (size_t i = 1; i < followers.size(); ++i) {
      if (followers[i].key == followers[last].key) {
        followers[last].count += followers[i].count;
      } else {
        followers[++last] = followers[i];
      }
    }
    followers.resize(std::min(followers.size(), last + 1));
    return followers;
  }
  // A sum for each key there may be.
  const int64_t parts = std::clamp<int64_t>(places / (4 * keys + kFewKeys), 1, 8);
  std::vector<std::vector<double>> sums(static_cast<size_t>(parts));
  pool_.ParallelFor(parts, [&](int64_t part) {
    std::vector<double>& own = sums[static_cast<size_t>(part)];
    own.assign(static_cast<size_t>(keys), 0);
    for (int64_t place = places * part / parts; place < places * (part + 1) / parts; ++place) {
      if (counted(place)) own[static_cast<size_t>(key(place))] += weight(place);
    }
  });
  for (int64_t k = 0; k < keys; ++k) {
    double sum = 0;
    for (const std::vector<double>& own : sums) sum += own[static_cast<size_t>(k)];
    if (sum > 0) followers.push_back({k, sum});
  }
  return followers;
}

// Gives each place the number of its longer context: `begin` and its rank among `seen`.
template <typename Key>
void Counter::NumberContexts(const std::vector<int64_t>& seen, int64_t length, int64_t keys,
                             int64_t begin, const Key& key) {
  std::vector<int64_t> ranks(Tables(keys) ? static_cast<size_t>(keys) : 0);
  for (size_t i = 0; !ranks.empty() && i < seen.size(); ++i) {
    ranks[static_cast<size_t>(seen[i])] = static_cast<int64_t>(i);
  }
  constexpr int64_t kTile = 16384;
  const auto places = static_cast<int64_t>(codes_.size());
  pool_.ParallelFor((places + kTile - 1) / kTile, [&](int64_t tile) {
    for (int64_t place = tile * kTile; place < std::min(places, (tile + 1) * kTile); ++place) {
      const uint8_t known = known_[static_cast<size_t>(place)];
      if (known == kNone || known < length) continue;
      const int64_t own = key(place);
      contexts_[static_cast<size_t>(place)] =
          begin + (!ranks.empty() ? ranks[static_cast<size_t>(own)]
                                  : std::lower_bound(seen.begin(), seen.end(), own) - seen.begin());
    }
  });
}

MarkovCounts Counter::CountAll() {
  MarkovCounts counts;
  int64_t first = 0, last = 1;  // contexts of the length counted now
  for (int64_t length = 0; first < last; ++length) {
    const auto key_of = [&](int64_t place, int64_t code_at) {
      return (contexts_[static_cast<size_t>(place)] - first) * vocabulary_ +
             codes_[static_cast<size_t>(code_at)];
    };
    const int64_t keys = (last - first) * vocabulary_;
    for (const Follower& one :
         Count(length, keys, [&](int64_t place) { return key_of(place, place); })) {
      counts.followers.push_back({one.key + first * vocabulary_, one.count});
    }
    if (length == order_) break;
    const auto longer = [&](int64_t place) { return key_of(place, place - length - 1); };
    const std::vector<Follower> found = Count(length + 1, keys, longer);
    std::vector<int64_t> seen;
    for (const Follower& one : found) seen.push_back(one.key);
    NumberContexts(seen, length + 1, keys, last, longer);
    for (const int64_t key : seen) counts.contexts.push_back(key + first * vocabulary_);
    first = last;
    last += static_cast<int64_t>(seen.size());
  }
  return counts;
}

bool Counter::TablesFit(int64_t codes) const {
  double size = static_cast<double>(vocabulary_);
  for (int64_t k = 0; k < order_; ++k) size *= static_cast<double>(vocabulary_);
  return size <= static_cast<double>(codes);
}

void Counter::AddTo(const RowBlock& block, std::vector<std::vector<double>>* tables) const {
  const auto width = static_cast<int64_t>(codes_per_row_);
  for (int64_t row = 0; row < block.rows; ++row) {
    const int32_t* codes = block.codes + row * width;
    const double weight = block.Weight(row);
    if (!(weight > 0)) continue;
    int64_t known = codes[0] < 0 ? 0 : 1;
    for (int64_t at = 1; at < width; ++at) {
      if (codes[at] < 0) {
        known = 0;
        continue;
      }
      int64_t context = 0;
      for (int64_t length = 0;; ++length) {
        (*tables)[static_cast<size_t>(length)]
                 [static_cast<size_t>(context * vocabulary_ + codes[at])] += weight;
        if (length == known) break;
        context = context * vocabulary_ + codes[at - length - 1];
      }
      known = std::min(known + 1, order_);
    }
  }
}

// A context's place in its table is its number with all contexts of its length there.
MarkovCounts Counter::FromTables(const std::vector<std::vector<double>>& tables) const {
  MarkovCounts counts;
  std::vector<int64_t> numbers = {0};  // of the contexts of this length; -1: never seen
  int64_t next = 1;
  for (size_t length = 0; length < tables.size(); ++length) {
    const std::vector<double>& table = tables[length];
    for (size_t context = 0; context < numbers.size(); ++context) {
      for (int64_t code = 0; numbers[context] >= 0 && code < vocabulary_; ++code) {
        const double sum =
            table[context * static_cast<size_t>(vocabulary_) + static_cast<size_t>(code)];
        if (sum > 0) counts.followers.push_back({numbers[context] * vocabulary_ + code, sum});
      }
    }
    if (length + 1 == tables.size()) break;
    std::vector<int64_t> longer(table.size(), -1);
    for (size_t child = 0; child < longer.size(); ++child) {
      const auto own = tables[length + 1].begin() + static_cast<int64_t>(child) * vocabulary_;
      if (!std::any_of(own, own + vocabulary_, [](double sum) { return sum > 0; })) continue;
      longer[child] = next++;
      const auto parent = static_cast<int64_t>(child) / vocabulary_;
      counts.contexts.push_back(numbers[static_cast<size_t>(parent)] * vocabulary_ +
                                static_cast<int64_t>(child) % vocabulary_);
    }
    numbers = std::move(longer);
  }
  return counts;
}

MarkovCounts Counter::CountByTables(const BatchSource& source,
                                    const std::function<void(const RowBlock&)>& check) {
  codes_per_row_ = source.layout().code_columns;
  std::vector<std::vector<double>> tables;
  int64_t size = vocabulary_;
  for (int64_t length = 0; length <= order_; ++length, size *= vocabulary_) {
    tables.emplace_back(static_cast<size_t>(size));
  }
  RowReader(source, &pool_).ForEach([&](const RowBlock& block) {
    check(block);
    AddTo(block, &tables);
  });
  return FromTables(tables);
}

}  // namespace

MarkovCounts CountCodes(const BatchSource& source, int64_t vocabulary, int64_t order,
                        const std::function<void(const RowBlock&)>& check, ThreadPool* pool) {
  Counter counter(vocabulary, order, pool);
  if (counter.TablesFit(source.rows() * source.layout().code_columns)) {
    return counter.CountByTables(source, check);
  }
  counter.ReadCodes(source, check);
  return counter.CountAll();
}

int64_t MarkovCountBytes(const BatchLayout& layout, int64_t rows) {
  // Codes with what is known of each, and sums or sorted keys.
  return rows * layout.code_columns * (13 + (layout.has_weights ? 8 : 0) + 24) + 24 * kFewKeys;
}

}  // namespace beamline::engine
