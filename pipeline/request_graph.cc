#include "pipeline/request_graph.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "pipeline/request_rows.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using google::protobuf::Struct;
using google::protobuf::Value;
using Structs = google::protobuf::RepeatedPtrField<Struct>;

constexpr double kExactInteger = 9007199254740992.0;

// What a node or a graph is called. `place` says where the row is.
std::string NameOf(const Struct& row, const std::string& column, const std::string& place) {
  const auto found = row.fields().find(column);
  if (found == row.fields().end() || found->second.kind_case() == Value::kNullValue) {
    engine::Fail(place, "is missing: nodes and graphs need a name");
  }
  const Value& value = found->second;
  if (value.kind_case() == Value::kStringValue && !value.string_value().empty()) {
    return value.string_value();
  }
  const double number = value.number_value();
  if (value.kind_case() != Value::kNumberValue || number != std::floor(number) ||
      std::abs(number) > kExactInteger) {
    engine::Fail(place, "expected a name: text or a whole number");
  }
  return absl::StrCat(static_cast<int64_t>(number));
}

std::vector<std::string> NamesOf(const Structs& rows, const std::string& column,
                                 const std::string& what) {
  std::vector<std::string> names;
  for (int i = 0; i < rows.size(); ++i) {
    names.push_back(NameOf(rows[i], column, absl::StrCat(what, RowPlace(i, column))));
  }
  return names;
}

// Adds a column of names, unless the table has it as a feature.
void AddNames(const Structs& rows, const std::string& name, Table* table) {
  std::vector<Column> columns = table->columns();
  const bool there = std::any_of(columns.begin(), columns.end(),
                                 [&](const Column& column) { return column.name() == name; });
  if (name.empty() || there) return;
  columns.push_back(Column::OfStrings(name, NamesOf(rows, name, "")));
  *table = Table(std::move(columns));
}

Examples Numbers(int64_t count) {
  Examples examples;
  examples.heads.resize(static_cast<size_t>(count));
  std::iota(examples.heads.begin(), examples.heads.end(), 0);
  examples.begins = examples.heads;
  return examples;
}

}  // namespace

RequestGraph ToGraph(const v1::ModelCard& card, const Structs& rows, const Structs& arcs) {
  v1::NodeGraph graph = card.data().graph();
  // Models of before they were recorded.
  if (graph.from().empty()) graph.set_from("from");
  if (graph.to().empty()) graph.set_to("to");
  if (arcs.empty()) {
    engine::Fail(
        "arcs: are missing: rows are the nodes of a graph, give the arcs between them, "
        "each with \"",
        graph.from(), "\" and \"", graph.to(), "\"");
  }
  if (arcs.size() > kMaxPredictArcs) {
    engine::Fail("arcs: are ", arcs.size(), "; at most ", kMaxPredictArcs, " are taken at once");
  }
  RequestGraph out;
  out.nodes = ToTable(card, rows).table;
  AddNames(rows, graph.node(), &out.nodes);
  AddNames(rows, graph.member(), &out.nodes);
  const Table ends({Column::OfStrings(graph.from(), NamesOf(arcs, graph.from(), "arcs, ")),
                    Column::OfStrings(graph.to(), NamesOf(arcs, graph.to(), "arcs, "))});
  out.arcs = ReadArcs(out.nodes, ends, graph);
  if (graph.member().empty()) {
    out.examples = Numbers(rows.size());
    return out;
  }
  std::unordered_set<std::string> seen;
  for (const std::string& name : NamesOf(rows, graph.member(), "")) {
    if (seen.insert(name).second) out.graphs.push_back(name);
  }
  out.examples = Numbers(static_cast<int64_t>(out.graphs.size()));
  return out;
}

std::string NameField(const v1::ModelCard& card) {
  const v1::NodeGraph& graph = card.data().graph();
  if (!graph.member().empty()) return graph.member();
  return graph.node().empty() ? "node" : graph.node();
}

RequestGraph FindInGraph(const v1::ModelCard& card, const Structs& rows, const Table& nodes,
                         const Table& arcs) {
  const v1::NodeGraph& graph = card.data().graph();
  const bool members = !graph.member().empty();
  const bool numbered = !members && graph.node().empty();
  // Nodes by their row, small graphs in the order in which they first appear.
  std::unordered_map<std::string, int64_t> numbers;
  for (int64_t row = 0; row < nodes.rows(); ++row) {
    const auto next = members ? static_cast<int64_t>(numbers.size()) : row;
    numbers.emplace(numbered ? absl::StrCat(row) : nodes.Get(NameField(card)).Text(row), next);
  }
  RequestGraph out;
  out.nodes = nodes;
  out.arcs = ReadArcs(nodes, arcs, graph);
  const std::vector<std::string> names = NamesOf(rows, NameField(card), "");
  for (int i = 0; i < rows.size(); ++i) {
    const std::string& name = names[static_cast<size_t>(i)];
    const auto found = numbers.find(name);
    if (found == numbers.end()) {
      engine::Fail(RowPlace(i, NameField(card)), "the training's graph has no ",
                   members ? "small graph" : "node", " \"", name, "\"");
    }
    out.examples.heads.push_back(i);
    out.examples.begins.push_back(found->second);
    if (members) out.graphs.push_back(name);
  }
  return out;
}

}  // namespace beamline::pipeline
