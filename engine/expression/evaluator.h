// Computes an expression block by block. Internal to evaluate.h.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/table.h"
#include "engine/expression/vectors.h"

namespace beamline::engine::expression {

// A program and the columns that it reads. A part that reads nothing but one column of texts is
// computed once for each of its categories, and looked up row by row. Immutable: any number of
// threads may run it, each with a scratch of its own.
class Evaluator {
 public:
  // Program and table must outlive it.
  Evaluator(const Program& program, const data::Table& table);

  class Scratch {
    friend class Evaluator;
    std::vector<Vector> values;
    std::vector<Buffers> buffers;
  };
  Scratch MakeScratch() const;

  // The values of rows `begin` to `begin + rows`, at most kBlockRows of them; good until the next
  // call with that scratch.
  const Vector& Run(int64_t begin, int64_t rows, Scratch& scratch) const;

 private:
  // How an instruction gets its values.
  enum class Way : uint8_t {
    kCompute,
    kOnce,    // the same in every row
    kLookUp,  // by the category of a column
    kSkip,    // part of what is looked up
  };
  // Values by category, that of a missing one first.
  struct ByCategory {
    const int32_t* codes = nullptr;
    Buffers values;
  };

  Evaluator(const Program& program, std::vector<const data::Column*> columns);
  void Plan(int64_t rows);
  void Tabulate(int first, int last, const data::Column& column);
  void Load(const Instruction& code, int64_t begin, int64_t rows, Buffers& own, Vector* out) const;
  void LookUp(const Instruction& code, const ByCategory& table, int64_t begin, int64_t rows,
              Buffers& own, Vector* out) const;
  void Compute(size_t place, int64_t begin, int64_t rows, Scratch& scratch) const;

  const Program& program_;
  std::vector<const data::Column*> columns_;  // by their place in the schema; null if not read
  std::vector<Way> ways_;
  std::vector<std::unique_ptr<ByCategory>> tables_;  // by instruction
};

}  // namespace beamline::engine::expression
