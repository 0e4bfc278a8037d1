// The command line of beamlined.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/log.h"

namespace beamline::server::rpc {

// As given, or the defaults. HelpText says what each means.
struct Flags {
  // What to do in place of serving: "backup", "restore" or "audit verify"; empty: serve.
  std::string command;
  // Of these two.
  std::string to;
  std::string from;
  // Of audit verify.
  std::string head;
  std::string state = "/var/lib/beamline";
  std::string listen = "127.0.0.1:7447";
  std::vector<std::string> names;
  std::string ready_file;
  std::string init_admin;
  std::string print_join_token;
  // Unit: seconds; 0 for `preempt_every`: never.
  int64_t preempt_every = 180;
  int64_t preempt_after = 780;
  int64_t worker_certificate = 30 * 86'400;
  // Empty: none.
  std::string issuers;
  bool allow_programs = false;
  log::Level log_level = log::Level::kInfo;
  bool help = false;
  bool version = false;
};

// `args` without the program's name; "--name=value" or "--name value".
// INVALID_ARGUMENT: says which argument is wrong and what may have been meant.
absl::StatusOr<Flags> ParseFlags(const std::vector<std::string>& args);

// One screen, made from the same table as the parser, with the defaults of Flags.
std::string HelpText();

}  // namespace beamline::server::rpc
