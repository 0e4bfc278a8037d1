// DagText.
#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "clients/cli/dag.h"
#include "clients/cli/format.h"

namespace beamline::cli {
namespace {

// A place in a line of rails: the ends that meet there.
constexpr unsigned kUp = 1, kDown = 2, kLeft = 4, kRight = 8;

std::string_view Mark(unsigned ends, bool utf8) {
  static constexpr std::string_view kUtf8[] = {" ", "╵", "╷", "│", "╴", "╯", "╮", "┤",
                                               "╶", "╰", "╭", "├", "─", "┴", "┬", "┼"};
  static constexpr std::string_view kAscii[] = {" ", "|", "|", "|", "-", "+", "+", "+",
                                                "-", "+", "+", "+", "-", "+", "+", "+"};
  return utf8 ? kUtf8[ends] : kAscii[ends];
}

// Rails from nodes that still lead to nodes below. Every node has one; it ends at the last node
// that it leads to.
class Rails {
 public:
  explicit Rails(const std::vector<DagNode>& nodes) : nodes_(nodes), last_(nodes.size(), 0) {
    for (size_t node = 0; node < nodes.size(); ++node) {
      for (const size_t from : nodes[node].from) last_[from] = std::max(last_[from], node);
    }
  }

  // The rails beside `node`.
  std::string Line(size_t node, bool utf8) {
    const std::vector<size_t>& from = nodes_[node].from;
    const size_t own = PlaceOf(node);
    std::vector<unsigned> ends(places_.size(), 0);
    std::vector<bool> passes(places_.size(), false);
    size_t first = own;
    size_t end = own;
    for (size_t place = 0; place < places_.size(); ++place) {
      if (!places_[place].has_value()) continue;
      const size_t rail = *places_[place];
      passes[place] = std::find(from.begin(), from.end(), rail) == from.end();
      ends[place] = kUp | (!passes[place] && last_[rail] == node ? 0U : kDown);
      if (passes[place]) continue;
      first = std::min(first, place);
      end = std::max(end, place);
      if (last_[rail] == node) places_[place].reset();
    }
    std::string line;
    for (size_t place = 0; place < ends.size(); ++place) {
      const bool left = place > first && place <= end && !passes[place];
      const bool right = place >= first && place < end;
      const unsigned sides = (left ? kLeft : 0U) | (right && !passes[place] ? kRight : 0U);
      absl::StrAppend(&line, A(place == own ? Dot(node, utf8) : Mark(ends[place] | sides, utf8)),
                      A(Mark(right ? kLeft | kRight : 0U, utf8)));
    }
    if (last_[node] > node) places_[own] = node;
    while (!places_.empty() && !places_.back().has_value()) places_.pop_back();
    return line;
  }

 private:
  std::string_view Dot(size_t node, bool utf8) const {
    if (!utf8) return "o";
    return nodes_[node].source ? "○" : "●";
  }

  // Under a rail that ends with this node, or else the first that is free.
  size_t PlaceOf(size_t node) {
    const std::vector<size_t>& from = nodes_[node].from;
    std::optional<size_t> free;
    for (size_t place = 0; place < places_.size(); ++place) {
      if (!places_[place].has_value()) {
        if (!free.has_value()) free = place;
        continue;
      }
      const size_t rail = *places_[place];
      const bool leads = std::find(from.begin(), from.end(), rail) != from.end();
      if (leads && last_[rail] == node) return place;
    }
    if (free.has_value()) return *free;
    places_.emplace_back();
    return places_.size() - 1;
  }

  const std::vector<DagNode>& nodes_;
  // The last node that each leads to; 0: none.
  std::vector<size_t> last_;
  // By place from the left: whose rail runs there.
  std::vector<std::optional<size_t>> places_;
};

}  // namespace

std::string DagText(const std::vector<DagNode>& nodes, const TerminalTraits& traits) {
  Rails rails(nodes);
  std::vector<std::string> lines;
  size_t width = 0;
  size_t name_width = 0;
  for (size_t node = 0; node < nodes.size(); ++node) {
    lines.push_back(rails.Line(node, traits.utf8));
    width = std::max(width, DisplayWidth(lines.back()));
    name_width = std::max(name_width, DisplayWidth(Printable(nodes[node].name)));
  }
  std::string text;
  for (size_t node = 0; node < nodes.size(); ++node) {
    const std::string name = Printable(nodes[node].name);
    absl::StrAppend(&text, lines[node], std::string(width - DisplayWidth(lines[node]) + 1, ' '),
                    Colored(traits, nodes[node].source ? Color::kDim : Color::kBold, name));
    const std::string caption = Printable(nodes[node].caption);
    if (!caption.empty()) {
      absl::StrAppend(&text, std::string(name_width - DisplayWidth(name) + 2, ' '), caption);
    }
    absl::StrAppend(&text, "\n");
  }
  return text;
}

}  // namespace beamline::cli
