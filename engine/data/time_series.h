// Time series in the .ts format of the UEA and UCR archives (A. Bagnall et al., "The UEA
// multivariate time series classification archive, 2018").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/table.h"

namespace beamline::engine::data {

// Lines "@name value ..." up to "@data", then a series a line: dimensions between colons, their
// values between commas; behind the last colon the class (@classLabel true ...) or the number to be
// predicted (@targetlabel true). Lines that begin with # say nothing.
//
// The table has a row for each step of each series, one series after the other: a float64 column
// for each dimension, "dim0", "dim1", ..., or as `names` says; "class" (int64 if all are whole
// numbers without leading zeros or a plus, for "1" and "01" are two names; else categorical) or
// "target" (float64), the same in all steps; "series", the number of the series from 0 (int64). "?"
// and "NaN" are missing values.
//
// Throws Error, naming the line, for a header without @data, series with time stamps, more than
// 100,000 dimensions, another number of them than the first has, dimensions of one series that
// differ in length, a value that is no number, a class that @classLabel does not list or whose name
// has more than 1024 bytes; no series; a table of more than `max_bytes`.
Table ReadTimeSeries(std::string_view text, const std::vector<std::string>& names,
                     int64_t max_bytes);

// Whether a file that begins so is one: @problemName, behind lines that begin with #.
bool IsTimeSeries(std::string_view head);

}  // namespace beamline::engine::data
