// Graphs without cycles, drawn: what is made of what.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cli/terminal.h"

namespace beamline::cli {

struct DagNode {
  std::string name;
  std::string caption;
  // Drawn apart from the others: nothing leads to it.
  bool source = false;
  // Indices of nodes before this one.
  std::vector<size_t> from;
};

// A line for each node, in their order: its name and caption, and at the left rails that lead from
// each node down to those that it leads to. Control characters become '?'.
std::string DagText(const std::vector<DagNode>& nodes, const TerminalTraits& traits);

// A complete document: nodes in columns, each behind all that lead to it.
std::string DagSvg(std::string_view title, const std::vector<DagNode>& nodes);

}  // namespace beamline::cli
