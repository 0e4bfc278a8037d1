// Ids that the service makes, and the form of those that users choose.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/random.h"

namespace beamline {

// "r-01jd4x0v7k3f9m2c": `prefix`, a dash, then 16 characters of Crockford base 32 in lower case:
// 8 from the time in milliseconds modulo 2^40 (34 years), so that ids sort by age, and 8 random (40
// bits).
std::string NewId(std::string_view prefix, absl::Time now, Random& random);

// OK if `id` may name a thing of a user: 1 to 63 characters of [a-z0-9-], first a letter or digit,
// last not a dash. InvalidArgument otherwise, with what is wrong. Such an id is safe in a file
// name.
absl::Status CheckUserId(std::string_view id);

}  // namespace beamline
