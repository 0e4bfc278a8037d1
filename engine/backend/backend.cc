#include "engine/backend/backend.h"

#include <list>
#include <string>

#include "engine/backend/cpu/isa.h"
#include "engine/backend/plugin.h"
#include "engine/backend/reference/kernels.h"
#include "engine/core/error.h"
#include "engine/core/thread_pool.h"

namespace beamline::engine {
namespace {

// Best first among the CPU's. A list, so that adding one moves none.
std::list<Backend>& Backends() {
  static std::list<Backend> kBackends = [] {
    std::list<Backend> backends;
    for (const cpu::Isa& isa : cpu::Isas()) {
      if (isa.Runs())
        backends.push_back({isa.backend_name, isa.name, &isa.Table(), nullptr, isa.ScratchOf});
    }
    backends.push_back({"reference", "", &reference::TableFloat32(), &reference::TableFloat64(),
                        &reference::ScratchOf});
    return backends;
  }();
  return kBackends;
}

}  // namespace

void AddBackend(const Backend& backend) { Backends().push_back(backend); }

const Backend& FindBackend(std::string_view name) {
  if (name == "cpu") return Backends().front();
  if (name.starts_with("cuda")) OpenCudaPlugin();
  for (const Backend& backend : Backends()) {
    if (backend.name == name) return backend;
  }
  if (name == "cuda" || name == "cuda/tf32" || name == "cuda/plain") {
    Fail("there is no backend \"", name, "\" on this machine: ", OpenCudaPlugin());
  }
  std::string names;
  for (const std::string_view available : AvailableBackends()) {
    names += (names.empty() ? "" : ", ") + std::string(available);
  }
  Fail("there is no backend \"", name, "\" on this machine: choose one of ", names);
}

std::vector<std::string_view> AvailableBackends() {
  OpenCudaPlugin();
  std::vector<std::string_view> names = {"cpu"};
  for (const Backend& backend : Backends()) names.push_back(backend.name);
  return names;
}

void RunTiles(ThreadPool* pool, int64_t tiles, TileFunction fn, const void* context) {
  pool->ParallelFor(tiles, [=](int64_t tile, int slot) { fn(context, tile, slot); });
}

}  // namespace beamline::engine
