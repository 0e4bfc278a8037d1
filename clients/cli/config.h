// The file with the servers and tokens that the CLI knows.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::cli {

// One server as one user.
struct Context {
  // "host:port".
  std::string server;
  // Path of the PEM file of the authority that signed the server's certificate. Empty: the
  // system's authorities.
  std::string ca;
  // A secret. Never printed.
  std::string token;
  // Id of the project to work in.
  std::string project = "default";
};

struct Config {
  std::string current;
  std::map<std::string, Context> contexts;
};

// $BEAMLINE_CONFIG, or beamline/config.json below $XDG_CONFIG_HOME or ~/.config.
std::string ConfigPath();

// An empty config if there is no file. InvalidArgument, naming the file, if it cannot be read.
absl::StatusOr<Config> LoadConfig(const std::string& path);

// Atomic; readable by its owner only. Makes the folder if it is not there.
absl::Status SaveConfig(const std::string& path, const Config& config);

// The context `name`, or the current one if `name` is empty.
// NotFound: there is none of that name; the message says which there are and how to make one.
absl::StatusOr<Context> FindContext(const Config& config, std::string_view name);

}  // namespace beamline::cli
