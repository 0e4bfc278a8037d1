// A fuzz target as a test: replay FOLDER [CHANGED] gives it every file of the folder, and CHANGED
// copies that are changed at random, always in the same way. A file in place of the folder is given
// alone.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace beamline::fuzz {
namespace {

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// One to four changes: a byte, a bit, a cut, a part of this or another text put in or doubled.
std::string Changed(std::string text, const std::string& other, std::mt19937& random) {
  const auto below = [&random](size_t count) { return count == 0 ? 0 : random() % count; };
  for (size_t changes = 1 + below(4); changes > 0; --changes) {
    const size_t at = below(text.size());
    switch (below(6)) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(random());
        break;
      case 1:
        if (!text.empty()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 2:
        text.resize(at);
        break;
      case 3:
        text.erase(at, below(16));
        break;
      case 4:
        text.insert(at, text.substr(below(text.size()), below(64)));
        break;
      default:
        text.insert(at, other.substr(below(other.size()), below(64)));
        break;
    }
  }
  return text;
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER|FILE [CHANGED]\n", argv[0]);
    return 2;
  }
  if (std::filesystem::is_regular_file(argv[1])) {
    Fuzz(Read(argv[1]));
    return 0;
  }
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  if (paths.empty()) {
    std::fprintf(stderr, "there is nothing in %s\n", argv[1]);
    return 1;
  }
  std::vector<std::string> texts;
  for (const auto& path : paths) {
    std::fprintf(stderr, "%s\n", path.c_str());
    texts.push_back(Read(path));
    Fuzz(texts.back());
  }
  Fuzz("");
  std::mt19937 random(1);
  const int changed = argc > 2 ? std::atoi(argv[2]) : 1000;
  const std::string last = std::filesystem::temp_directory_path() /
                           ("fuzz-" + std::filesystem::path(argv[0]).filename().string());
  for (int i = 0; i < changed; ++i) {
    const std::string text =
        Changed(texts[random() % texts.size()], texts[random() % texts.size()], random);
    // What was given last lies there if it ends the process.
    std::ofstream(last, std::ios::binary) << text;
    Fuzz(text);
  }
  std::filesystem::remove(last);
  std::printf("%zu files, %d changed copies\n", texts.size(), changed);
  return 0;
}

}  // namespace
}  // namespace beamline::fuzz

int main(int argc, char** argv) { return beamline::fuzz::Main(argc, argv); }
