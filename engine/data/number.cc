#include "engine/data/number.h"

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

namespace beamline::engine::data {
namespace {

using Uint128 = unsigned __int128;

// 5^q for q in [-kMaxPower, kMaxPower] as 128 bits with the highest set: truncated for q >= 0,
// reciprocals rounded up for q >= -27 and truncated below, as the algorithm's proof wants them.
constexpr int kMaxPower = 55;  // 5^55 < 2^128

struct Powers {
  std::array<Uint128, 2 * kMaxPower + 1> of;

  constexpr Powers() : of() {
    Uint128 power = 1;
    for (int q = 0; q <= kMaxPower; ++q) {
      Uint128 shifted = power;
      while ((shifted >> 127) == 0) shifted <<= 1;
      of[kMaxPower + q] = shifted;
      if (q > 0) of[kMaxPower - q] = Reciprocal(power) + (q <= 27 ? 1 : 0);
      if (q < kMaxPower) power *= 5;
    }
  }

  // floor(2^(z + 127) / power), where z is the number of bits of power; long division.
  static constexpr Uint128 Reciprocal(Uint128 power) {
    int bits = 0;
    for (Uint128 rest = power; rest != 0; rest >>= 1) ++bits;
    Uint128 remainder = bits == 128 ? -power : (Uint128{1} << bits) - power;
    Uint128 quotient = 1;
    for (int i = 0; i < 127; ++i) {
      const bool carry = (remainder >> 127) != 0;
      remainder <<= 1;
      quotient <<= 1;
      if (carry || remainder >= power) {
        remainder -= power;
        quotient |= 1;
      }
    }
    return quotient;
  }
};
constexpr Powers kPowers;

constexpr std::array<double, 23> kExactPowers = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// w * 10^q as the bits of a double, or 0 where the fast algorithm does not decide.
// w != 0, |q| <= kMaxPower, so the result is a normal number.
uint64_t EiselLemire(uint64_t w, int q) {
  const int zeros = std::countl_zero(w);
  w <<= zeros;
  const Uint128 power = kPowers.of[static_cast<size_t>(kMaxPower + q)];
  Uint128 product = static_cast<Uint128>(w) * static_cast<uint64_t>(power >> 64);
  if ((static_cast<uint64_t>(product >> 64) & 0x1FF) == 0x1FF) {
    product += (static_cast<Uint128>(w) * static_cast<uint64_t>(power)) >> 64;
  }
  const auto high = static_cast<uint64_t>(product >> 64);
  const auto low = static_cast<uint64_t>(product);
  if (low == ~uint64_t{0} && (q < -27 || q > 55)) return 0;
  const int upper = static_cast<int>(high >> 63);
  uint64_t mantissa = high >> (upper + 9);
  int exponent = (((152170 + 65536) * q) >> 16) + 63 + upper - zeros + 1023;
  if (low <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 && (mantissa << (upper + 9)) == high) {
    mantissa &= ~uint64_t{1};
  }
  mantissa += mantissa & 1;
  mantissa >>= 1;
  if (mantissa >= (uint64_t{2} << 52)) {
    mantissa = uint64_t{1} << 52;
    ++exponent;
  }
  return (mantissa & ~(uint64_t{1} << 52)) | static_cast<uint64_t>(exponent) << 52;
}

// What strtod would say of the number in [begin, end), which is known to be one.
double SlowNumber(const char* begin, const char* end) {
  double value = 0;
  const auto result = std::from_chars(begin, end, value);
  if (result.ec != std::errc::result_out_of_range) return value;
  // Too large or too small for a double: the sign of log10 of the number tells which.
  int64_t scale = 0;
  bool point = false, significant = false;
  const char* p = begin;
  for (; p != end && (*p | 0x20) != 'e'; ++p) {
    if (*p == '.') {
      point = true;
    } else {
      significant = significant || *p != '0';
      if (significant && !point) ++scale;
      if (!significant && point) --scale;
    }
  }
  if (p != end) {
    const bool negative = *++p == '-';
    if (*p == '-' || *p == '+') ++p;
    int64_t exponent = 0;
    for (; p != end && exponent < (int64_t{1} << 40); ++p) exponent = exponent * 10 + (*p - '0');
    scale += negative ? -exponent : exponent;
  }
  return scale > 0 ? std::numeric_limits<double>::infinity() : 0.0;
}

bool IsDigit(char c) { return static_cast<uint8_t>(c - '0') < 10; }

constexpr std::array<uint64_t, 9> kPowersOfTen = {
    1, 10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};

// How many digits the eight bytes start with.
int LeadingDigits(uint64_t bytes) {
  const uint64_t others =
      ((bytes + 0x4646464646464646) | (bytes - 0x3030303030303030)) & 0x8080808080808080;
  return std::countr_zero(others) / 8;
}

// The number that the first `count` of eight bytes are the digits of.
uint64_t DigitsValue(uint64_t bytes, int count) {
  bytes -= 0x3030303030303030;
  // In two steps, since all 64 bits may go.
  bytes = bytes << (4 * (8 - count)) << (4 * (8 - count));
  bytes = bytes * 10 + (bytes >> 8);
  return (((bytes & 0x000000FF000000FF) * 0x000F424000000064) +
          (((bytes >> 16) & 0x000000FF000000FF) * 0x0000271000000001)) >>
         32;
}

// Adds the digits at `p` to `w` (modulo 2^64) and returns where they end. The number of digits of
// real data is hard to predict, so there is no branch on it up to 15.
inline const char* TakeDigits(const char* p, const char* end, uint64_t& w) {
  if constexpr (std::endian::native == std::endian::little) {
    while (end - p >= 16) {
      uint64_t first, second;
      std::memcpy(&first, p, 8);
      std::memcpy(&second, p + 8, 8);
      const int count1 = LeadingDigits(first);
      const int count2 = count1 == 8 ? LeadingDigits(second) : 0;
      w = w * kPowersOfTen[static_cast<size_t>(count1)] + DigitsValue(first, count1);
      w = w * kPowersOfTen[static_cast<size_t>(count2)] + DigitsValue(second, count2);
      p += count1 + count2;
      if (count1 + count2 < 16) return p;
    }
  }
  for (; p != end && IsDigit(*p); ++p) w = w * 10 + static_cast<uint64_t>(*p - '0');
  return p;
}

// -value if `negative`, without a branch: signs are hard to predict.
double WithSign(double value, bool negative) {
  return std::bit_cast<double>(std::bit_cast<uint64_t>(value) ^ static_cast<uint64_t>(negative)
                                                                    << 63);
}

struct Decimal {
  uint64_t w = 0;          // the digits, at most the first 19 significant ones
  int64_t exponent = 0;    // of ten
  bool truncated = false;  // digits that are not zero may have been left out
};

// For more than 19 digits: skips leading zeros and keeps 19.
Decimal LongDecimal(const char* digits, const char* end, int64_t exponent) {
  Decimal out;
  out.exponent = exponent;
  int kept = 0;
  for (const char* p = digits; p != end; ++p) {
    if (*p == '.') continue;
    if (kept == 0 && *p == '0') continue;
    if (kept < 19) {
      out.w = out.w * 10 + static_cast<uint64_t>(*p - '0');
      ++kept;
    } else {
      ++out.exponent;
      out.truncated = true;
    }
  }
  return out;
}

double DecimalValue(const Decimal& decimal, const char* digits, const char* end) {
  const int64_t q = decimal.exponent;
  if (decimal.w == 0) return 0.0;
  if (!decimal.truncated && decimal.w <= (uint64_t{1} << 53) && q >= -22 && q <= 22) {
    const auto w = static_cast<double>(decimal.w);
    return q < 0 ? w / kExactPowers[static_cast<size_t>(-q)]
                 : w * kExactPowers[static_cast<size_t>(q)];
  }
  if (q >= -kMaxPower && q <= kMaxPower) {
    const uint64_t bits = EiselLemire(decimal.w, static_cast<int>(q));
    const bool sure = !decimal.truncated || bits == EiselLemire(decimal.w + 1, static_cast<int>(q));
    if (bits != 0 && sure) return std::bit_cast<double>(bits);
  }
  return SlowNumber(digits, end);
}

// The exponent at `p`, which is behind the 'e'; null if there is none. Saturates.
const char* TakeExponent(const char* p, const char* end, int64_t& exponent) {
  const bool negative = p != end && *p == '-';
  if (p != end && (*p == '-' || *p == '+')) ++p;
  if (p == end || !IsDigit(*p)) return nullptr;
  int64_t value = 0;
  for (; p != end && IsDigit(*p); ++p) {
    if (value < 1'000'000) value = value * 10 + (*p - '0');
  }
  exponent += negative ? -value : value;
  return p;
}

}  // namespace

ScannedNumber ScanNumber(const char* begin, const char* end) {
  ScannedNumber out;
  const char* p = begin;
  if (p == end) return out;
  const bool negative = *p == '-';
  p += static_cast<int>(negative) | static_cast<int>(*p == '+');
  const char* const digits = p;
  Decimal decimal;
  p = TakeDigits(p, end, decimal.w);
  int64_t count = p - digits;
  if (p == end || (*p != '.' && (*p | 0x20) != 'e')) {
    if (count == 0) return out;
    out.end = p;
    if (count <= 18 || (count == 19 && decimal.w <= uint64_t{INT64_MAX})) {
      const int64_t sign = -static_cast<int64_t>(negative);
      out.integer = (static_cast<int64_t>(decimal.w) ^ sign) - sign;
      out.value = static_cast<double>(out.integer);
      out.kind = ScannedNumber::Kind::kInteger;
      if (decimal.w != 0 || !negative) return out;
      out.value = -0.0;
      out.kind = ScannedNumber::Kind::kFraction;
      return out;
    }
  } else {
    if (*p == '.') {
      const char* const fraction = ++p;
      p = TakeDigits(p, end, decimal.w);
      decimal.exponent = fraction - p;
      count += p - fraction;
    }
    if (count == 0) return out;
  }
  const char* const digits_end = p;
  int64_t exponent = decimal.exponent;
  if (p != end && (*p | 0x20) == 'e') {
    p = TakeExponent(p + 1, end, exponent);
    if (p == nullptr) return out;
  }
  decimal.exponent = exponent;
  if (count > 19) decimal = LongDecimal(digits, digits_end, exponent);
  out.kind = ScannedNumber::Kind::kFraction;
  out.end = p;
  out.value = WithSign(DecimalValue(decimal, digits, p), negative);
  return out;
}

ScannedNumber ParseNumber(std::string_view text) {
  const char* const end = text.data() + text.size();
  ScannedNumber out = ScanNumber(text.data(), end);
  if (out.kind != ScannedNumber::Kind::kNone && out.end == end) return out;
  out = {};
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text.size() != 3 && text.size() != 8) return out;
  constexpr std::string_view kInfinity = "infinity";
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != kInfinity[i]) return out;
  }
  out.kind = ScannedNumber::Kind::kFraction;
  out.end = end;
  out.value = std::numeric_limits<double>::infinity();
  if (negative) out.value = -out.value;
  return out;
}

}  // namespace beamline::engine::data
