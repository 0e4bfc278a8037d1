// One run of one command: its arguments, where it prints, and its server.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/random.h"
#include "clients/cli/arguments.h"
#include "clients/cli/config.h"
#include "clients/cli/connection.h"
#include "clients/cli/terminal.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"

namespace beamline::cli {

// Not thread-safe.
class Invocation {
 public:
  // `clock` must outlive the object.
  Invocation(Arguments arguments, const Clock& clock);

  const Arguments& args() const { return arguments_; }
  bool json() const { return arguments_.Has("json"); }
  bool quiet() const { return arguments_.Has("quiet"); }
  // Of standard output and standard error.
  const TerminalTraits& out() const { return out_; }
  const TerminalTraits& err() const { return err_; }
  const Clock& clock() const { return clock_; }
  absl::Time Now() const { return clock_.Now(); }

  // Results, on standard output. Ends the process with code 0 if the reader has gone (as `head`
  // does).
  void Print(std::string_view text);
  void PrintJson(const google::protobuf::Message& message);
  void PrintJsonLine(const google::protobuf::Message& message);
  // Hints and progress, on standard error; nothing with --quiet or --json.
  void Note(std::string_view text);

  // The server of the context. NotFound: no context; InvalidArgument: the config is broken.
  absl::StatusOr<Connection*> Server();
  absl::StatusOr<Context> CurrentContext();
  // "projects/P": of --project, $BEAMLINE_PROJECT or the context.
  absl::StatusOr<std::string> Project();
  // "projects/P/runs/r" for collection "runs" and `id` "r"; `id` itself if it starts with
  // "projects/".
  absl::StatusOr<std::string> Name(std::string_view collection, std::string_view id);

  // For `request_id`: a fresh one, so that the call may be repeated.
  std::string NewRequestId();

  // Calls with the context's server.
  template <class Method>
  absl::StatusOr<typename Method::Response> Call(const Method& method,
                                                 const typename Method::Request& request,
                                                 int64_t timeout_ms = 60'000) {
    absl::StatusOr<Connection*> server = Server();
    if (!server.ok()) return server.status();
    return (*server)->Call(method, request, timeout_ms);
  }

  // Calls a List method page after page until `take(response)`, which returns how many entries it
  // took, has had `limit`.
  template <class Method, class Take>
  absl::Status ForEachPage(const Method& method, typename Method::Request request, int64_t limit,
                           Take take) {
    while (limit > 0) {
      request.set_page_size(static_cast<int>(limit < 1000 ? limit : 1000));
      auto response = Call(method, request);
      if (!response.ok()) return response.status();
      limit -= take(*response);
      request.set_page_token(response->next_page_token());
      if (request.page_token().empty()) break;
    }
    return absl::OkStatus();
  }

 private:
  const Arguments arguments_;
  const Clock& clock_;
  SystemRandom random_;
  const TerminalTraits out_;
  const TerminalTraits err_;
  std::unique_ptr<Connection> connection_;
};

// Unix epoch if it is not set.
absl::Time TimeOf(const google::protobuf::Timestamp& timestamp);
google::protobuf::Timestamp TimestampOf(absl::Time time);

}  // namespace beamline::cli
