// The strings that were put in last.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>

namespace beamline::auth {

// At most `most` strings; the one that was put in longest ago goes first. Not thread-safe.
class RecentSet {
 public:
  explicit RecentSet(size_t most) : most_(most) {}

  // Puts `text` in; one that is in it becomes the newest.
  void Put(const std::string& text) {
    Erase(text);
    if (most_ == 0) return;
    if (places_.size() >= most_) Erase(std::string(ages_.front()));
    ages_.push_back(text);
    places_.emplace(text, std::prev(ages_.end()));
  }
  bool Has(const std::string& text) const { return places_.contains(text); }
  void Erase(const std::string& text) {
    const auto found = places_.find(text);
    if (found == places_.end()) return;
    ages_.erase(found->second);
    places_.erase(found);
  }

 private:
  const size_t most_;
  // Oldest first.
  std::list<std::string> ages_;
  std::unordered_map<std::string, std::list<std::string>::iterator> places_;
};

}  // namespace beamline::auth
