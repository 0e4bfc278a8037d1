#include "server/rpc/flags.h"

#include <functional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/edit_distance.h"
#include "base/status_macros.h"

namespace beamline::server::rpc {
namespace {

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

constexpr int64_t kShortestCertificate = 3;

struct Flag {
  std::string name;
  // What stands for the value in the help; empty for a switch.
  std::string value;
  std::string help;
  std::function<absl::Status(const std::string& value, Flags& flags)> set;
};

template <typename T>
Flag Text(std::string name, std::string value, std::string help, T Flags::*field) {
  const auto set = [field](const std::string& text, Flags& flags) {
    if constexpr (std::is_same_v<T, std::string>) {
      flags.*field = text;
    } else {
      (flags.*field).push_back(text);
    }
    return absl::OkStatus();
  };
  return {std::move(name), std::move(value), std::move(help), set};
}

Flag Switch(std::string name, std::string help, bool Flags::*field) {
  return {std::move(name), "", std::move(help), [field](const std::string&, Flags& flags) {
            flags.*field = true;
            return absl::OkStatus();
          }};
}

Flag Seconds(std::string name, const std::string& help, int64_t Flags::*field) {
  const auto set = [name, field](const std::string& text, Flags& flags) {
    constexpr int64_t kMost = 30 * 86'400;
    if (!absl::SimpleAtoi(text, &(flags.*field)) || flags.*field < 0 || flags.*field > kMost) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " is a whole number of seconds, at most 30 days, not \"", text, "\""));
    }
    return absl::OkStatus();
  };
  return {std::move(name), "SECONDS", absl::StrCat(help, " Default: ", Flags().*field), set};
}

const std::vector<Flag>& Table() {
  static const std::vector<Flag> kTable = {
      Text("--state", "DIR",
           absl::StrCat("Where everything is kept; made if it is not there.\nDefault: ",
                        Flags().state),
           &Flags::state),
      Text("--listen", "HOST:PORT",
           absl::StrCat("Address to serve on; port 0: any free one.\nDefault: ", Flags().listen),
           &Flags::listen),
      Text("--name", "NAME",
           "Host name or address that clients dial, besides localhost, 127.0.0.1, ::1 and\n"
           "this machine's name. May be given more than once.",
           &Flags::names),
      Text("--ready-file", "FILE",
           "Written when the server serves: {\"address\": ..., \"ca\": ..., \"pid\": ...}.",
           &Flags::ready_file),
      Text("--init-admin", "FILE",
           "Make the user \"admin\" (an operator) and the project \"default\" if they are not\n"
           "there, and, unless FILE exists, write a token of admin to it (mode 0600).",
           &Flags::init_admin),
      Text("--print-join-token", "FILE",
           "Write a fresh token to FILE (mode 0600), with which workers may join within a day.",
           &Flags::print_join_token),
      Seconds("--preempt-every",
              "How often running tasks of projects that hold more than their share may be asked\n"
              "to make room at a checkpoint; 0: never.",
              &Flags::preempt_every),
      Seconds("--preempt-after", "No task is asked sooner after its start.", &Flags::preempt_after),
      Seconds("--worker-certificate",
              "How long certificates of workers are good; workers renew theirs after two thirds\n"
              "of it, and those that are away for longer must join again. At least 3 seconds.",
              &Flags::worker_certificate),
      Text(
          "--issuers", "FILE",
          "Take tokens of others too (OpenID Connect, SciTokens), as FILE says: docs/security.md.\n"
          "SIGHUP: read it again.",
          &Flags::issuers),
      Text("--to", "DIR", "Of backup: where to; a folder that only backups use.", &Flags::to),
      Text("--from", "DIR", "Of restore: the backup.", &Flags::from),
      Text("--head", "HASH", "Of audit verify: a head from the log, which must be there still.",
           &Flags::head),
      Switch("--allow-programs",
             "Let the project \"default\" run programs of its members' own (command steps): for a\n"
             "server that one person runs on a machine of their own.",
             &Flags::allow_programs),
      {"--log-level", "LEVEL", "debug, info, warning or error. Default: info", SetLevel},
      Switch("--help", "Print this.", &Flags::help),
      Switch("--version", "Print the version.", &Flags::version),
  };
  return kTable;
}

absl::Status Unknown(const std::string& name) {
  std::vector<std::string> known;
  for (const Flag& flag : Table()) known.push_back(flag.name);
  const std::string meant = DidYouMean(name, known);
  return absl::InvalidArgumentError(absl::StrCat("unknown argument \"", name.substr(0, 80), "\"",
                                                 meant.empty() ? "" : ": did you mean ", meant,
                                                 meant.empty() ? ": see --help" : "?"));
}

const Flag* Find(const std::string& name) {
  for (const Flag& flag : Table()) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<Flags> ParseFlags(const std::vector<std::string>& args) {
  Flags flags;
  size_t first = 0;
  if (!args.empty() && (args[0] == "backup" || args[0] == "restore")) {
    flags.command = args[0];
    first = 1;
  } else if (args.size() > 1 && args[0] == "audit" && args[1] == "verify") {
    flags.command = "audit verify";
    first = 2;
  }
  for (size_t i = first; i < args.size(); ++i) {
    const size_t equals = args[i].find('=');
    const std::string name = args[i].substr(0, equals);
    const Flag* const flag = Find(name);
    if (flag == nullptr) return Unknown(name);
    std::string value;
    if (equals != std::string::npos) value = args[i].substr(equals + 1);
    if (flag->value.empty()) {
      if (equals != std::string::npos) {
        return absl::InvalidArgumentError(absl::StrCat(name, " takes no value"));
      }
    } else if (equals == std::string::npos) {
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
  if (flags.worker_certificate < kShortestCertificate) {
    return absl::InvalidArgumentError("--worker-certificate must be at least 3 seconds");
  }
  return flags;
}

std::string HelpText() {
  std::string text =
      "beamlined: the server of Beamline\n\n"
      "usage: beamlined [flags]\n"
      "       beamlined backup --state DIR --to DIR       copy the state of a server that may run\n"
      "       beamlined restore --from DIR --state DIR    make a state folder from a backup\n"
      "       beamlined audit verify --state DIR          check the audit, also of a backup\n\n";
  for (const Flag& flag : Table()) {
    absl::StrAppend(&text, "  ", flag.name, flag.value.empty() ? "" : " ", flag.value, "\n");
    size_t begin = 0;
    while (begin <= flag.help.size()) {
      size_t end = flag.help.find('\n', begin);
      if (end == std::string::npos) end = flag.help.size();
      absl::StrAppend(&text, "      ", flag.help.substr(begin, end - begin), "\n");
      begin = end + 1;
    }
  }
  absl::StrAppend(&text,
                  "\nSIGTERM or SIGINT: stop taking calls, finish what was accepted, end. "
                  "A second one: end at once.\n");
  return text;
}

}  // namespace beamline::server::rpc
