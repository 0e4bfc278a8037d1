// Expressions over the rows of a table: the same values for any number of threads.
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/data/columnar.h"
#include "engine/data/csv.h"
#include "engine/expression/evaluate.h"
#include "engine/expression/program.h"
#include "tests/fuzz/fuzz.h"

namespace beamline::fuzz {
namespace {

using engine::data::Table;

const Table& Rows() {
  static const Table table = engine::data::ReadCsv(
      "x,n,b,t\n1.5,3,true,red\n-2,0,false,\n,7,,blue\n1e300,-9,true,a longer "
      "text\nnan,,false,red\n");
  return table;
}

std::string Values(const engine::expression::Program& program, int threads) {
  engine::data::Workspace workspace({.threads = threads});
  std::string bytes;
  const std::string error = Thrown<engine::Error>([&] {
    const Table table({Evaluate(program, Rows(), "y", workspace)});
    WriteColumnar(table, [&](std::string_view piece) { bytes += piece; });
  });
  return error.empty() ? bytes : error;
}

}  // namespace

void Fuzz(std::string_view bytes) {
  const auto compiled = engine::expression::Compile(bytes, engine::expression::SchemaOf(Rows()));
  Require(compiled.problems.empty() != compiled.program.code.empty(),
          "there is a program, or a reason why not");
  if (compiled.program.code.empty()) return;
  Require(Values(compiled.program, 1) == Values(compiled.program, 3), "threads change nothing");
}

}  // namespace beamline::fuzz
