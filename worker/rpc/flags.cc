#include "worker/rpc/flags.h"

#include <functional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/edit_distance.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "pipeline/units.h"

namespace beamline::worker::rpc {
namespace {

using Setter = std::function<absl::Status(const std::string& value, Flags& flags)>;

struct Flag {
  std::string name;
  // What stands for the value in the help; empty for a switch.
  std::string value;
  // Lines of the help.
  std::string help;
  Setter set;
};

Setter Text(std::string Flags::*field) {
  return [field](const std::string& value, Flags& flags) {
    flags.*field = value;
    return absl::OkStatus();
  };
}

Setter Bytes(std::string name, int64_t Flags::*field) {
  return [name, field](const std::string& value, Flags& flags) -> absl::Status {
    const std::optional<double> bytes = pipeline::ParseBytes(value);
    if (!bytes || *bytes < 1 || *bytes > 1e18) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " is a size such as 8GiB or 8589934592, not \"", value, "\""));
    }
    flags.*field = static_cast<int64_t>(*bytes);
    return absl::OkStatus();
  };
}

Setter Switch(bool Flags::*field) {
  return [field](const std::string&, Flags& flags) {
    flags.*field = true;
    return absl::OkStatus();
  };
}

absl::Status SetCpus(const std::string& value, Flags& flags) {
  if (absl::SimpleAtod(value, &flags.cpus) && flags.cpus > 0 && flags.cpus < 1e6) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--cpus is a number of cores above 0, not \"", value, "\""));
}

absl::Status SetPool(const std::string& value, Flags& flags) {
  const absl::Status good = CheckUserId(value);
  if (!good.ok()) return absl::InvalidArgumentError(absl::StrCat("--pool: ", good.message()));
  flags.pool = value;
  return absl::OkStatus();
}

absl::Status SetLevel(const std::string& value, Flags& flags) {
  static const std::pair<const char*, log::Level> kLevels[] = {{"debug", log::Level::kDebug},
                                                               {"info", log::Level::kInfo},
                                                               {"warning", log::Level::kWarning},
                                                               {"error", log::Level::kError}};
  for (const auto& [name, level] : kLevels) {
    if (value != name) continue;
    flags.log_level = level;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--log-level is debug, info, warning or error, not \"", value, "\""));
}

const std::vector<Flag>& Table() {
  static const std::vector<Flag> kTable = {
      {"--state", "DIR",
       absl::StrCat("Certificate, cache and work folders; made if it is not there.\nDefault: ",
                    Flags().state),
       Text(&Flags::state)},
      {"--server", "HOST:PORT", absl::StrCat("The server. Default: ", Flags().server),
       Text(&Flags::server)},
      {"--ca", "FILE",
       "The server's certificate authority (its STATE/tls/ca.pem), PEM. Needed at the first\n"
       "start only.",
       Text(&Flags::ca)},
      {"--join-token-file", "FILE",
       "A join token. Needed at the first start only; afterwards the worker has a certificate\n"
       "of its own in its state folder.",
       Text(&Flags::join_token_file)},
      {"--cpus", "N", "Cores to offer. Default: all that this process may use.", SetCpus},
      {"--memory", "BYTES",
       "Memory to offer, such as 8GiB. Default: seven eighths of what this process may use.",
       Bytes("--memory", &Flags::memory_bytes)},
      {"--no-gpus", "", "Offer no GPUs. Default: all that the driver tells of, and MIG slices.",
       Switch(&Flags::no_gpus)},
      {"--fake-devices", "LIST",
       "For tests of scheduling: offer GPUs that exist in name only, instead of real ones, such\n"
       "as \"gpu0:H100:80GiB,gpu1/mig0:H100 MIG 1g.10gb:10GiB\". A task placed on one fails.",
       Text(&Flags::fake_devices)},
      {"--cache", "BYTES",
       absl::StrCat("Largest size of the cache of datasets. Default: ",
                    pipeline::BytesText(static_cast<double>(Flags().cache_bytes))),
       Bytes("--cache", &Flags::cache_bytes)},
      {"--images", "DIR",
       "Root file systems for programs: \"beamline-worker image --help\". Default: images in the\n"
       "state folder.",
       Text(&Flags::images)},
      {"--pool", "NAME", "Take only tasks that ask for this pool, or for none.", SetPool},
      {"--name", "HINT", "The host's name as lists show it. Default: what the host calls itself.",
       Text(&Flags::name)},
      {"--task-binary", "PATH", "Default: beamline-task beside this program.",
       Text(&Flags::task_binary)},
      {"--ready-file", "FILE",
       "Written when the server knows this worker: {\"worker\": ..., \"pid\": ...}.",
       Text(&Flags::ready_file)},
      {"--log-level", "LEVEL", "debug, info, warning or error. Default: info", SetLevel},
      {"--help", "", "Print this.", Switch(&Flags::help)},
      {"--version", "", "Print the version.", Switch(&Flags::version)},
  };
  return kTable;
}

absl::StatusOr<const Flag*> Find(const std::string& name) {
  std::vector<std::string> known;
  for (const Flag& flag : Table()) {
    if (flag.name == name) return &flag;
    known.push_back(flag.name);
  }
  const std::string meant = DidYouMean(name, known);
  return absl::InvalidArgumentError(absl::StrCat("unknown argument \"", name.substr(0, 80), "\"",
                                                 meant.empty() ? "" : ": did you mean ", meant,
                                                 meant.empty() ? ": see --help" : "?"));
}

}  // namespace

absl::StatusOr<Flags> ParseFlags(const std::vector<std::string>& args) {
  Flags flags;
  for (size_t i = 0; i < args.size(); ++i) {
    const size_t equals = args[i].find('=');
    const std::string name = args[i].substr(0, equals);
    ASSIGN_OR_RETURN(const Flag* const flag, Find(name));
    std::string value;
    if (equals != std::string::npos) value = args[i].substr(equals + 1);
    if (flag->value.empty() && equals != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(name, " takes no value"));
    }
    if (!flag->value.empty() && equals == std::string::npos) {
      if (i + 1 == args.size()) {
        return absl::InvalidArgumentError(absl::StrCat(name, " needs a value: ", flag->value));
      }
      value = args[++i];
    }
    if (!flag->value.empty() && value.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(name, " must not be empty"));
    }
    RETURN_IF_ERROR(flag->set(value, flags));
  }
  return flags;
}

std::string HelpText() {
  std::string text =
      "beamline-worker: runs tasks for a Beamline server\n\n"
      "usage: beamline-worker [flags]\n"
      "       beamline-worker image import FILE   (and more: beamline-worker image --help)\n\n";
  for (const Flag& flag : Table()) {
    absl::StrAppend(&text, "  ", flag.name, flag.value.empty() ? "" : " ", flag.value, "\n      ",
                    absl::StrReplaceAll(flag.help, {{"\n", "\n      "}}), "\n");
  }
  absl::StrAppend(
      &text,
      "\nSIGTERM or SIGINT: take checkpoints, give the tasks back, leave. A second one: "
      "end at once.\n");
  return text;
}

}  // namespace beamline::worker::rpc
