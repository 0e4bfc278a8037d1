#include "server/dataset_lookup.h"

#include <utility>

#include "server/names.h"
#include "store/datasets.h"
#include "store/identity.h"

namespace beamline::server {

ProjectDatasets::ProjectDatasets(const store::View& view, std::string_view project)
    : view_(view), project_(project) {}

pipeline::DatasetLookup ProjectDatasets::Lookup() {
  return [this](std::string_view name) { return Find(name); };
}

const v1::Dataset* ProjectDatasets::Find(std::string_view name) {
  const std::string_view id = store::IdOf(name);
  if (name != id && name != DatasetName(project_, id)) return nullptr;
  auto [entry, added] = found_.try_emplace(std::string(id));
  if (added) {
    auto dataset = store::GetDataset(view_, project_, id);
    if (dataset.ok()) {
      entry->second = std::make_unique<v1::Dataset>(*std::move(dataset));
    } else if (!absl::IsNotFound(dataset.status())) {
      status_.Update(dataset.status());
    }
  }
  return entry->second.get();
}

}  // namespace beamline::server
