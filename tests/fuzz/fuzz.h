// What a fuzz target is: a function that any bytes may be given to.
//
// Built with clang (cmake --preset fuzz) each target is a libFuzzer program; in ordinary builds it
// is a test that replays the corpus and some thousand changed copies of it (replay.cc).
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace beamline::fuzz {

// Each target defines it. Whatever `bytes` are it returns; what must not be so ends the process.
void Fuzz(std::string_view bytes);

// Ends the process, saying why, unless `holds`.
inline void Require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

// What `body` throws, if it is of type E, as text; empty if it throws nothing.
template <typename E, typename Body>
std::string Thrown(const Body& body) {
  try {
    body();
    return "";
  } catch (const E& error) {
    const std::string what = error.what();
    Require(!what.empty(), "an error says what is wrong");
    return what;
  }
}

// Takes bytes from the front of a text, for choices that the fuzzer makes; zeros when it is empty.
class Choices {
 public:
  explicit Choices(std::string_view bytes) : rest_(bytes) {}
  unsigned Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  // Below `count`, which is 1 to 256.
  unsigned Below(unsigned count) { return Byte() % count; }
  bool Maybe() { return (Byte() & 1) != 0; }
  bool empty() const { return rest_.empty(); }
  // So many bytes, or fewer at the end.
  std::string_view Take(size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace beamline::fuzz
