#include "worker/images/command.h"

#include <sys/stat.h>

#include <clocale>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/match.h"
#include "pipeline/units.h"
#include "worker/confinement.h"
#include "worker/image_folder.h"
#include "worker/images/import.h"

namespace beamline::worker {
namespace {

constexpr char kUsage[] =
    "beamline-worker image: root file systems for programs, on this machine\n\n"
    "usage: beamline-worker image import FILE [--images DIR] [--limit BYTES]\n"
    "       beamline-worker image list [--images DIR]\n"
    "       beamline-worker image remove DIGEST [--images DIR]\n\n"
    "  import  Unpack an OCI archive (skopeo copy docker://IMAGE oci-archive:FILE, podman save\n"
    "          --format oci-archive, docker save since Docker 25) and print its digest. A worker\n"
    "          that runs tells the server within seconds.\n"
    "  list    Digests of the images that are there.\n"
    "  remove  Remove an image that no program runs in.\n\n"
    "  --images DIR\n"
    "      As the worker was given it. Default: /var/lib/beamline-worker/images\n"
    "  --limit BYTES\n"
    "      Of the files of an image, and of its archive's: what is larger is refused. Default: "
    "64GiB\n";

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "beamline-worker image: %s\n", std::string(status.message()).c_str());
  return 1;
}

// As given, or the defaults.
struct Options {
  std::string folder = "/var/lib/beamline-worker/images";
  ImageLimits limits;
  bool help = false;
  // All that are no options.
  std::vector<std::string> words;
};

// False if it is not understood.
bool Parse(const std::vector<std::string>& args, Options* options) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (!absl::StartsWith(args[i], "--")) {
      options->words.push_back(args[i]);
      continue;
    }
    const size_t equals = args[i].find('=');
    const std::string name = args[i].substr(0, equals);
    if (name == "--help" && equals == std::string::npos) {
      options->help = true;
      continue;
    }
    std::string value;
    if (equals != std::string::npos) {
      value = args[i].substr(equals + 1);
    } else if (++i < args.size()) {
      value = args[i];
    }
    const std::optional<double> bytes = pipeline::ParseBytes(value);
    if (name == "--images" && !value.empty()) {
      options->folder = value;
    } else if (name == "--limit" && bytes.has_value() && *bytes >= 1 && *bytes <= 1e18) {
      options->limits.bytes = static_cast<int64_t>(*bytes);
    } else {
      return false;
    }
  }
  return true;
}

// Whatever the archive does to those who read it, it sees no other files. Later versions of
// Landlock than the first, which lets no file move between folders.
void Confine(const std::string& file, const std::string& folder) {
  if (LandlockVersion() < 2) return;
  ConfinementLimits limits;
  limits.work_folder = folder;
  limits.readable_files = {file};
  ConfinementReport ignored;
  RestrictFiles(limits, ignored);
}

int Import(const std::string& file, const Options& options) {
  // Readable for the worker, who may be another user than the operator.
  umask(0022);
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  Confine(file, options.folder);
  const auto imported = ImportImage(file, options.folder, options.limits);
  if (!imported.ok()) return Fail(imported.status());
  std::printf("%s\n", imported->digest.c_str());
  if (imported->was_there) {
    std::fprintf(stderr, "it was there already\n");
    return 0;
  }
  std::fprintf(stderr, "%lld entries, %lld MiB\n", static_cast<long long>(imported->entries),
               static_cast<long long>(imported->bytes >> 20));
  if (imported->left_out > 0) {
    std::fprintf(stderr, "left out: %lld devices, pipes and sockets\n",
                 static_cast<long long>(imported->left_out));
  }
  return 0;
}

}  // namespace

int RunImageCommand(const std::vector<std::string>& args) {
  // Names in archives are UTF-8.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  Options options;
  const bool good = Parse(args, &options);
  const std::vector<std::string>& words = options.words;
  if (good && options.help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (good && words.size() == 2 && words[0] == "import") return Import(words[1], options);
  if (good && words.size() == 1 && words[0] == "list") {
    for (const std::string& digest : ListImages(options.folder))
      std::printf("%s\n", digest.c_str());
    return 0;
  }
  if (good && words.size() == 2 && words[0] == "remove") {
    const absl::Status removed = RemoveImage(options.folder, words[1]);
    return removed.ok() ? 0 : Fail(removed);
  }
  std::fputs(kUsage, stderr);
  return 2;
}

}  // namespace beamline::worker
