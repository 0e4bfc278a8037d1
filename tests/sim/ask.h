// Asks a server without threads, without a wire, and waits for the answer.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "auth/principal.h"
#include "server/server.h"
#include "tests/sim/workload.h"

namespace beamline::sim {

inline auth::Principal Operator() {
  auth::Principal principal;
  principal.kind = auth::Principal::kUser;
  principal.name = "users/root";
  principal.is_operator = true;
  principal.peer = "sim";
  return principal;
}

// The member of the project with this index.
inline auth::Principal Member(size_t index) {
  auth::Principal principal;
  principal.kind = auth::Principal::kUser;
  principal.name = absl::StrCat("users/", std::string(kUsers[index]));
  principal.roles[std::string(kProjects[index])] = v1::ROLE_EDITOR;
  principal.peer = "sim";
  return principal;
}

// Has the server do all that waits.
inline void Settle(server::Server& server) {
  while (server.RunOne([](size_t) { return size_t{0}; })) {
  }
}

template <class Api, class Request, class R>
absl::StatusOr<R> Ask(server::Server& server, Api& api,
                      void (Api::*method)(const auth::Principal&, const Request&, server::Done<R>),
                      const auth::Principal& caller, const Request& request) {
  std::optional<absl::StatusOr<R>> answer;
  (api.*method)(caller, request, [&](absl::StatusOr<R> given) { answer = std::move(given); });
  for (int i = 0; i < 1000 && !answer; ++i) server.RunOne([](size_t) { return size_t{0}; });
  if (!answer) return absl::DeadlineExceededError("no answer");
  return *std::move(answer);
}

}  // namespace beamline::sim
