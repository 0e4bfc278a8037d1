#include "server/paging.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "server/errors.h"

namespace beamline::server {
namespace {

// Enough to notice a token of another list, or one that was typed or cut. It is no secret: a
// position lets nobody see more than the list itself does.
constexpr size_t kCheckLength = 12;

std::string CheckOf(std::string_view scope, std::string_view position) {
  return Sha256Hex(absl::StrCat(A(scope), "\n", A(position))).substr(0, kCheckLength);
}

absl::Status BadToken() {
  return BadField("page_token",
                  "is not the next_page_token of this list with these filters: leave it empty to "
                  "begin again");
}

}  // namespace

absl::StatusOr<int64_t> PageSize(int32_t requested, int64_t standard, int64_t most) {
  if (requested < 0) return BadField("page_size", "must not be negative");
  return requested == 0 ? standard : std::min<int64_t>(requested, most);
}

std::string MakePageToken(std::string_view scope, std::string_view position) {
  return absl::WebSafeBase64Escape(absl::StrCat(CheckOf(scope, position), A(position)));
}

absl::StatusOr<std::string> ReadPageToken(std::string_view scope, std::string_view token) {
  if (token.empty()) return std::string();
  std::string bytes;
  if (token.size() > 1024 || !absl::WebSafeBase64Unescape(A(token), &bytes) ||
      bytes.size() < kCheckLength) {
    return BadToken();
  }
  std::string position = bytes.substr(kCheckLength);
  if (bytes.substr(0, kCheckLength) != CheckOf(scope, position)) return BadToken();
  return position;
}

absl::StatusOr<int64_t> ReadPageNumber(std::string_view scope, std::string_view token,
                                       int64_t first) {
  ASSIGN_OR_RETURN(const std::string position, ReadPageToken(scope, token));
  if (position.empty()) return first;
  int64_t number = 0;
  if (!absl::SimpleAtoi(position, &number)) return BadToken();
  return number;
}

}  // namespace beamline::server
