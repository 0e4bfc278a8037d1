// What the tests of the data path share.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "engine/core/error.h"

namespace beamline::engine::data {

// The message of the Error that `call` throws, "(no error)" if it throws none.
template <typename Call>
std::string ErrorOf(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

inline std::string ReadWhole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A file of the real data sets, if they are on this machine.
inline std::optional<std::filesystem::path> DatasetPath(const std::string& name) {
  const char* const folder = std::getenv("BEAMLINE_DATASETS");
  const std::filesystem::path root =
      folder != nullptr ? std::filesystem::path(folder)
                        : std::filesystem::path(BEAMLINE_SOURCE_DIR) / "../shared/datasets";
  if (!std::filesystem::exists(root / name)) return std::nullopt;
  return root / name;
}

}  // namespace beamline::engine::data
