#include "engine/tables/tokens.h"

#include <algorithm>
#include <map>
#include <utility>

#include "engine/data/letters.h"
#include "engine/data/validity.h"

namespace beamline::engine::tables {

using data::Array;
using data::Column;
using data::ColumnType;

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  bool within = false;
  for (size_t size = 0; !text.empty(); text.remove_prefix(size)) {
    const char32_t character = data::DecodeCharacter(text, &size);
    const bool letter = data::IsWordCharacter(character);
    if (!data::IsBlank(character)) {
      if (!letter || !within) words.emplace_back();
      data::AppendCharacter(words.back(), data::ToLower(character));
    }
    within = letter;
  }
  return words;
}

std::vector<std::string> Characters(std::string_view text) {
  std::vector<std::string> characters;
  for (size_t size = 0; !text.empty(); text.remove_prefix(size)) {
    data::DecodeCharacter(text, &size);
    characters.emplace_back(text.substr(0, size));
  }
  return characters;
}

Tokens Tokenise(const Column& column, bool words, std::string name, data::Workspace& workspace) {
  // Each text is taken apart once, whatever the number of rows that have it.
  std::map<std::string, int32_t> places;
  std::vector<std::vector<const int32_t*>> of_category;
  for (const std::string& category : column.categories()) {
    std::vector<const int32_t*>& tokens = of_category.emplace_back();
    for (std::string& token : words ? Words(category) : Characters(category)) {
      tokens.push_back(&places.try_emplace(std::move(token)).first->second);
    }
  }
  auto categories = std::make_shared<std::vector<std::string>>();
  for (auto& [token, place] : places) {
    place = static_cast<int32_t>(categories->size());
    categories->push_back(token);
  }
  const auto codes = column.values<int32_t>();
  int64_t total = 0;
  for (const int32_t code : codes) {
    if (code >= 0) total += static_cast<int64_t>(of_category[static_cast<size_t>(code)].size());
  }
  const Array<int64_t> rows = workspace.New<int64_t>(total);
  const Array<int32_t> out = workspace.New<int32_t>(total);
  int64_t at = 0;
  workspace.InOrder(column.rows(), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int32_t code = codes[static_cast<size_t>(row)];
      if (code < 0) continue;
      for (const int32_t* token : of_category[static_cast<size_t>(code)]) {
        rows[at] = row;
        out[at++] = *token;
      }
    }
  });
  const Column model({.name = name, .type = ColumnType::kCategorical, .categories = categories});
  return {rows, data::MakeColumn(model, std::move(name), total, out, {})};
}

}  // namespace beamline::engine::tables
