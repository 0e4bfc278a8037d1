#include "pipeline/folds.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Split;
using engine::data::Table;

// Of the seed: how rows are dealt out.
constexpr uint64_t kFoldStream = 0x666F6C6473;

// For each of `rows` the fold that it is measured in, from 0; -1: in none.
using Assignment = std::vector<int>;

void RequireAtLeast(size_t count, int folds, const char* what) {
  if (count >= static_cast<size_t>(folds)) return;
  engine::Fail("there are ", count, " ", what, " for ", folds, " folds: use fewer folds");
}

Assignment Random(size_t rows, int folds, uint64_t seed, int repeat) {
  RequireAtLeast(rows, folds, "rows");
  std::vector<int64_t> order(rows);
  engine::Philox(seed, kFoldStream + static_cast<uint64_t>(repeat)).Permute(order);
  Assignment assignment(rows);
  for (size_t i = 0; i < rows; ++i) {
    assignment[static_cast<size_t>(order[i])] =
        static_cast<int>(i * static_cast<size_t>(folds) / rows);
  }
  return assignment;
}

// The rows of each class are dealt out in turn, one class going on where the one before stopped, so
// that the folds are equally long but for one row.
Assignment Stratified(const Table& table, const std::vector<int64_t>& rows,
                      const std::string& target, int folds, uint64_t seed, int repeat) {
  const Column& column = table.Get(target);
  std::vector<int64_t> order(rows.size());
  engine::Philox(seed, kFoldStream + static_cast<uint64_t>(repeat)).Permute(order);
  std::map<std::string, std::vector<size_t>> classes;
  for (const int64_t place : order) {
    classes[column.Text(rows[static_cast<size_t>(place)])].push_back(static_cast<size_t>(place));
  }
  Assignment assignment(rows.size());
  size_t dealt = 0;
  for (const auto& [name, places] : classes) {
    if (places.size() < static_cast<size_t>(folds)) {
      engine::Fail("class \"", name, "\" of column \"", target, "\" has ", places.size(),
                   " rows for ", folds, " folds: use fewer folds, or k_fold");
    }
    for (const size_t place : places) {
      assignment[place] = static_cast<int>(dealt++ % static_cast<size_t>(folds));
    }
  }
  return assignment;
}

Assignment Grouped(const Table& table, const std::vector<int64_t>& rows, const std::string& name,
                   int folds) {
  const Column& column = table.Get(name);
  std::map<std::string, std::vector<size_t>> groups;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string text = column.Text(rows[i]);
    if (text.empty()) {
      engine::Fail(engine::data::RowName(rows[i]), ", column \"", name,
                   "\": the value is missing, so that nobody knows which group the row is of");
    }
    groups[text].push_back(i);
  }
  RequireAtLeast(groups.size(), folds, "groups");
  // By size, then by the first row: the largest groups first.
  std::vector<const std::vector<size_t>*> order;
  for (const auto& [text, places] : groups) order.push_back(&places);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->size() != b->size() ? a->size() > b->size() : a->front() < b->front();
  });
  std::vector<size_t> sizes(static_cast<size_t>(folds));
  Assignment assignment(rows.size());
  for (const auto* places : order) {
    const auto smallest = std::min_element(sizes.begin(), sizes.end());
    *smallest += places->size();
    for (const size_t place : *places) {
      assignment[place] = static_cast<int>(smallest - sizes.begin());
    }
  }
  return assignment;
}

// Block 0 is in no fold: it only trains.
Assignment InOrder(size_t rows, int folds) {
  RequireAtLeast(rows, folds + 1, "rows, of which one block only trains,");
  Assignment assignment(rows);
  for (size_t i = 0; i < rows; ++i) {
    assignment[i] = static_cast<int>(i * static_cast<size_t>(folds + 1) / rows) - 1;
  }
  return assignment;
}

}  // namespace

Split MakeFold(const Table& table, const Split& split, const Fold& fold, const std::string& target,
               uint64_t seed) {
  if (fold.cross_validation == nullptr || fold.number == 0) return split;
  std::vector<int64_t> rows;
  std::merge(split.train.begin(), split.train.end(), split.validation.begin(),
             split.validation.end(), std::back_inserter(rows));
  const v1::CrossValidation& kind = *fold.cross_validation;
  const int index = fold.number - 1;
  const bool in_order = kind.has_time_series();
  Assignment assignment;
  int held_out = index;
  if (in_order) {
    assignment = InOrder(rows.size(), kind.time_series().folds());
  } else if (kind.has_grouped()) {
    assignment = Grouped(table, rows, kind.grouped().column(), kind.grouped().folds());
  } else {
    const int folds = kind.has_stratified() ? kind.stratified().folds() : kind.k_fold().folds();
    const int repeat = index / folds;
    held_out = index % folds;
    assignment = kind.has_stratified() ? Stratified(table, rows, target, folds, seed, repeat)
                                       : Random(rows.size(), folds, seed, repeat);
  }
  Split out;
  out.test = split.test;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (assignment[i] == held_out) {
      out.validation.push_back(rows[i]);
    } else if (!in_order || assignment[i] < held_out) {
      out.train.push_back(rows[i]);
    }
  }
  return out;
}

}  // namespace beamline::pipeline
