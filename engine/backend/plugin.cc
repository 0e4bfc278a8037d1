#include "engine/backend/plugin.h"

#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

constexpr const char* kLibrary = "libbeamline_cuda.so";

// Where the library may stand, as seen from the program's folder.
constexpr const char* kFolders[] = {"", "../bin", "../lib/beamline"};

std::string LibraryPath() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "";
  for (const char* folder : kFolders) {
    const auto path = program.parent_path() / folder / kLibrary;
    if (std::filesystem::exists(path, error)) return path;
  }
  return "";
}

std::string Open() {
  const std::string path = LibraryPath();
  if (path.empty()) {
    return Concat("there is no ", kLibrary, " beside the program: it was built without CUDA");
  }
  // Stays open as long as the program.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return Concat("the CUDA plugin cannot be loaded: ", dlerror());
  const auto entry = reinterpret_cast<PluginEntry>(dlsym(library, kPluginEntry));
  if (entry == nullptr) return Concat(path, " is not a plugin of this program");
  const Plugin& plugin = *entry();
  if (plugin.abi != kPluginAbi) {
    return Concat(path, " was built of another version: install program and plugin together");
  }
  try {
    Backend backend{"cuda", "", plugin.float32, nullptr, plugin.scratch};
    backend.device = plugin.open();
    backend.update_many = plugin.update_many;
    backend.context = plugin.context(false);
    backend.records = true;
    AddBackend(backend);
    backend.name = "cuda/plain";
    backend.records = false;
    AddBackend(backend);
    backend.name = "cuda/tf32";
    backend.records = true;
    backend.context = plugin.context(true);
    AddBackend(backend);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

std::string_view OpenCudaPlugin() {
  static const std::string kReason = Open();
  return kReason;
}

}  // namespace beamline::engine
