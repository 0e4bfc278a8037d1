// Times expressions and filters over a table of random numbers: prepare_bench ROWS THREADS REPEATS
//
// The table has float64 columns x, y, z and a categorical column k of 50 texts. One JSON line each:
// {"case", "seconds"}, the least of so many repeats.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "engine/expression/evaluate.h"
#include "engine/tables/gather.h"
#include "engine/tables/group.h"
#include "engine/tables/rows.h"

namespace beamline::engine {
namespace {

data::Table MakeTable(int64_t rows) {
  const Philox random(1, 1);
  std::vector<data::Column> columns;
  for (uint64_t c = 0; c < 3; ++c) {
    std::vector<double> values(static_cast<size_t>(rows));
    for (size_t i = 0; i < values.size(); ++i) values[i] = random.Normal(3 * i + c);
    columns.push_back(data::Column::Of(std::string(1, static_cast<char>('x' + c)), values));
  }
  std::vector<std::string> texts(static_cast<size_t>(rows));
  for (size_t i = 0; i < texts.size(); ++i) texts[i] = "k" + std::to_string(random.Below(i, 50));
  columns.push_back(data::Column::OfStrings("k", texts));
  return data::Table(std::move(columns));
}

template <typename Body>
void Time(const std::string& name, int repeats, const Body& body) {
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count());
  }
  std::printf("{\"case\": \"%s\", \"seconds\": %.5f}\n", name.c_str(), best);
}

void Run(int64_t rows, int threads, int repeats) {
  const data::Table table = MakeTable(rows);
  data::Workspace workspace({.threads = threads});
  const auto program = [&](const std::string& text) {
    return expression::Compile(text, expression::SchemaOf(table)).program;
  };
  for (const char* text : {"sqrt(x ^ 2 + y ^ 2)", "x * y + 2 * z", "exp(x) * sin(y)"}) {
    const expression::Program code = program(text);
    Time(std::string("derive ") + text, repeats,
         [&] { expression::Evaluate(code, table, "out", workspace); });
  }
  for (const char* text : {"x > 0.5 and abs(y) < 1", "k in ('k3', 'k17', 'k40')"}) {
    const expression::Program code = program(text);
    Time(std::string("filter ") + text, repeats, [&] {
      tables::Gather(table, expression::RowsWhere(code, table, workspace).span(), workspace);
    });
  }
  Time("sort x", repeats, [&] {
    tables::Gather(table, tables::SortRows({{&table.Get("x")}}, workspace).span(), workspace);
  });
  Time("group k: mean(x)", repeats, [&] {
    const tables::Numbered groups = tables::NumberRows({&table.Get("k")}, workspace);
    tables::AggregateRows(tables::Aggregate::kMean, table.Get("x"), groups, "m", workspace);
  });
}

}  // namespace
}  // namespace beamline::engine

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: prepare_bench ROWS THREADS REPEATS\n");
    return 2;
  }
  beamline::engine::Run(std::atoll(argv[1]), std::atoi(argv[2]), std::atoi(argv[3]));
  return 0;
}
