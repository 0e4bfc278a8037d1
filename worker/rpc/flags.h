// The command line of beamline-worker.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/log.h"

namespace beamline::worker::rpc {

// As given, or the defaults. HelpText says what each means.
struct Flags {
  std::string state = "/var/lib/beamline-worker";
  std::string server = "127.0.0.1:7447";
  std::string ca;
  std::string join_token_file;
  double cpus = 0;
  int64_t memory_bytes = 0;
  int64_t cache_bytes = int64_t{50} << 30;
  bool no_gpus = false;
  std::string fake_devices;
  std::string images;
  std::string pool;
  std::string name;
  std::string task_binary;
  std::string ready_file;
  log::Level log_level = log::Level::kInfo;
  bool help = false;
  bool version = false;
};

// `args` without the program's name; "--name=value" or "--name value".
// InvalidArgument: says which argument is wrong and what may have been meant.
absl::StatusOr<Flags> ParseFlags(const std::vector<std::string>& args);

// One screen, made from the same table as the parser, with the defaults of Flags.
std::string HelpText();

}  // namespace beamline::worker::rpc
