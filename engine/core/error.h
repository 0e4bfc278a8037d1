// The one exception of the engine.
//
// The engine throws `Error` and nothing else of its own; the caller catches it once, where a task
// ends. The message is for the user: it names the place and says what to change, for example
//   layer "head" expects 128 inputs but gets 784: set inputs to 784 or add a reshape before it
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace beamline::engine {

// Thrown for everything that the caller can put right: wiring, shapes, sizes, damaged bytes.
// Immutable; may be rethrown on another thread.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

// The arguments, printed one after the other with `operator<<`.
template <typename... Args>
std::string Concat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

// Throws Error(Concat(args...)).
template <typename... Args>
[[noreturn]] void Fail(const Args&... args) {
  throw Error(Concat(args...));
}

}  // namespace beamline::engine
