// Pages of lists: sizes, and tokens that say where the next page begins.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::server {

// 0 is `standard`, more than `most` is `most`. InvalidArgument if negative.
absl::StatusOr<int64_t> PageSize(int32_t requested, int64_t standard, int64_t most);

// Opaque to callers. `scope`: which list this is, with its filters; a token of one list is refused
// by another. `position`: what the list's owner needs to go on.
std::string MakePageToken(std::string_view scope, std::string_view position);

// The position in `token`; empty for an empty token. InvalidArgument if it is no token of `scope`.
absl::StatusOr<std::string> ReadPageToken(std::string_view scope, std::string_view token);

// For lists whose position is a number; `first` for an empty token.
absl::StatusOr<int64_t> ReadPageNumber(std::string_view scope, std::string_view token,
                                       int64_t first);

}  // namespace beamline::server
