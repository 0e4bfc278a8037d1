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

// Admits the call, has `act(caller, done)` begin it when it is its turn, and answers when that is
// done. `request` and `response` belong to gRPC and live, as `context` does, until the reactor has
// finished, which is after `done`.
template <typename Request, typename Response, typename Act>
grpc::ServerUnaryReactor* InTurn(Gate& gate, Turn turn, grpc::CallbackServerContext* context,
                                 std::string_view method, const Request* request,
                                 Response* response, Act act) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  auth::Principal caller;
  if (const grpc::Status refusal = gate.Admit(*context, method, *request, &caller); !refusal.ok()) {
    reactor->Finish(refusal);
    return reactor;
  }
  const std::string lane = gate.LaneOf(method, *request, caller);
  Lanes& lanes = gate.lanes(turn);
  auto run = [&gate, &lanes, context, reactor, method, request, response, caller, lane,
              act = std::move(act)](bool waited) mutable {
    // Who has hung up, or may no more, does nothing after all.
    if (waited && context->IsCancelled()) {
      lanes.Leave(lane);
      reactor->Finish(Gate::Conclude(absl::CancelledError("the caller has gone"), method, caller));
      return;
    }
    if (waited) {
      const grpc::Status still = gate.Admit(*context, method, *request, &caller);
      if (!still.ok()) {
        lanes.Leave(lane);
        reactor->Finish(still);
        return;
      }
    }
    act(caller, Done<Response>([&lanes, reactor, method, response, caller,
                                lane](absl::StatusOr<Response> answer) {
          if (answer.ok()) *response = *std::move(answer);
          // First: with the last answer the gate may go.
          if (!lane.empty()) lanes.Leave(lane);
          reactor->Finish(Gate::Conclude(answer.status(), method, caller));
        }));
  };
  if (lane.empty()) {
    run(false);
  } else if (const absl::Status full = lanes.Enter(lane, std::move(run)); !full.ok()) {
    reactor->Finish(Gate::Conclude(full, method, caller));
  }
  return reactor;
}

template <typename Api, typename Request, typename Response>
grpc::ServerUnaryReactor* Unary(Gate& gate, Turn turn, grpc::CallbackServerContext* context,
                                std::string_view method, Api& api,
                                void (Api::*call)(const auth::Principal&, const Request&,
                                                  Done<Response>),
                                const Request* request, Response* response) {
  return InTurn(gate, turn, context, method, request, response,
                [&api, call, request](const auth::Principal& caller, Done<Response> done) {
                  (api.*call)(caller, *request, std::move(done));
                });
}

// The same of a call that is told when nobody waits for it any more.
template <typename Api, typename Request, typename Response>
grpc::ServerUnaryReactor* Unary(Gate& gate, Turn turn, grpc::CallbackServerContext* context,
                                std::string_view method, Api& api,
                                void (Api::*call)(const auth::Principal&, const Request&, Waiting,
                                                  Done<Response>),
                                const Request* request, Response* response) {
  return InTurn(gate, turn, context, method, request, response,
                [&api, call, context, request](const auth::Principal& caller, Done<Response> done) {
                  (api.*call)(
                      caller, *request, [context] { return !context->IsCancelled(); },
                      std::move(done));
                });
}

}  // namespace beamline::server::rpc

// Defines the method `name` of a CallbackService in a class that has `gate_` and `api_`. A macro,
// so that the name is written once: a method could otherwise be given another's permission.
#define BEAMLINE_UNARY(service, name, Request, Response)                                       \
  grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context, const Request* request, \
                                 Response* response) override {                                \
    return Unary(gate_, Turn::kShort, context, "/beamline.v1." #service "/" #name, api_,       \
                 &std::remove_reference_t<decltype(api_)>::name, request, response);           \
  }
// The same of a call that reads files or computes.
#define BEAMLINE_HEAVY_UNARY(service, name, Request, Response)                                 \
  grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context, const Request* request, \
                                 Response* response) override {                                \
    return Unary(gate_, Turn::kHeavy, context, "/beamline.v1." #service "/" #name, api_,       \
                 &std::remove_reference_t<decltype(api_)>::name, request, response);           \
  }
// And of one that takes long.
#define BEAMLINE_LONG_UNARY(service, name, Request, Response)                                  \
  grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context, const Request* request, \
                                 Response* response) override {                                \
    return Unary(gate_, Turn::kLong, context, "/beamline.v1." #service "/" #name, api_,        \
                 &std::remove_reference_t<decltype(api_)>::name, request, response);           \
  }
