// NumPy's NPY format, versions 1, 2 and 3 (numpy.lib.format).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/table.h"
#include "engine/data/workspace.h"

namespace beamline::engine::data {

// An array [rows, item...] as a column. Fortran order is turned into C order. Little-endian types:
//   f2, f4 -> float32; f8 -> float64; b1 -> bool; u1 -> uint8; i1, i2, u2, i4 -> int32;
//   u4, i8, u8 -> int64
// `bytes` is the whole file; nothing of it is kept. The values are an array of `workspace`; without
// one they are in memory. Throws Error, starting with `name`, for any
// other type, big-endian numbers, a scalar, a file shorter or longer than its header says, a
// malformed header, a bool that is neither 0 nor 1, a u8 value above 2^63 - 1; NoRoom.
Column ReadNpy(std::string_view name, std::string_view bytes, Workspace& workspace);
Column ReadNpy(std::string_view name, std::string_view bytes);

// Several NPY files one after the other as the columns of a table, in their order. `names` has one
// for each; empty: `name` if there is one array, else "array0", "array1", ... Throws Error as
// ReadNpy does, and if rows differ or names are too few or too many.
Table ReadNpyFiles(std::string_view name, const std::vector<std::string>& names,
                   std::string_view bytes, Workspace& workspace);
Table ReadNpyFiles(std::string_view name, const std::vector<std::string>& names,
                   std::string_view bytes);

// Arrays of one length as a table, in the order of their names.
struct NamedArray {
  std::string name;
  std::string_view bytes;             // an NPY file
  std::shared_ptr<const void> owner;  // keeps `bytes`; null: somebody else does
};
// Throws Error as ReadNpy does, and if lengths differ or there is no array.
Table ReadArrays(const std::vector<NamedArray>& arrays, Workspace& workspace);
Table ReadArrays(const std::vector<NamedArray>& arrays);

}  // namespace beamline::engine::data
