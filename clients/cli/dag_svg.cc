// DagSvg: layers by the longest way to a node; within a layer nodes and the lines that pass are
// sorted by the mean place of those that they are joined to (Sugiyama, Tagawa, Toda 1981).
#include <algorithm>
#include <numeric>

#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "clients/cli/dag.h"
#include "clients/cli/format.h"
#include "clients/cli/svg.h"

namespace beamline::cli {
namespace {

// In pixels.
constexpr double kNodeWidth = 180;
constexpr double kNodeHeight = 40;
constexpr double kBetweenLayers = 60;
constexpr double kBetweenNodes = 20;
constexpr double kPassing = 16;  // the height of a line that passes a layer
constexpr double kMargin = 30;
constexpr double kTitle = 50;
constexpr int kSweeps = 8;
constexpr size_t kLongestText = 27;

// A node, or the place where a line passes a layer.
struct Spot {
  size_t layer = 0;
  const DagNode* node = nullptr;
  std::vector<size_t> before;
  std::vector<size_t> after;
  double order = 0;  // within its layer
  double top = 0;

  double height() const { return node != nullptr ? kNodeHeight : kPassing; }
  double middle() const { return top + height() / 2; }
  double left() const {
    return kMargin + static_cast<double>(layer) * (kNodeWidth + kBetweenLayers);
  }
};

class Layers {
 public:
  explicit Layers(const std::vector<DagNode>& nodes) {
    for (const DagNode& node : nodes) {
      Spot& spot = spots_.emplace_back();
      spot.node = &node;
      for (const size_t from : node.from) {
        spot.layer = std::max(spot.layer, spots_[from].layer + 1);
      }
    }
    for (size_t to = 0; to < nodes.size(); ++to) {
      for (const size_t from : nodes[to].from) Join(from, to);
    }
    for (size_t spot = 0; spot < spots_.size(); ++spot) {
      if (spots_[spot].layer >= layers_.size()) layers_.resize(spots_[spot].layer + 1);
      layers_[spots_[spot].layer].push_back(spot);
    }
    for (std::vector<size_t>& layer : layers_) Number(layer);
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      for (size_t i = 0; i < layers_.size(); ++i) {
        const bool forth = sweep % 2 == 0;
        Sort(layers_[forth ? i : layers_.size() - 1 - i], forth);
      }
    }
    Place();
  }

  const std::vector<Spot>& spots() const { return spots_; }
  double width() const {
    return 2 * kMargin + static_cast<double>(layers_.size()) * (kNodeWidth + kBetweenLayers) -
           kBetweenLayers;
  }
  double height() const { return height_; }

 private:
  // By spots in the layers between.
  void Join(size_t from, size_t to) {
    size_t last = from;
    for (size_t layer = spots_[from].layer + 1; layer < spots_[to].layer; ++layer) {
      Spot& spot = spots_.emplace_back();
      spot.layer = layer;
      Link(last, spots_.size() - 1);
      last = spots_.size() - 1;
    }
    Link(last, to);
  }
  void Link(size_t from, size_t to) {
    spots_[from].after.push_back(to);
    spots_[to].before.push_back(from);
  }

  void Number(const std::vector<size_t>& layer) {
    for (size_t i = 0; i < layer.size(); ++i) spots_[layer[i]].order = static_cast<double>(i);
  }

  void Sort(std::vector<size_t>& layer, bool by_before) {
    std::vector<double> mean(spots_.size(), 0);
    for (const size_t spot : layer) {
      const std::vector<size_t>& joined = by_before ? spots_[spot].before : spots_[spot].after;
      mean[spot] = spots_[spot].order;
      if (joined.empty()) continue;
      mean[spot] = std::accumulate(joined.begin(), joined.end(), 0.0,
                                   [&](double sum, size_t j) { return sum + spots_[j].order; }) /
                   static_cast<double>(joined.size());
    }
    std::stable_sort(layer.begin(), layer.end(),
                     [&](size_t a, size_t b) { return mean[a] < mean[b]; });
    Number(layer);
  }

  // Each layer stands in the middle.
  void Place() {
    std::vector<double> heights;
    for (const std::vector<size_t>& layer : layers_) {
      double height = -kBetweenNodes;
      for (const size_t spot : layer) height += spots_[spot].height() + kBetweenNodes;
      heights.push_back(height);
    }
    double tallest = 0;
    for (const double height : heights) tallest = std::max(tallest, height);
    for (size_t i = 0; i < layers_.size(); ++i) {
      double top = kTitle + (tallest - heights[i]) / 2;
      for (const size_t spot : layers_[i]) {
        spots_[spot].top = top;
        top += spots_[spot].height() + kBetweenNodes;
      }
    }
    height_ = kTitle + tallest + kMargin;
  }

  std::vector<Spot> spots_;  // the nodes first
  std::vector<std::vector<size_t>> layers_;
  double height_ = 0;
};

std::string Line(const Spot& from, const Spot& to) {
  const double x = from.left() + kNodeWidth;
  const double half = kBetweenLayers / 2;
  std::string path = absl::StrFormat("<path d=\"M%.2f,%.2fC%.2f,%.2f %.2f,%.2f %.2f,%.2f", x,
                                     from.middle(), x + half, from.middle(), to.left() - half,
                                     to.middle(), to.left(), to.middle());
  if (to.node == nullptr) path += absl::StrFormat("h%.2f", kNodeWidth);
  return path + absl::StrFormat("\" fill=\"none\" stroke=\"#7f7f7f\" stroke-width=\"1.5\"%s/>\n",
                                to.node != nullptr ? " marker-end=\"url(#arrow)\"" : "");
}

std::string Shortened(const std::string& text) {
  if (DisplayWidth(text) <= kLongestText) return text;
  return CutToWidth(text, kLongestText - 1) + "…";
}

std::string Drawn(const Spot& spot) {
  const DagNode& node = *spot.node;
  const double middle = spot.left() + kNodeWidth / 2;
  std::string text = absl::StrFormat(
      "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" rx=\"%d\" fill=\"%s\" "
      "stroke=\"%s\" stroke-width=\"1.5\"/>\n",
      spot.left(), spot.top, kNodeWidth, kNodeHeight, node.source ? 20 : 4,
      node.source ? "#f4f4f4" : "#e8f1f8", node.source ? "#7f7f7f" : "#0072b2");
  text += SvgText(middle, spot.top + 17, "text-anchor=\"middle\" font-weight=\"bold\"",
                  Shortened(Printable(node.name)));
  text += SvgText(middle, spot.top + 32, "text-anchor=\"middle\" font-size=\"11\" fill=\"#404040\"",
                  Shortened(Printable(node.caption)));
  return text;
}

}  // namespace

std::string DagSvg(std::string_view title, const std::vector<DagNode>& nodes) {
  const Layers layers(nodes);
  std::string body =
      "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" "
      "markerHeight=\"7\" orient=\"auto\"><path d=\"M0,0L8,4L0,8z\" fill=\"#7f7f7f\"/></marker>"
      "</defs>\n";
  for (const Spot& spot : layers.spots()) {
    for (const size_t after : spot.after) body += Line(spot, layers.spots()[after]);
  }
  for (const Spot& spot : layers.spots()) {
    if (spot.node != nullptr) body += Drawn(spot);
  }
  return SvgDocument(static_cast<int>(layers.width()), static_cast<int>(layers.height()), title,
                     body);
}

}  // namespace beamline::cli
