// Folders of programs as tar files: what is not one is refused, and nothing lands outside.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/core/error.h"
#include "pipeline/archive.h"
#include "tests/fuzz/fuzz.h"

namespace beamline::fuzz {
namespace {

namespace fs = std::filesystem;

// A folder of this process, in memory if the machine has such.
const fs::path& Scratch() {
  static const fs::path folder = [] {
    std::string name = fs::exists("/dev/shm") ? "/dev/shm/fuzz-XXXXXX" : "/tmp/fuzz-XXXXXX";
    Require(::mkdtemp(name.data()) != nullptr, "a folder can be made");
    std::atexit([] { fs::remove_all(Scratch()); });
    return fs::path(name);
  }();
  return folder;
}

}  // namespace

void Fuzz(std::string_view bytes) {
  const fs::path archive = Scratch() / "archive.tar";
  const fs::path folder = Scratch() / "folder";
  std::ofstream(archive, std::ios::binary) << bytes;
  fs::create_directory(folder);
  Thrown<engine::Error>([&] {
    pipeline::UnpackFolder(archive, "model", folder);
    const fs::path again = Scratch() / "again.tar";
    pipeline::PackFolder(folder, "model", again, {});
    fs::remove(again);
  });
  Thrown<engine::Error>([&] { pipeline::FirstFile(archive, "beamline.card.json"); });
  fs::remove_all(folder);
  fs::remove(archive);
  Require(fs::is_empty(Scratch()), "nothing is written beside the folder");
}

}  // namespace beamline::fuzz
