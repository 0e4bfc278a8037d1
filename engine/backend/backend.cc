#include "engine/backend/backend.h"

#include <string>

#include "engine/backend/cpu/isa.h"
#include "engine/backend/reference/kernels.h"
#include "engine/core/error.h"
#include "engine/core/thread_pool.h"

namespace beamline::engine {
namespace {

// Best first among the CPU's.
const std::vector<Backend>& Backends() {
  static const std::vector<Backend> kBackends = [] {
    std::vector<Backend> backends;
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

const Backend& FindBackend(std::string_view name) {
  if (name == "cpu") return Backends().front();
  for (const Backend& backend : Backends()) {
    if (backend.name == name) return backend;
  }
  std::string names;
  for (const std::string_view available : AvailableBackends()) {
    names += (names.empty() ? "" : ", ") + std::string(available);
  }
  Fail("there is no backend \"", name, "\" on this machine: choose one of ", names);
}

std::vector<std::string_view> AvailableBackends() {
  std::vector<std::string_view> names = {"cpu"};
  for (const Backend& backend : Backends()) names.push_back(backend.name);
  return names;
}

void RunTiles(ThreadPool* pool, int64_t tiles, TileFunction fn, const void* context) {
  pool->ParallelFor(tiles, [=](int64_t tile, int slot) { fn(context, tile, slot); });
}

}  // namespace beamline::engine
