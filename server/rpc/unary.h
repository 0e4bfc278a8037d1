// The adapter of every unary method.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "server/api/done.h"
#include "server/rpc/gate.h"

namespace beamline::server::rpc {

// Admits the call, passes it to `api` when it is its turn, and answers when that is done. `request`
// and `response` belong to gRPC and live until the reactor has finished, which is after `done`.
template <typename Api, typename Request, typename Response>
grpc::ServerUnaryReactor* Unary(Gate& gate, grpc::CallbackServerContext* context,
                                std::string_view method, Api& api,
                                void (Api::*call)(const auth::Principal&, const Request&,
                                                  Done<Response>),
                                const Request* request, Response* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  auth::Principal caller;
  if (const grpc::Status refusal = gate.Admit(*context, method, *request, &caller); !refusal.ok()) {
    reactor->Finish(refusal);
    return reactor;
  }
  const std::string lane = gate.LaneOf(method, *request, caller);
  auto run = [&gate, &api, call, reactor, method, request, response, caller, lane] {
    (api.*call)(caller, *request,
                [&gate, reactor, method, response, caller, lane](absl::StatusOr<Response> answer) {
                  if (answer.ok()) *response = *std::move(answer);
                  // First: with the last answer the gate may go.
                  if (!lane.empty()) gate.lanes().Leave(lane);
                  reactor->Finish(Gate::Conclude(answer.status(), method, caller));
                });
  };
  if (lane.empty()) {
    run();
  } else if (const absl::Status full = gate.lanes().Enter(lane, run); !full.ok()) {
    reactor->Finish(Gate::Conclude(full, method, caller));
  }
  return reactor;
}

// The same of a call that takes long, and is told when nobody waits for it any more.
template <typename Api, typename Request, typename Response>
grpc::ServerUnaryReactor* LongUnary(Gate& gate, grpc::CallbackServerContext* context,
                                    std::string_view method, Api& api,
                                    void (Api::*call)(const auth::Principal&, const Request&,
                                                      Waiting, Done<Response>),
                                    const Request* request, Response* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  auth::Principal caller;
  if (const grpc::Status refusal = gate.Admit(*context, method, *request, &caller); !refusal.ok()) {
    reactor->Finish(refusal);
    return reactor;
  }
  // The context lives until the reactor has finished.
  (api.*call)(
      caller, *request, [context] { return !context->IsCancelled(); },
      [reactor, method, response, caller](absl::StatusOr<Response> answer) {
        if (answer.ok()) *response = *std::move(answer);
        reactor->Finish(Gate::Conclude(answer.status(), method, caller));
      });
  return reactor;
}

}  // namespace beamline::server::rpc

// Defines the method `name` of a CallbackService in a class that has `gate_` and `api_`. A macro,
// so that the name is written once: a method could otherwise be given another's permission.
#define BEAMLINE_UNARY(service, name, Request, Response)                                       \
  grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context, const Request* request, \
                                 Response* response) override {                                \
    return Unary(gate_, context, "/beamline.v1." #service "/" #name, api_,                     \
                 &std::remove_reference_t<decltype(api_)>::name, request, response);           \
  }
#define BEAMLINE_LONG_UNARY(service, name, Request, Response)                                  \
  grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context, const Request* request, \
                                 Response* response) override {                                \
    return LongUnary(gate_, context, "/beamline.v1." #service "/" #name, api_,                 \
                     &std::remove_reference_t<decltype(api_)>::name, request, response);       \
  }
