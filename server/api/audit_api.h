// v1.AuditService without the wire.
#pragma once

#include "auth/principal.h"
#include "beamline/v1/audit.pb.h"
#include "server/api/context.h"
#include "server/api/done.h"

namespace beamline::server {

// See v1.AuditService for what each call does and fails with. Thread-safe.
class AuditApi {
 public:
  explicit AuditApi(ApiContext context) : context_(context) {}

  // Both write first what was refused until now, so that the answer has it.
  void ListAuditEntries(const auth::Principal& caller, const v1::ListAuditEntriesRequest& request,
                        Done<v1::ListAuditEntriesResponse> done);
  void ListProjectAuditEntries(const auth::Principal& caller,
                               const v1::ListProjectAuditEntriesRequest& request,
                               Done<v1::ListAuditEntriesResponse> done);
  void ReadAuditChain(const auth::Principal& caller, const v1::ReadAuditChainRequest& request,
                      Done<v1::ReadAuditChainResponse> done);

 private:
  ApiContext context_;
};

// Writes what `context.calls` has to be written, of all groups if `everything`; then calls `done`,
// also if there was nothing. A failure is logged, and what was to be written is put back, for the
// next time.
void WriteCalls(const ApiContext& context, bool everything, Done<bool> done);

}  // namespace beamline::server
