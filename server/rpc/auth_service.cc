#include "beamline/v1/project.grpc.pb.h"
#include "server/api/auth_api.h"
#include "server/rpc/services.h"
#include "server/rpc/unary.h"

namespace beamline::server::rpc {
namespace {

class AuthService : public v1::AuthService::CallbackService {
 public:
  AuthService(Gate& gate, AuthApi& api) : gate_(gate), api_(api) {}

  BEAMLINE_UNARY(AuthService, WhoAmI, v1::WhoAmIRequest, v1::WhoAmIResponse)
  BEAMLINE_UNARY(AuthService, CreateUser, v1::CreateUserRequest, v1::User)
  BEAMLINE_UNARY(AuthService, UpdateUser, v1::UpdateUserRequest, v1::User)
  BEAMLINE_UNARY(AuthService, ListUsers, v1::ListUsersRequest, v1::ListUsersResponse)
  BEAMLINE_UNARY(AuthService, CreateToken, v1::CreateTokenRequest, v1::CreateTokenResponse)
  BEAMLINE_UNARY(AuthService, ListTokens, v1::ListTokensRequest, v1::ListTokensResponse)
  BEAMLINE_UNARY(AuthService, RevokeToken, v1::RevokeTokenRequest, v1::Token)
  BEAMLINE_UNARY(AuthService, CreateJoinToken, v1::CreateJoinTokenRequest,
                 v1::CreateJoinTokenResponse)

 private:
  Gate& gate_;
  AuthApi& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAuthService(Gate& gate, AuthApi& api) {
  return std::make_unique<AuthService>(gate, api);
}

}  // namespace beamline::server::rpc
