#include "engine/passes/recompute.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

namespace beamline::engine {
namespace {

size_t Index(Value value) { return static_cast<size_t>(value.id); }

constexpr size_t kNone = std::numeric_limits<size_t>::max();

// The graph's nodes and what is known of them before anything changes.
class Recomputation {
 public:
  Recomputation(Graph* graph, int parts)
      : graph_(*graph),
        nodes_(graph->nodes()),
        forward_(static_cast<size_t>(std::find_if(nodes_.begin(), nodes_.end(),
                                                  [](const Node& node) { return node.gradient; }) -
                                     nodes_.begin())),
        parts_(parts) {}

  void Run() {
    if (parts_ < 2 || forward_ == 0 || forward_ == nodes_.size()) return;
    FindUses();
    Split();
    FindKept();
    for (size_t part = 0; part + 1 < ends_.size(); ++part) ComputeAgain(part);
    graph_.SetNodes(Rewritten());
  }

 private:
  int64_t BytesOf(size_t value) const {
    const ValueInfo& info = graph_.values()[value];
    return info.shape.NumElements() * SizeOf(info.dtype);
  }

  // Can be done twice with the same result and no other effect, and makes numbers of the graph's
  // type, as all values that are added do.
  bool Repeatable(const Node& node) const {
    return std::none_of(node.inputs.begin(), node.inputs.end(),
                        [&](Value v) { return graph_.info(v).role == Role::kState; }) &&
           std::all_of(node.outputs.begin(), node.outputs.end(),
                       [&](Value v) { return graph_.info(v).dtype == graph_.real(); });
  }

  void FindUses() {
    const size_t values = graph_.values().size();
    maker_.assign(values, kNone);
    last_forward_.assign(values, 0);
    first_backward_.assign(values, kNone);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      for (const Value input : nodes_[i].inputs) {
        if (i < forward_) {
          last_forward_[Index(input)] = i;
        } else {
          first_backward_[Index(input)] = std::min(first_backward_[Index(input)], i);
        }
      }
      for (const Value output : nodes_[i].outputs) maker_[Index(output)] = i;
    }
  }

  bool MadeBefore(size_t value) const { return maker_[value] < forward_; }
  // Made before the gradients, and read by them.
  bool Saved(size_t value) const { return MadeBefore(value) && first_backward_[value] != kNone; }

  // Where parts end: behind equal shares of what is saved, where least goes from one to the next.
  void Split() {
    std::vector<int64_t> saved(forward_ + 1);     // by nodes before [i]
    std::vector<int64_t> crossing(forward_ + 1);  // read by node i or later, made before
    for (size_t value = 0; value < maker_.size(); ++value) {
      if (!MadeBefore(value)) continue;
      if (Saved(value)) saved[maker_[value] + 1] += BytesOf(value);
      for (size_t i = maker_[value] + 1; i <= last_forward_[value]; ++i) {
        crossing[i] += BytesOf(value);
      }
    }
    for (size_t i = 1; i <= forward_; ++i) saved[i] += saved[i - 1];
    const int64_t total = saved[forward_];
    size_t begin = 0;
    for (int part = 1; part < parts_; ++part) {
      size_t best = kNone;
      for (size_t i = begin + 1; i < forward_; ++i) {
        // Within half a part of where the share is reached.
        const int64_t off = 2 * (saved[i] * parts_ - total * part);
        if (off < -total || off > total) continue;
        if (best == kNone || crossing[i] < crossing[best]) best = i;
      }
      if (best == kNone) continue;
      ends_.push_back(best);
      begin = best;
    }
    ends_.push_back(forward_);
  }

  size_t PartOf(size_t node) const {
    return static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), node) - ends_.begin());
  }

  void FindKept() {
    kept_.assign(maker_.size(), true);
    for (size_t value = 0; value < maker_.size(); ++value) {
      if (!MadeBefore(value) || graph_.values()[value].output) continue;
      const size_t part = PartOf(maker_[value]);
      const bool last = part + 1 == ends_.size();
      const bool read_later = PartOf(last_forward_[value]) > part;
      kept_[value] = last || read_later || !Repeatable(nodes_[maker_[value]]);
    }
    again_.assign(maker_.size(), Value());
  }

  // Appends what the part has to compute again, and notes where that belongs.
  void ComputeAgain(size_t part) {
    const size_t begin = part == 0 ? 0 : ends_[part - 1];
    std::vector<bool> wanted(maker_.size());
    size_t before = kNone;
    for (size_t value = 0; value < maker_.size(); ++value) {
      const bool here = Saved(value) && maker_[value] >= begin && maker_[value] < ends_[part];
      if (!here || kept_[value]) continue;
      wanted[value] = true;
      before = std::min(before, first_backward_[value]);
    }
    if (before == kNone) return;
    std::vector<size_t> again;
    for (size_t i = ends_[part]; i-- > begin;) {
      const Node& node = nodes_[i];
      if (std::none_of(node.outputs.begin(), node.outputs.end(),
                       [&](Value v) { return wanted[Index(v)]; })) {
        continue;
      }
      again.push_back(i);
      for (const Value input : node.inputs) wanted[Index(input)] = !kept_[Index(input)];
    }
    for (size_t k = again.size(); k-- > 0;) inserted_[before].push_back(Again(nodes_[again[k]]));
  }

  Node Again(const Node& node) {
    std::vector<Value> inputs;
    for (const Value input : node.inputs) inputs.push_back(Current(input));
    std::vector<Shape> shapes;
    for (const Value output : node.outputs) shapes.push_back(graph_.shape(output));
    Node again = graph_.Append(node.op, node.name, std::move(inputs), shapes, node.attributes);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!kept_[Index(node.outputs[i])]) again_[Index(node.outputs[i])] = again.outputs[i];
    }
    return again;
  }

  // What stands for the value in the gradients.
  Value Current(Value value) const {
    const bool computed = Index(value) < again_.size() && again_[Index(value)].valid();
    return computed ? again_[Index(value)] : value;
  }

  std::vector<Node> Rewritten() {
    std::vector<Node> nodes;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (const auto found = inserted_.find(i); found != inserted_.end()) {
        for (Node& node : found->second) nodes.push_back(std::move(node));
      }
      nodes.push_back(nodes_[i]);
      if (i < forward_) continue;
      for (Value& input : nodes.back().inputs) input = Current(input);
    }
    return nodes;
  }

  Graph& graph_;
  const std::vector<Node> nodes_;
  const size_t forward_;  // nodes before the gradients
  const int parts_;
  std::vector<size_t> maker_;         // by value: its node; kNone: no node makes it
  std::vector<size_t> last_forward_;  // by value: the last node that reads it before the gradients
  std::vector<size_t> first_backward_;  // by value: the first of the gradients that reads it
  std::vector<size_t> ends_;            // of the parts
  std::vector<bool> kept_;              // by value
  std::vector<Value> again_;            // by value: what is computed again in its place
  std::map<size_t, std::vector<Node>> inserted_;  // before which node
};

}  // namespace

void Recompute(Graph* graph, int parts) { Recomputation(graph, parts).Run(); }

}  // namespace beamline::engine
