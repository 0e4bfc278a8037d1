// An ordered set of small keys, kept in runs that lie together in memory. Private to this folder.
// absl::btree_set has the same contract; the two were not measured side by side.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace beamline::scheduler {

// Like std::set for keys that are cheap to copy, but with a fraction of its cache misses: a search
// reads the first keys of some runs and then one run. Costs O(log n) comparisons and moves at most
// one run and the list of runs. Not thread-safe. Iterators end with the next change.
template <class Key>
class SortedKeys {
 public:
  class Iterator {
   public:
    Iterator() = default;
    const Key& operator*() const { return (*runs_)[run_][at_]; }
    const Key* operator->() const { return &**this; }
    Iterator& operator++() {
      if (++at_ == (*runs_)[run_].size()) {
        ++run_;
        at_ = 0;
      }
      return *this;
    }
    bool operator==(const Iterator& other) const { return run_ == other.run_ && at_ == other.at_; }

   private:
    friend class SortedKeys;
    Iterator(const std::vector<std::vector<Key>>* runs, size_t run, size_t at)
        : runs_(runs), run_(run), at_(at) {}
    const std::vector<std::vector<Key>>* runs_ = nullptr;
    size_t run_ = 0;
    size_t at_ = 0;
  };

  bool empty() const { return runs_.empty(); }
  size_t size() const { return size_; }
  Iterator begin() const { return {&runs_, 0, 0}; }
  Iterator end() const { return {&runs_, runs_.size(), 0}; }

  // The first one that is not before `key`.
  Iterator LowerBound(const Key& key) const {
    if (runs_.empty()) return end();
    const size_t run = RunOf(key);
    const auto at = std::lower_bound(runs_[run].begin(), runs_[run].end(), key);
    if (at == runs_[run].end()) return {&runs_, run + 1, 0};
    return {&runs_, run, static_cast<size_t>(at - runs_[run].begin())};
  }

  // `key` must not be in.
  void Insert(const Key& key) {
    ++size_;
    if (runs_.empty()) runs_.emplace_back();
    const size_t at = RunOf(key);
    std::vector<Key>& run = runs_[at];
    if (run.empty() || run.back() < key) {
      run.push_back(key);
    } else {
      run.insert(std::lower_bound(run.begin(), run.end(), key), key);
    }
    if (run.size() >= kLongest) Split(at);
  }

  // `key` must be in.
  void Erase(const Key& key) {
    --size_;
    const size_t at = RunOf(key);
    std::vector<Key>& run = runs_[at];
    run.erase(std::lower_bound(run.begin(), run.end(), key));
    if (run.empty()) runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(at));
  }

 private:
  static constexpr size_t kLongest = 64;

  // The run in which `key` is, or would be.
  size_t RunOf(const Key& key) const {
    const auto after = std::upper_bound(
        runs_.begin() + 1, runs_.end(), key,
        [](const Key& wanted, const std::vector<Key>& run) { return wanted < run.front(); });
    return static_cast<size_t>(after - runs_.begin()) - 1;
  }

  void Split(size_t at) {
    std::vector<Key>& run = runs_[at];
    // Keys mostly come at the end: a full last run stays nearly whole.
    const size_t left = at + 1 == runs_.size() ? kLongest - 8 : kLongest / 2;
    std::vector<Key> rest(run.begin() + static_cast<std::ptrdiff_t>(left), run.end());
    run.resize(left);
    runs_.insert(runs_.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::move(rest));
  }

  // None is empty.
  std::vector<std::vector<Key>> runs_;
  size_t size_ = 0;
};

}  // namespace beamline::scheduler
