#include "base/ids.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/without_secrets.h"

namespace beamline {
namespace {

void AppendBase32(uint64_t value, int digits, std::string& out) {
  static constexpr char kAlphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
  for (int shift = 5 * (digits - 1); shift >= 0; shift -= 5) {
    out.push_back(kAlphabet[(value >> shift) & 31]);
  }
}

}  // namespace

std::string NewId(std::string_view prefix, absl::Time now, Random& random) {
  uint64_t noise = 0;
  for (const char byte : random.Bytes(5)) {
    noise = noise << 8 | static_cast<unsigned char>(byte);
  }
  std::string id(prefix);
  id.push_back('-');
  AppendBase32(static_cast<uint64_t>(absl::ToUnixMillis(now)), 8, id);
  AppendBase32(noise, 8, id);
  return id;
}

absl::Status CheckUserId(std::string_view id) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool good = !id.empty() && id.size() <= 63 && alphanumeric(id.front()) && alphanumeric(id.back());
  for (const char c : id) {
    good = good && (alphanumeric(c) || c == '-');
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", A(WithoutSecrets(id.substr(0, 80))),
      "\" is no valid id: use 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends"));
}

}  // namespace beamline
