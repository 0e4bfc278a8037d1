#include "clients/cli/config.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/edit_distance.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/json.h"
#include "google/protobuf/struct.pb.h"

namespace beamline::cli {
namespace {

using google::protobuf::Struct;

constexpr size_t kMaxConfigBytes = 1 << 20;

std::string Text(const Struct& object, const std::string& field) {
  const auto found = object.fields().find(field);
  return found == object.fields().end() ? "" : found->second.string_value();
}

void SetText(Struct& object, const std::string& field, const std::string& value) {
  if (!value.empty()) (*object.mutable_fields())[field].set_string_value(value);
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string ConfigPath() {
  if (const std::string path = Environment("BEAMLINE_CONFIG"); !path.empty()) return path;
  std::string folder = Environment("XDG_CONFIG_HOME");
  if (folder.empty()) folder = Environment("HOME") + "/.config";
  return folder + "/beamline/config.json";
}

absl::StatusOr<Config> LoadConfig(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxConfigBytes);
  if (absl::IsNotFound(text.status())) return Config();
  RETURN_IF_ERROR(text.status());
  Struct root;
  if (const absl::Status status = ParseJson(*text, &root); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s is not valid: %s; mend it, or remove it and log in again", path, status.message()));
  }
  Config config;
  config.current = Text(root, "current");
  const auto contexts = root.fields().find("contexts");
  if (contexts == root.fields().end()) return config;
  for (const auto& [name, value] : contexts->second.struct_value().fields()) {
    const Struct& object = value.struct_value();
    Context& context = config.contexts[name];
    context = {Text(object, "server"), Text(object, "ca"), Text(object, "token"),
               Text(object, "project")};
    if (context.project.empty()) context.project = "default";
    if (context.server.empty()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: context \"%s\" has no server; log in again", path, name));
    }
  }
  return config;
}

absl::Status SaveConfig(const std::string& path, const Config& config) {
  Struct root;
  SetText(root, "current", config.current);
  Struct* contexts = (*root.mutable_fields())["contexts"].mutable_struct_value();
  for (const auto& [name, context] : config.contexts) {
    Struct& object = *(*contexts->mutable_fields())[name].mutable_struct_value();
    SetText(object, "server", context.server);
    SetText(object, "ca", context.ca);
    SetText(object, "token", context.token);
    SetText(object, "project", context.project);
  }
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InternalError(
        absl::StrFormat("cannot make the folder %s: %s", folder.string(), error.message()));
  }
  return WriteFileAtomically(path, PrettyJson(root), 0600);
}

absl::StatusOr<Context> FindContext(const Config& config, std::string_view name) {
  const std::string wanted = name.empty() ? config.current : std::string(name);
  if (const auto found = config.contexts.find(wanted); found != config.contexts.end()) {
    return found->second;
  }
  if (config.contexts.empty()) {
    return absl::NotFoundError(
        "no server is known yet; start one on this machine with \"beamline dev\", or log in to "
        "one with \"beamline login HOST:PORT --ca FILE\"");
  }
  std::vector<std::string> names;
  for (const auto& [known, context] : config.contexts) names.push_back(known);
  if (wanted.empty()) {
    return absl::NotFoundError(absl::StrFormat(
        "no context is current; choose one with --context: %s", absl::StrJoin(names, ", ")));
  }
  const std::string nearest = DidYouMean(wanted, names);
  return absl::NotFoundError(absl::StrFormat("there is no context \"%s\"; %s", wanted,
                                             nearest.empty()
                                                 ? "there are: " + absl::StrJoin(names, ", ")
                                                 : "did you mean \"" + nearest + "\"?"));
}

}  // namespace beamline::cli
