#include "server/api/audit_api.h"

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "server/call_log.h"
#include "server/coordinator.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/paging.h"
#include "server/work_pool.h"
#include "store/audit.h"
#include "store/time.h"

namespace beamline::server {
namespace {

// A page of what `filter` lets through; both kinds of requests have these fields.
template <class Request>
absl::StatusOr<v1::ListAuditEntriesResponse> Page(store::Store& store, const std::string& project,
                                                  const Request& request) {
  ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), 100, 1000));
  store::AuditFilter filter{.project = project, .principal = request.principal()};
  if (request.has_since()) {
    ASSIGN_OR_RETURN(filter.since, ReadTime("since", request.since()));
  }
  const std::string scope = absl::StrCat("audit|", project, "|", request.principal());
  ASSIGN_OR_RETURN(const int64_t before, ReadPageNumber(scope, request.page_token(),
                                                        std::numeric_limits<int64_t>::max()));
  ASSIGN_OR_RETURN(const store::Reader reader, store.Read());
  ASSIGN_OR_RETURN(auto entries, store::ListAudit(reader, filter, before, size + 1));
  v1::ListAuditEntriesResponse response;
  if (entries.size() > static_cast<size_t>(size)) {
    entries.resize(static_cast<size_t>(size));
    response.set_next_page_token(MakePageToken(scope, std::to_string(entries.back().sequence())));
  }
  for (v1::AuditEntry& entry : entries) *response.add_entries() = std::move(entry);
  return response;
}

// Answers with a page, on a thread that may read, after what was refused until now is written.
template <class Request>
void Answer(const ApiContext& context, const std::string& project, const Request& request,
            Done<v1::ListAuditEntriesResponse> done) {
  auto shared = std::make_shared<Done<v1::ListAuditEntriesResponse>>(std::move(done));
  WriteCalls(context, false,
             [&store = context.store, &pool = context.pool, project, request,
              shared](const absl::StatusOr<bool>&) {
               const bool accepted = pool.Run([&store, project, request, shared] {
                 (*shared)(Page(store, project, request));
               });
               if (!accepted) (*shared)(Overloaded("the server is busy: try again", 1'000));
             });
}

}  // namespace

void AuditApi::ListAuditEntries(const auth::Principal&, const v1::ListAuditEntriesRequest& request,
                                Done<v1::ListAuditEntriesResponse> done) {
  Answer(context_, "", request, std::move(done));
}

void AuditApi::ListProjectAuditEntries(const auth::Principal&,
                                       const v1::ListProjectAuditEntriesRequest& request,
                                       Done<v1::ListAuditEntriesResponse> done) {
  const auto project = ParseProjectName("parent", request.parent());
  if (!project.ok()) return done(project.status());
  Answer(context_, *project, request, std::move(done));
}

void AuditApi::ReadAuditChain(const auth::Principal&, const v1::ReadAuditChainRequest& request,
                              Done<v1::ReadAuditChainResponse> done) {
  done([&]() -> absl::StatusOr<v1::ReadAuditChainResponse> {
    ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), 1000, 1000));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    v1::ReadAuditChainResponse response;
    // Head and links of one snapshot.
    ASSIGN_OR_RETURN(const store::AuditHead head, store::GetAuditHead(reader));
    response.set_head_sequence(head.sequence);
    response.set_head_hash(head.hash);
    ASSIGN_OR_RETURN(auto links, store::ReadAuditChain(reader, request.after_sequence(), size));
    for (v1::AuditLink& link : links) *response.add_links() = std::move(link);
    return response;
  }());
}

void WriteCalls(const ApiContext& context, bool everything, Done<bool> done) {
  const auto entries =
      std::make_shared<const std::vector<v1::AuditEntry>>(context.calls.Take(everything));
  if (entries->empty()) return done(false);
  context.coordinator.Submit(
      {.apply = [entries](Transaction& tx) -> absl::Status {
         for (const v1::AuditEntry& entry : *entries) {
           RETURN_IF_ERROR(store::AppendAudit(tx.store(), entry));
         }
         return absl::OkStatus();
       },
       .done =
           [entries, &calls = context.calls, done = std::move(done)](absl::Status status) mutable {
             if (!status.ok()) {
               calls.PutBack(*entries);
               log::Warning("%d entries of refused calls are not in the audit yet: %s",
                            entries->size(), status.ToString());
               return done(std::move(status));
             }
             done(true);
           }});
}

}  // namespace beamline::server
