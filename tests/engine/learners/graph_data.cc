#include "tests/engine/learners/graph_data.h"

#include <fstream>
#include <sstream>

#include "engine/core/philox.h"

namespace beamline::engine::testing {
namespace {

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void AddEdge(NodeGraph& graph, int32_t a, int32_t b) {
  graph.sources.insert(graph.sources.end(), {a, b});
  graph.targets.insert(graph.targets.end(), {b, a});
}

}  // namespace

MemoryBatchSource RowsOf(const NodeTask& task, const std::vector<int32_t>& items) {
  MemoryBatch batch;
  batch.rows = static_cast<int64_t>(items.size());
  batch.layout.code_columns = 1;
  batch.layout.classes = task.classes;
  batch.layout.nodes = task.graph;
  batch.codes = items;
  for (const int32_t item : items) batch.labels.push_back(task.labels[static_cast<size_t>(item)]);
  return MemoryBatchSource(std::move(batch));
}

NodeTask ReadCora(const std::string& folder) {
  NodeTask task;
  task.classes = 7;
  NodeGraph graph;
  std::vector<std::string> lines = Lines(folder + "/nodes.csv");
  for (size_t i = 1; i < lines.size(); ++i) {
    std::istringstream words(lines[i]);
    std::string node, label, split;
    std::getline(words, node, ',');
    std::getline(words, label, ',');
    std::getline(words, split);
    task.labels.push_back(std::stoi(label));
    if (split == "train") task.train.push_back(std::stoi(node));
    if (split == "test") task.test.push_back(std::stoi(node));
  }
  graph.nodes = static_cast<int64_t>(task.labels.size());
  lines = Lines(folder + "/edges.csv");
  for (size_t i = 1; i < lines.size(); ++i) {
    const size_t comma = lines[i].find(',');
    AddEdge(graph, std::stoi(lines[i]), std::stoi(lines[i].substr(comma + 1)));
  }
  lines = Lines(folder + "/features.txt");
  Tensor features({graph.nodes, 1433}, DType::kFloat32);
  for (int64_t node = 0; node < graph.nodes; ++node) {
    std::istringstream words(lines[static_cast<size_t>(node) + 1]);
    std::vector<int64_t> ones;
    for (int64_t one = 0; words >> one;) ones.push_back(one);
    for (const int64_t one : ones) {
      features.values<float>()[static_cast<size_t>(node * 1433 + one)] =
          1.0f / static_cast<float>(ones.size());
    }
  }
  graph.features = std::make_shared<const Tensor>(std::move(features));
  task.graph = std::make_shared<const NodeGraph>(std::move(graph));
  return task;
}

NodeTask ReadMutag(const std::string& folder, int fold) {
  constexpr int64_t kTags = 7;
  NodeTask task;
  task.classes = 2;
  NodeGraph graph;
  std::vector<int64_t> tags;
  std::ifstream file(folder + "/MUTAG.txt");
  file >> graph.graphs;
  for (int32_t g = 0; g < graph.graphs; ++g) {
    int32_t nodes = 0;
    int32_t label = 0;
    file >> nodes >> label;
    task.labels.push_back(label != 0 ? 1 : 0);
    const auto first = static_cast<int32_t>(graph.nodes);
    for (int32_t node = first; node < first + nodes; ++node) {
      int64_t tag = 0;
      int32_t degree = 0;
      file >> tag >> degree;
      tags.push_back(tag);
      graph.graph_of_node.push_back(g);
      for (int32_t neighbour = 0; degree > 0; --degree) {
        file >> neighbour;
        graph.sources.push_back(first + neighbour);
        graph.targets.push_back(node);
      }
    }
    graph.nodes += nodes;
  }
  Tensor features({graph.nodes, kTags}, DType::kFloat32);
  for (size_t node = 0; node < tags.size(); ++node) {
    features.values<float>()[node * kTags + static_cast<size_t>(tags[node])] = 1;
  }
  graph.features = std::make_shared<const Tensor>(std::move(features));
  std::vector<bool> tested(static_cast<size_t>(graph.graphs));
  std::istringstream numbers(Lines(folder + "/test_folds_10.txt").at(static_cast<size_t>(fold)));
  for (int32_t g = 0; numbers >> g;) tested[static_cast<size_t>(g)] = true;
  for (int32_t g = 0; g < graph.graphs; ++g) {
    (tested[static_cast<size_t>(g)] ? task.test : task.train).push_back(g);
  }
  task.graph = std::make_shared<const NodeGraph>(std::move(graph));
  return task;
}

NodeTask TwoCommunities() {
  constexpr int32_t kNodes = 40;
  NodeTask task;
  task.classes = 2;
  NodeGraph graph;
  graph.nodes = kNodes;
  const Philox random(7, 7);
  uint64_t drawn = 0;
  for (int32_t a = 0; a < kNodes; ++a) {
    task.labels.push_back(a % 2);
    (a < 4 ? task.train : task.test).push_back(a);
    for (int32_t b = a + 1; b < kNodes; ++b) {
      if (random.Uniform(drawn++) < (a % 2 == b % 2 ? 0.5f : 0.02f)) AddEdge(graph, a, b);
    }
  }
  Tensor features({kNodes, 16}, DType::kFloat32);
  const std::span<float> x = features.values<float>();
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = random.Normal(drawn++) + (i / 16 % 2 == 0 ? 0.2f : -0.2f);
  }
  graph.features = std::make_shared<const Tensor>(std::move(features));
  task.graph = std::make_shared<const NodeGraph>(std::move(graph));
  return task;
}

}  // namespace beamline::engine::testing
