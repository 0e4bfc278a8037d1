// IDX, the format of the MNIST files (Y. LeCun, C. Cortes, C. Burges, "The MNIST database"):
//
//   offset  bytes
//   0       2      zero
//   2       1      type: 08 ubyte, 09 byte, 0B short, 0C int, 0D float, 0E double
//   3       1      number of dimensions, d
//   4       4 d    sizes
//   4+4d           values, the last dimension varying fastest
//
// Numbers have their most significant byte first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/source.h"
#include "engine/data/table.h"
#include "engine/data/value_store.h"

namespace beamline::engine::data {

struct IdxOptions {
  // Names of the columns in order. Empty: "image" for an array of items of two or more dimensions,
  // "label" for one of plain integers; "array0", "array1", ... for others, and where two would
  // have the same name.
  std::vector<std::string> names;
  // Values of one array, as the column has them. Unit: bytes.
  int64_t max_array_bytes = int64_t{64} << 30;
  // Null: on the heap.
  ValueStoreFactory store;
};

// Arrays [rows, item...], one after the other, as the columns of one table: ubyte -> uint8; byte,
// short, int -> int32; float -> float32; double -> float64. Reads piece by piece: memory is what
// `store` takes. Throws Error, naming the array by its place from 1, if it is truncated, damaged,
// empty, of an unknown type, a single value, of other rows than the first, or too large; or if
// there are not as many names as arrays.
Table ReadIdx(ByteSource& source, const IdxOptions& options);

// Whether a file that begins so is IDX.
bool IsIdx(std::string_view head);

}  // namespace beamline::engine::data
