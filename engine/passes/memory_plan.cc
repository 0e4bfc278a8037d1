#include "engine/passes/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "engine/core/tensor.h"

namespace beamline::engine {
namespace {

size_t Index(Value value) { return static_cast<size_t>(value.id); }

int64_t AlignedBytes(const ValueInfo& info) {
  const int64_t bytes = info.shape.NumElements() * SizeOf(info.dtype);
  return (bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
}

// Memory that is needed from node `first` to node `last`, both included.
struct Block {
  size_t value = 0;
  int64_t bytes = 0;
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = -1;
  int64_t offset = -1;
};

bool Overlap(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

// The last node that reads each value; nodes().size() for what is read after a run.
std::vector<size_t> LastReads(const Graph& graph) {
  std::vector<size_t> last(graph.values().size(), 0);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    for (const Value value : graph.nodes()[i].inputs) last[Index(value)] = i;
  }
  for (size_t i = 0; i < last.size(); ++i) {
    if (graph.values()[i].output) last[i] = graph.nodes().size();
  }
  return last;
}

// For each value, the value whose memory it shares: itself, or the original through reshapes and
// through ops that put a result in the place of an input that ends there.
std::vector<size_t> ResolveAliases(const Graph& graph) {
  std::vector<size_t> root(graph.values().size());
  std::iota(root.begin(), root.end(), size_t{0});
  const std::vector<size_t> last = LastReads(graph);
  std::vector<size_t> ends = last;  // of all values that share a root's memory
  const auto join = [&](Value to, Value from) {
    root[Index(to)] = root[Index(from)];
    ends[root[Index(to)]] = std::max(ends[root[Index(to)]], last[Index(to)]);
  };
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.op == OpKind::kReshape) join(node.outputs[0], node.inputs[0]);
    for (size_t output = 0; output < node.outputs.size(); ++output) {
      const int input = InPlaceInput(node.op, node.attributes.cell, static_cast<int>(output));
      if (input < 0) continue;
      const Value from = node.inputs[static_cast<size_t>(input)];
      const Value to = node.outputs[output];
      const size_t owner = root[Index(from)];
      const bool ours = graph.values()[owner].role == Role::kIntermediate;
      const bool fits = AlignedBytes(graph.info(from)) == AlignedBytes(graph.info(to));
      if (ours && fits && ends[owner] == i) join(to, from);
    }
  }
  return root;
}

std::vector<Block> Lifetimes(const Graph& graph, const std::vector<size_t>& root) {
  std::vector<Block> blocks(graph.values().size());
  const auto touch = [&](size_t value, int64_t when) {
    Block& block = blocks[root[value]];
    block.first = std::min(block.first, when);
    block.last = std::max(block.last, when);
  };
  const auto nodes = static_cast<int64_t>(graph.nodes().size());
  for (int64_t i = 0; i < nodes; ++i) {
    const Node& node = graph.nodes()[static_cast<size_t>(i)];
    for (const Value value : node.inputs) touch(Index(value), i);
    for (const Value value : node.outputs) touch(Index(value), i);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    const ValueInfo& info = graph.values()[i];
    blocks[i].value = i;
    blocks[i].bytes = AlignedBytes(info);
    if (info.role == Role::kInput) touch(i, -1);
    if (info.output) touch(i, nodes);
  }
  return blocks;
}

// The lowest offset at which `block` fits between those placed that are alive with it.
int64_t LowestGap(const Block& block, std::vector<const Block*> alive) {
  std::sort(alive.begin(), alive.end(),
            [](const Block* a, const Block* b) { return a->offset < b->offset; });
  int64_t offset = 0;
  for (const Block* other : alive) {
    if (other->offset - offset >= block.bytes) break;
    offset = std::max(offset, other->offset + other->bytes);
  }
  return offset;
}

}  // namespace

MemoryPlan PlanMemory(const Graph& graph) {
  MemoryPlan plan;
  const std::vector<size_t> root = ResolveAliases(graph);
  std::vector<Block> blocks = Lifetimes(graph, root);
  std::vector<Block*> order;
  for (Block& block : blocks) {
    const ValueInfo& info = graph.values()[block.value];
    if (info.role == Role::kParameter) plan.parameter_bytes += block.bytes;
    if (info.role == Role::kState) plan.state_bytes += block.bytes;
    if (info.role == Role::kConstant) plan.constant_bytes += block.bytes;
    const bool own = info.role == Role::kInput || info.role == Role::kIntermediate;
    const bool used = block.first <= block.last;
    if (own && used && root[block.value] == block.value) order.push_back(&block);
  }
  std::sort(order.begin(), order.end(), [](const Block* a, const Block* b) {
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->value < b->value;
  });
  std::vector<const Block*> placed;
  for (Block* block : order) {
    std::vector<const Block*> alive;
    for (const Block* other : placed) {
      if (Overlap(*block, *other)) alive.push_back(other);
    }
    block->offset = LowestGap(*block, std::move(alive));
    plan.arena_bytes = std::max(plan.arena_bytes, block->offset + block->bytes);
    placed.push_back(block);
  }
  plan.offset_bytes.assign(blocks.size(), -1);
  for (size_t i = 0; i < blocks.size(); ++i) plan.offset_bytes[i] = blocks[root[i]].offset;
  return plan;
}

}  // namespace beamline::engine
