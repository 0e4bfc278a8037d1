// What methods of several APIs share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "auth/authenticator.h"
#include "base/status_macros.h"
#include "server/api/done.h"
#include "server/names.h"
#include "server/paging.h"
#include "store/events.h"
#include "store/runs.h"
#include "store/store.h"

namespace beamline::server {

// Answers `done` after all authentications from before the change are forgotten, so that it takes
// effect with its acknowledgement.
template <class R>
Done<R> ForgetThen(auth::Authenticator& authenticator, Done<R> done) {
  return [&authenticator, done = std::move(done)](absl::StatusOr<R> answer) mutable {
    if (answer.ok()) authenticator.Forget();
    done(std::move(answer));
  };
}

// The response with the first `size` of `listed`, which are newest first, and a token if there are
// more. `field`: the response's repeated field.
template <class Response, class M, class Field>
Response PageOf(std::vector<store::Listed<M>> listed, int64_t size, std::string_view scope,
                Field (Response::*field)()) {
  Response response;
  for (size_t i = 0; i < listed.size() && i < static_cast<size_t>(size); ++i) {
    *(response.*field)()->Add() = std::move(listed[i].second);
  }
  if (listed.size() > static_cast<size_t>(size)) {
    response.set_next_page_token(
        MakePageToken(scope, std::to_string(listed[static_cast<size_t>(size) - 1].first)));
  }
  return response;
}

// The same for lists ordered by id, whose entries have names.
template <class Response, class M, class Field>
Response PageById(std::vector<M> entries, int64_t size, std::string_view scope,
                  Field (Response::*field)()) {
  Response response;
  if (entries.size() > static_cast<size_t>(size)) {
    entries.resize(static_cast<size_t>(size));
    const std::string& last = entries.back().name();
    response.set_next_page_token(MakePageToken(scope, last.substr(last.rfind('/') + 1)));
  }
  for (M& entry : entries) *(response.*field)()->Add() = std::move(entry);
  return response;
}

// A page of a run's events that pass the filter. The page may be shorter than asked for.
template <class Response>
absl::StatusOr<Response> ListRunEvents(store::Store& store, const ChildName& run,
                                       const store::EventFilter& filter, int32_t page_size,
                                       std::string_view page_token) {
  ASSIGN_OR_RETURN(const int64_t size, PageSize(page_size, 1'000, 10'000));
  const std::string scope = absl::StrCat("events|", run.id, "|", static_cast<int>(filter.kind), "|",
                                         filter.task, "|", filter.name);
  ASSIGN_OR_RETURN(const int64_t after, ReadPageNumber(scope, page_token, 0));
  ASSIGN_OR_RETURN(const store::Reader reader, store.Read());
  RETURN_IF_ERROR(store::GetRun(reader, run.project, run.id).status());
  ASSIGN_OR_RETURN(auto events, store::ListEvents(reader, run.id, after, size, filter));
  Response response;
  if (!events.empty()) {
    const int64_t last = events.back().sequence();
    ASSIGN_OR_RETURN(const auto more, store::ListEvents(reader, run.id, last, 1, filter));
    if (!more.empty()) response.set_next_page_token(MakePageToken(scope, std::to_string(last)));
  }
  for (v1::Event& event : events) *response.add_events() = std::move(event);
  return response;
}

}  // namespace beamline::server
