// Different strings, numbered in the order of their first appearance.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace beamline::engine::data {

// An open-addressing table over strings it keeps copies of. Not thread-safe.
class StringPool {
 public:
  static constexpr int32_t kAbsent = -1;

  int32_t size() const { return static_cast<int32_t>(strings_.size()); }
  // Valid as long as the pool.
  std::string_view operator[](int32_t id) const { return strings_[static_cast<size_t>(id)]; }
  int64_t bytes() const { return bytes_; }

  // The number of `text`, kAbsent if it was never added.
  int32_t Find(std::string_view text) const {
    if (slots_.empty()) return kAbsent;
    return slots_[SlotOf(text)] - 1;
  }

  // The number of `text`, which is added if it is new.
  int32_t Add(std::string_view text) {
    if (strings_.size() * 2 >= slots_.size()) Grow();
    const size_t slot = SlotOf(text);
    if (slots_[slot] == 0) {
      strings_.push_back(Keep(text));
      slots_[slot] = size();
    }
    return slots_[slot] - 1;
  }

 private:
  static uint64_t Hash(std::string_view text) {
    uint64_t hash = 0x9E3779B97F4A7C15u ^ text.size();
    const char* p = text.data();
    size_t left = text.size();
    for (; left >= 8; p += 8, left -= 8) {
      uint64_t word;
      std::memcpy(&word, p, 8);
      hash = Mix(hash ^ word);
    }
    uint64_t word = 0;
    if (left > 0) std::memcpy(&word, p, left);
    return Mix(hash ^ word);
  }
  static uint64_t Mix(uint64_t x) {
    x *= 0xD6E8FEB86659FD93u;
    return x ^ (x >> 32);
  }

  // Where `text` is, or the free place where it would be.
  size_t SlotOf(std::string_view text) const {
    const size_t mask = slots_.size() - 1;
    size_t slot = Hash(text) & mask;
    while (slots_[slot] != 0 && strings_[static_cast<size_t>(slots_[slot] - 1)] != text) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  void Grow() {
    slots_.assign(slots_.empty() ? 16 : slots_.size() * 2, 0);
    for (int32_t id = 0; id < size(); ++id) slots_[SlotOf((*this)[id])] = id + 1;
  }

  std::string_view Keep(std::string_view text) {
    constexpr size_t kBlock = 1 << 14;
    bytes_ += static_cast<int64_t>(text.size());
    if (text.size() > free_) {
      const size_t size = text.size() > kBlock / 4 ? text.size() : kBlock;
      blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
      next_ = blocks_.back().get();
      free_ = size;
    }
    if (!text.empty()) std::memcpy(next_, text.data(), text.size());
    const std::string_view kept(next_, text.size());
    next_ += text.size();
    free_ -= text.size();
    return kept;
  }

  std::vector<int32_t> slots_;  // id + 1, 0 = free; a power of two of them
  std::vector<std::string_view> strings_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  size_t free_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace beamline::engine::data
