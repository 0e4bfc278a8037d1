// The seam that every call passes: who is it, may they, and what they are told when it fails.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include <grpcpp/server_context.h>

#include "absl/status/status.h"
#include "auth/authenticator.h"
#include "auth/policy.h"
#include "auth/principal.h"
#include "server/call_log.h"
#include "server/rpc/lanes.h"

namespace beamline::server::rpc {

// What a call waits for.
enum class Turn { kShort, kHeavy, kLong };

// Thread-safe.
class Gate {
 public:
  // Nothing is owned; all outlive this and every call. `calls` gets the calls that the audit is to
  // have; null: there is no audit.
  Gate(auth::Authenticator& authenticator, const auth::Policy& policy, CallLog* calls = nullptr)
      : authenticator_(authenticator), policy_(policy), calls_(calls) {}

  // Authenticates the caller: by bearer token if the call has one, else by client certificate, else
  // as anonymous. Then asks the policy about `method` ("/beamline.v1.RunService/GetRun") and
  // `request`; of a client stream, its first message. OK, with `*caller` set, if the call may go
  // on; else what goes on the wire: UNAUTHENTICATED, DEADLINE_EXCEEDED if the caller's deadline has
  // passed, and as Policy::Allow. Logs refusals, and the audit has those of calls that would have
  // changed something.
  grpc::Status Admit(const grpc::CallbackServerContext& context, std::string_view method,
                     const google::protobuf::Message& request, auth::Principal* caller);

  // What goes on the wire after an admitted call. Logs failures and tells the audit.
  static grpc::Status Conclude(const absl::Status& outcome, std::string_view method,
                               const auth::Principal& caller);

  // Where an admitted call takes its turn; empty: it takes none, because a worker waits in it for
  // the server.
  std::string LaneOf(std::string_view method, const google::protobuf::Message& request,
                     const auth::Principal& caller) const;
  Lanes& lanes(Turn turn) { return lanes_[static_cast<size_t>(turn)]; }

 private:
  absl::Status Identify(const grpc::CallbackServerContext& context, auth::Principal* caller);
  absl::Status Check(const grpc::CallbackServerContext& context, std::string_view method,
                     const google::protobuf::Message& request, auth::Principal* caller);
  void Note(std::string_view method, const google::protobuf::Message& request,
            const absl::Status& outcome, auth::Principal* caller);

  auth::Authenticator& authenticator_;
  const auth::Policy& policy_;
  CallLog* const calls_;
  // By Turn: many short calls together; as many heavy ones as there are threads for them, and some
  // that wait; and one long one, which leaves a thread to the heavy ones.
  std::array<Lanes, 3> lanes_ = {
      Lanes(),
      Lanes({.max_running = 4, .max_running_of_one = 2, .max_waiting_of_one = 100, .threads = 1}),
      Lanes({.max_running = 1, .max_running_of_one = 1, .max_waiting_of_one = 20, .threads = 1})};
};

}  // namespace beamline::server::rpc
