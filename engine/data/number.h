// Decimal numbers in text, correctly rounded: the same double that strtod gives.
#pragma once

#include <cstdint>
#include <string_view>

namespace beamline::engine::data {

// The longest number at the start of a text.
struct ScannedNumber {
  enum class Kind : uint8_t {
    kNone,
    kInteger,   // digits with an optional sign, in (-2^63, 2^63); not "-0"
    kFraction,  // any other decimal number: value may be infinite if it is too large
  };
  Kind kind = Kind::kNone;
  const char* end = nullptr;  // behind the number
  int64_t integer = 0;        // kInteger
  double value = 0;           // both kinds
};

// Reads [sign] digits [. digits] [e [sign] digits] at `begin`. Reads nothing at or behind `end`.
// Eisel-Lemire (D. Lemire, "Number parsing at a gigabyte per second", 2021) for up to 19 digits
// and moderate exponents, std::from_chars for the rest.
ScannedNumber ScanNumber(const char* begin, const char* end);

// The whole text as a number; "inf", "infinity" in any case with a sign also count. kNone if it
// is not one.
ScannedNumber ParseNumber(std::string_view text);

}  // namespace beamline::engine::data
