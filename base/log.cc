#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace beamline::log {
namespace {

spdlog::level::level_enum SpdlogLevel(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void Start(std::string_view program, Level level) {
  const auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  const auto logger = std::make_shared<spdlog::logger>(std::string(program), sink);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %L %n  %v", spdlog::pattern_time_type::utc);
  logger->set_level(SpdlogLevel(level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

void Write(Level level, std::string_view text) {
  spdlog::default_logger_raw()->log(SpdlogLevel(level),
                                    spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace beamline::log
