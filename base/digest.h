// SHA-256 (FIPS 180-4), by OpenSSL. Digests are written as 64 lower-case hexadecimal digits.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace beamline {

// Digest of a stream, piece by piece. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::string_view bytes);
  // Digest of all bytes so far; the stream may go on afterwards.
  std::string Hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string Sha256Hex(std::string_view bytes);

// Reads the whole file. NotFound or Internal as ReadFile has them.
absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path);

// True if `text` is 64 lower-case hexadecimal digits.
bool IsSha256Hex(std::string_view text);

std::string HexEncode(std::string_view bytes);

}  // namespace beamline
