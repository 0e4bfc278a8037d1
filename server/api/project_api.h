// v1.ProjectService without the wire.
#pragma once

#include "auth/principal.h"
#include "beamline/v1/project.pb.h"
#include "google/protobuf/empty.pb.h"
#include "server/api/context.h"
#include "server/api/done.h"

namespace beamline::server {

// See v1.ProjectService for what each call does and fails with. Thread-safe.
class ProjectApi {
 public:
  explicit ProjectApi(ApiContext context);
  ~ProjectApi();

  void CreateProject(const auth::Principal& caller, const v1::CreateProjectRequest& request,
                     Done<v1::Project> done);
  void GetProject(const auth::Principal& caller, const v1::GetProjectRequest& request,
                  Done<v1::Project> done);
  void ListProjects(const auth::Principal& caller, const v1::ListProjectsRequest& request,
                    Done<v1::ListProjectsResponse> done);
  void UpdateProject(const auth::Principal& caller, const v1::UpdateProjectRequest& request,
                     Done<v1::Project> done);
  void SetMember(const auth::Principal& caller, const v1::SetMemberRequest& request,
                 Done<v1::Member> done);
  void RemoveMember(const auth::Principal& caller, const v1::RemoveMemberRequest& request,
                    Done<google::protobuf::Empty> done);
  void ListMembers(const auth::Principal& caller, const v1::ListMembersRequest& request,
                   Done<v1::ListMembersResponse> done);

 private:
  ApiContext context_;
};

}  // namespace beamline::server
