#include "engine/data/table.h"

#include <utility>

#include "engine/core/error.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

// What the user may have meant, or what there is.
std::string Hint(std::string_view name, const std::vector<Column>& columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(column.name());
  const std::string_view best = Nearest(name, names);
  if (!best.empty()) return Cat("did you mean ", Quoted(best), "?");
  std::string all = "there are ";
  for (size_t c = 0; c < columns.size() && c < 10; ++c) {
    all += Cat(c == 0 ? "" : ", ", Quoted(columns[c].name()));
  }
  return columns.size() > 10 ? Cat(all, " and ", columns.size() - 10, " more") : all;
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (size_t c = 0; c < columns_.size(); ++c) {
    const Column& column = columns_[c];
    if (column.name().empty()) Fail("column ", c + 1, " of the table has no name");
    if (!index_.emplace(column.name(), c).second) {
      Fail("two columns of the table have the name ", Quoted(column.name()), ": rename one");
    }
    if (column.rows() != columns_.front().rows()) {
      Fail("column ", Quoted(column.name()), " has ", column.rows(), " rows, but ",
           Quoted(columns_.front().name()), " has ", columns_.front().rows());
    }
  }
}

const Column* Table::Find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &columns_[found->second];
}

const Column& Table::Get(std::string_view name) const {
  const Column* const column = Find(name);
  if (column == nullptr) Fail("there is no column ", Quoted(name), ": ", Hint(name, columns_));
  return *column;
}

std::string RowName(int64_t row) { return Cat("row ", row + 1); }

}  // namespace beamline::engine::data
