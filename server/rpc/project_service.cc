#include "beamline/v1/project.grpc.pb.h"
#include "server/api/project_api.h"
#include "server/rpc/services.h"
#include "server/rpc/unary.h"

namespace beamline::server::rpc {
namespace {

class ProjectService : public v1::ProjectService::CallbackService {
 public:
  ProjectService(Gate& gate, ProjectApi& api) : gate_(gate), api_(api) {}

  BEAMLINE_UNARY(ProjectService, CreateProject, v1::CreateProjectRequest, v1::Project)
  BEAMLINE_UNARY(ProjectService, GetProject, v1::GetProjectRequest, v1::Project)
  BEAMLINE_UNARY(ProjectService, ListProjects, v1::ListProjectsRequest, v1::ListProjectsResponse)
  BEAMLINE_UNARY(ProjectService, UpdateProject, v1::UpdateProjectRequest, v1::Project)
  BEAMLINE_UNARY(ProjectService, SetMember, v1::SetMemberRequest, v1::Member)
  BEAMLINE_UNARY(ProjectService, RemoveMember, v1::RemoveMemberRequest, google::protobuf::Empty)
  BEAMLINE_UNARY(ProjectService, ListMembers, v1::ListMembersRequest, v1::ListMembersResponse)

 private:
  Gate& gate_;
  ProjectApi& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeProjectService(Gate& gate, ProjectApi& api) {
  return std::make_unique<ProjectService>(gate, api);
}

}  // namespace beamline::server::rpc
