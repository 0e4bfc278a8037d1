// Bytes of a snapshot. Private to this folder.
//
// One function per record names its fields, for writing and for reading alike, so that the two
// cannot differ: template <class A> void Fields(A& archive, Record& record) { archive(r.a, r.b); }
// Numbers are eight bytes, the lowest first; a list or a name is its length and what is in it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "scheduler/ids.h"

namespace beamline::scheduler {

class Writer {
 public:
  template <class... T>
  void operator()(T&... values) {
    (One(values), ...);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  template <class T>
  void One(T& value) {
    if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
      auto rest = static_cast<uint64_t>(value);
      for (int i = 0; i < 8; ++i, rest >>= 8) bytes_.push_back(static_cast<char>(rest & 255));
    } else {
      Fields(*this, value);
    }
  }
  template <class Tag>
  void One(Id<Tag>& id) {
    One(id.value);
  }
  void One(std::string& text) {
    auto size = static_cast<int64_t>(text.size());
    One(size);
    bytes_ += text;
  }
  template <class T, size_t n>
  void One(std::array<T, n>& values) {
    for (T& value : values) One(value);
  }
  template <class T>
  void One(std::vector<T>& values) {
    auto size = static_cast<int64_t>(values.size());
    One(size);
    for (T& value : values) One(value);
  }

  std::string bytes_;
};

// Reads what Writer wrote. Once the bytes are too few, everything is 0 or empty, and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  template <class... T>
  void operator()(T&... values) {
    (One(values), ...);
  }
  bool ok() const { return ok_; }
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view Take(uint64_t size) {
    ok_ = ok_ && size <= left_.size();
    const std::string_view taken = left_.substr(0, ok_ ? size : 0);
    left_.remove_prefix(taken.size());
    return taken;
  }
  template <class T>
  void One(T& value) {
    if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
      uint64_t number = 0;
      const std::string_view bytes = Take(8);
      for (size_t i = bytes.size(); i-- > 0;) {
        number = number << 8 | static_cast<unsigned char>(bytes[i]);
      }
      value = static_cast<T>(number);
    } else {
      Fields(*this, value);
    }
  }
  template <class Tag>
  void One(Id<Tag>& id) {
    One(id.value);
  }
  void One(std::string& text) {
    uint64_t size = 0;
    One(size);
    text = Take(size);
  }
  template <class T, size_t n>
  void One(std::array<T, n>& values) {
    for (T& value : values) One(value);
  }
  template <class T>
  void One(std::vector<T>& values) {
    uint64_t size = 0;
    One(size);
    values.clear();
    // Each value has a byte at least: a length beyond what is left is no length.
    ok_ = ok_ && size <= left_.size();
    for (uint64_t i = 0; ok_ && i < size; ++i) One(values.emplace_back());
  }

  std::string_view left_;
  bool ok_ = true;
};

}  // namespace beamline::scheduler
