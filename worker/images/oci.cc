#include "worker/images/oci.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <sys/utsname.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "worker/image_folder.h"

namespace beamline::worker {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr int kMaxIndexes = 4;
constexpr int kMaxLayers = 1000;
constexpr size_t kMaxEnvironment = 1000;

absl::Status Wrong(std::string_view document, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the image's ", A(document), " ", A(what)));
}

absl::StatusOr<Struct> ParseObject(std::string_view document, std::string_view json) {
  Struct object;
  if (!google::protobuf::util::JsonStringToMessage(std::string(json), &object).ok()) {
    return Wrong(document, "is no JSON object");
  }
  return object;
}

// Null value if there is no such field.
const Value& FieldOf(const Struct& object, const std::string& name) {
  static const Value kNone;
  const auto found = object.fields().find(name);
  return found == object.fields().end() ? kNone : found->second;
}

const std::string& TextOf(const Struct& object, const std::string& name) {
  return FieldOf(object, name).string_value();
}

absl::StatusOr<OciDigest> DigestOf(std::string_view document, const Value& descriptor) {
  const std::string& digest = TextOf(descriptor.struct_value(), "digest");
  if (ImageFolderName(digest).empty())
    return Wrong(document, "names something by no SHA-256 digest");
  return digest;
}

bool IsIndex(const std::string& type) {
  return absl::StrContains(type, "image.index") || absl::StrContains(type, "manifest.list");
}

bool IsLayer(const std::string& type) {
  for (const char* known :
       {"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip"}) {
    if (type == known) return true;
  }
  return false;
}

// Descriptors in `index` that may be for the machine: all that do not say otherwise.
std::vector<Value> Fitting(const Struct& index, std::string_view machine) {
  std::vector<Value> fitting;
  for (const Value& manifest : FieldOf(index, "manifests").list_value().values()) {
    const Struct& platform = FieldOf(manifest.struct_value(), "platform").struct_value();
    const std::string& system = TextOf(platform, "os");
    const std::string& architecture = TextOf(platform, "architecture");
    if (!system.empty() && system != "linux") continue;
    if (!architecture.empty() && architecture != machine) continue;
    fitting.push_back(manifest);
  }
  return fitting;
}

absl::StatusOr<OciDigest> FindManifest(std::string_view json, std::string_view machine,
                                       const OciDocuments& documents) {
  std::string index(json);
  for (int depth = 0; depth < kMaxIndexes; ++depth) {
    ASSIGN_OR_RETURN(const Struct object, ParseObject("index", index));
    const std::vector<Value> fitting = Fitting(object, machine);
    if (fitting.empty()) return Wrong("index", absl::StrCat("has no image for linux/", A(machine)));
    std::vector<std::string> digests;
    for (const Value& manifest : fitting) {
      ASSIGN_OR_RETURN(digests.emplace_back(), DigestOf("index", manifest));
    }
    if (digests.size() > 1) {
      return Wrong("index", absl::StrCat("has several images for linux/", A(machine), ": ",
                                         absl::StrJoin(digests, ", "), "; save one of them"));
    }
    if (!IsIndex(TextOf(fitting.front().struct_value(), "mediaType"))) return digests.front();
    ASSIGN_OR_RETURN(index, documents(digests.front()));
  }
  return Wrong("index", "leads to further ones too often");
}

absl::StatusOr<std::vector<std::string>> EnvironmentOf(const Struct& config) {
  std::vector<std::string> environment;
  const Struct& process = FieldOf(config, "config").struct_value();
  for (const Value& entry : FieldOf(process, "Env").list_value().values()) {
    const std::string& text = entry.string_value();
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos || text.find('\0') != std::string::npos ||
        environment.size() >= kMaxEnvironment) {
      return Wrong("configuration", "has an environment that is not NAME=VALUE");
    }
    environment.push_back(text);
  }
  return environment;
}

}  // namespace

absl::StatusOr<OciImage> ReadOciImage(std::string_view index, std::string_view machine,
                                      const OciDocuments& documents) {
  OciImage image;
  ASSIGN_OR_RETURN(image.digest, FindManifest(index, machine, documents));
  ASSIGN_OR_RETURN(const std::string text, documents(image.digest));
  ASSIGN_OR_RETURN(const Struct manifest, ParseObject("manifest", text));
  for (const Value& layer : FieldOf(manifest, "layers").list_value().values()) {
    const std::string& type = TextOf(layer.struct_value(), "mediaType");
    if (!IsLayer(type)) {
      return Wrong("manifest", absl::StrCat("has a layer of a kind that is not known: ", type));
    }
    ASSIGN_OR_RETURN(image.layers.emplace_back(), DigestOf("manifest", layer));
  }
  if (image.layers.empty() || image.layers.size() > kMaxLayers) {
    return Wrong("manifest", absl::StrCat("has ", image.layers.size(), " layers: 1 to ", kMaxLayers,
                                          " are possible"));
  }
  ASSIGN_OR_RETURN(const OciDigest config, DigestOf("manifest", FieldOf(manifest, "config")));
  ASSIGN_OR_RETURN(const std::string configuration, documents(config));
  ASSIGN_OR_RETURN(const Struct object, ParseObject("configuration", configuration));
  if (TextOf(object, "os") != "linux" || TextOf(object, "architecture") != machine) {
    return Wrong("configuration",
                 absl::StrCat("is for ", TextOf(object, "os"), "/", TextOf(object, "architecture"),
                              ", and this machine is linux/", A(machine)));
  }
  ASSIGN_OR_RETURN(image.environment, EnvironmentOf(object));
  return image;
}

std::string OciMachine() {
  utsname system;
  if (uname(&system) != 0) return "";
  const std::string_view machine = system.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return std::string(machine);
}

}  // namespace beamline::worker
