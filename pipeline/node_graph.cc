#include "pipeline/node_graph.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/data/split.h"

namespace beamline::pipeline {
namespace {

using engine::Fail;
using engine::data::Column;
using engine::data::RowName;
using engine::data::Table;

const Column& PlainColumn(const Table& table, const std::string& name) {
  const Column& column = table.Get(name);
  if (column.item_size() == 1) return column;
  Fail("column \"", name, "\" holds several numbers a row: nodes are named by a single value");
}

// The value of a row as text; it must be there.
std::string TextOf(const Column& column, int64_t row) {
  std::string text = column.Text(row);
  if (text.empty()) Fail(RowName(row), ", column \"", column.name(), "\": the value is missing");
  return text;
}

using Names = std::unordered_map<std::string, int32_t>;

Names NamesOf(const Table& nodes, const v1::NodeGraph& graph) {
  Names names;
  const Column* const column = graph.node().empty() ? nullptr : &PlainColumn(nodes, graph.node());
  for (int64_t row = 0; row < nodes.rows(); ++row) {
    std::string name = column == nullptr ? std::to_string(row) : TextOf(*column, row);
    const auto [place, added] = names.emplace(std::move(name), static_cast<int32_t>(row));
    if (!added) Fail(RowName(row), ": node \"", place->first, "\" is there twice");
  }
  return names;
}

std::vector<int32_t> Ends(const Table& arcs, const std::string& name, const Names& nodes) {
  const Column& column = PlainColumn(arcs, name);
  std::vector<int32_t> ends;
  for (int64_t row = 0; row < arcs.rows(); ++row) {
    const std::string text = TextOf(column, row);
    const auto found = nodes.find(text);
    if (found == nodes.end()) {
      Fail("arcs, ", RowName(row), ", column \"", name, "\": there is no node \"", text, "\"");
    }
    ends.push_back(found->second);
  }
  return ends;
}

void AddMembers(const Table& nodes, const std::string& name, engine::NodeGraph* graph) {
  const Column& column = PlainColumn(nodes, name);
  Names graphs;
  for (int64_t row = 0; row < nodes.rows(); ++row) {
    const auto number = static_cast<int32_t>(graphs.size());
    graph->graph_of_node.push_back(graphs.emplace(TextOf(column, row), number).first->second);
  }
  graph->graphs = static_cast<int64_t>(graphs.size());
  for (size_t k = 0; k < graph->sources.size(); ++k) {
    const auto from = static_cast<size_t>(graph->sources[k]);
    const auto to = static_cast<size_t>(graph->targets[k]);
    if (graph->graph_of_node[from] == graph->graph_of_node[to]) continue;
    Fail("an arc leads from ", RowName(static_cast<int64_t>(from)), " to ",
         RowName(static_cast<int64_t>(to)), ", which are nodes of different graphs by column \"",
         name, "\"");
  }
}

}  // namespace

Arcs ReadArcs(const Table& nodes, const Table& arcs, const v1::NodeGraph& graph) {
  if (arcs.columns().size() < 2) Fail("arcs have two columns or more, from and to");
  const Names names = NamesOf(nodes, graph);
  Arcs out;
  out.sources = Ends(arcs, graph.from().empty() ? arcs.columns()[0].name() : graph.from(), names);
  out.targets = Ends(arcs, graph.to().empty() ? arcs.columns()[1].name() : graph.to(), names);
  return out;
}

std::shared_ptr<const engine::NodeGraph> BuildGraph(const engine::data::FittedTransforms& fitted,
                                                    const Table& nodes, const Table& arcs,
                                                    const v1::NodeGraph& graph) {
  return BuildGraph(fitted, nodes, ReadArcs(nodes, arcs, graph), graph);
}

std::shared_ptr<const engine::NodeGraph> BuildGraph(const engine::data::FittedTransforms& fitted,
                                                    const Table& nodes, Arcs arcs,
                                                    const v1::NodeGraph& graph) {
  engine::NodeGraph out;
  out.nodes = nodes.rows();
  out.sources = std::move(arcs.sources);
  out.targets = std::move(arcs.targets);
  if (!graph.directed()) {
    const std::vector<int32_t> sources = out.sources;
    out.sources.insert(out.sources.end(), out.targets.begin(), out.targets.end());
    out.targets.insert(out.targets.end(), sources.begin(), sources.end());
  }
  if (!graph.member().empty()) AddMembers(nodes, graph.member(), &out);
  engine::data::FeatureMatrix matrix =
      engine::data::ApplyTransforms(fitted, nodes, engine::data::AllRows(nodes));
  engine::Tensor features({out.nodes, matrix.features}, engine::DType::kFloat32);
  std::copy(matrix.values.begin(), matrix.values.end(), features.values<float>().begin());
  out.features = std::make_shared<const engine::Tensor>(std::move(features));
  return std::make_shared<const engine::NodeGraph>(std::move(out));
}

std::shared_ptr<const engine::NodeGraph> SmallestGraph(int64_t features, bool has_members) {
  engine::NodeGraph graph;
  graph.nodes = 4;
  graph.features = std::make_shared<const engine::Tensor>(
      engine::Tensor({graph.nodes, features}, engine::DType::kFloat32));
  graph.sources = {0, 1, 2, 3};
  graph.targets = {1, 0, 3, 2};
  if (has_members) {
    graph.graphs = 2;
    graph.graph_of_node = {0, 0, 1, 1};
  }
  return std::make_shared<const engine::NodeGraph>(std::move(graph));
}

}  // namespace beamline::pipeline
