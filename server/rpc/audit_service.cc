#include "beamline/v1/audit.grpc.pb.h"
#include "server/api/audit_api.h"
#include "server/rpc/services.h"
#include "server/rpc/unary.h"

namespace beamline::server::rpc {
namespace {

class AuditService : public v1::AuditService::CallbackService {
 public:
  AuditService(Gate& gate, AuditApi& api) : gate_(gate), api_(api) {}

  BEAMLINE_UNARY(AuditService, ListAuditEntries, v1::ListAuditEntriesRequest,
                 v1::ListAuditEntriesResponse)
  BEAMLINE_UNARY(AuditService, ListProjectAuditEntries, v1::ListProjectAuditEntriesRequest,
                 v1::ListAuditEntriesResponse)
  BEAMLINE_UNARY(AuditService, ReadAuditChain, v1::ReadAuditChainRequest,
                 v1::ReadAuditChainResponse)

 private:
  Gate& gate_;
  AuditApi& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAuditService(Gate& gate, AuditApi& api) {
  return std::make_unique<AuditService>(gate, api);
}

}  // namespace beamline::server::rpc
