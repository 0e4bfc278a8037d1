// Sizes and durations with units, as definitions write them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace beamline::pipeline {

// "1048576", "512 MiB", "1.5GB": a number and B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB,
// TiB (powers of 1024); without a unit bytes. Unit of the result: bytes.
std::optional<double> ParseBytes(std::string_view text);
// "90", "10 min", "1.5 h": a number and ms, s, min, h or d; without a unit seconds.
// Unit of the result: seconds.
std::optional<double> ParseSeconds(std::string_view text);

// "512 MiB" if that is exact, else the number. And "10 min".
std::string BytesText(double bytes);
std::string SecondsText(double seconds);

}  // namespace beamline::pipeline
