// The datasets of one project, for those who validate definitions.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "beamline/v1/dataset.pb.h"
#include "pipeline/validate.h"
#include "store/store.h"

namespace beamline::server {

// Keeps what it has found. Not thread-safe; must not outlive the view.
class ProjectDatasets {
 public:
  ProjectDatasets(const store::View& view, std::string_view project);

  // Finds "projects/P/datasets/D" of this project, and plain "D". Must not outlive this object.
  pipeline::DatasetLookup Lookup();

  // Not OK if a look-up failed for another reason than that there is no such dataset.
  const absl::Status& status() const { return status_; }

 private:
  const v1::Dataset* Find(std::string_view name);

  const store::View& view_;
  const std::string project_;
  absl::Status status_;
  std::map<std::string, std::unique_ptr<v1::Dataset>, std::less<>> found_;
};

}  // namespace beamline::server
