// v1.AuthService without the wire.
#pragma once

#include "auth/principal.h"
#include "beamline/v1/project.pb.h"
#include "server/api/context.h"
#include "server/api/done.h"

namespace beamline::server {

// See v1.AuthService for what each call does and fails with. Thread-safe.
class AuthApi {
 public:
  explicit AuthApi(ApiContext context);
  ~AuthApi();

  void WhoAmI(const auth::Principal& caller, const v1::WhoAmIRequest& request,
              Done<v1::WhoAmIResponse> done);
  void CreateUser(const auth::Principal& caller, const v1::CreateUserRequest& request,
                  Done<v1::User> done);
  void UpdateUser(const auth::Principal& caller, const v1::UpdateUserRequest& request,
                  Done<v1::User> done);
  void ListUsers(const auth::Principal& caller, const v1::ListUsersRequest& request,
                 Done<v1::ListUsersResponse> done);
  void CreateToken(const auth::Principal& caller, const v1::CreateTokenRequest& request,
                   Done<v1::CreateTokenResponse> done);
  void ListTokens(const auth::Principal& caller, const v1::ListTokensRequest& request,
                  Done<v1::ListTokensResponse> done);
  void RevokeToken(const auth::Principal& caller, const v1::RevokeTokenRequest& request,
                   Done<v1::Token> done);
  void CreateJoinToken(const auth::Principal& caller, const v1::CreateJoinTokenRequest& request,
                       Done<v1::CreateJoinTokenResponse> done);

 private:
  ApiContext context_;
};

}  // namespace beamline::server
