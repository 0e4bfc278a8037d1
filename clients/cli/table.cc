#include "clients/cli/table.h"

#include <algorithm>

#include "clients/cli/format.h"

namespace beamline::cli {

void Table::Add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Render(bool with_header) const {
  std::vector<std::vector<std::string>> lines;
  if (with_header) {
    std::vector<std::string>& header = lines.emplace_back();
    for (const Column& column : columns_) header.push_back(column.header);
  }
  lines.insert(lines.end(), rows_.begin(), rows_.end());
  std::vector<size_t> widths(columns_.size(), 0);
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(line[i]));
    }
  }
  std::string text;
  for (const auto& line : lines) {
    std::string rendered;
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string padding(widths[i] - DisplayWidth(line[i]), ' ');
      if (i > 0) rendered += "  ";
      rendered += columns_[i].align == Align::kLeft ? line[i] + padding : padding + line[i];
    }
    rendered.erase(rendered.find_last_not_of(' ') + 1);
    text += rendered + "\n";
  }
  return text;
}

}  // namespace beamline::cli
