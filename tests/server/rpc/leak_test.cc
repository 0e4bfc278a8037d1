// Nothing tells members of one project what another one has.
#include <gmock/gmock.h>

#include <functional>
#include <map>

#include "tests/server/rpc/populated.h"

namespace beamline::server::rpc {
namespace {

using grpc::StatusCode;

// Projects "one", of the user "mine", and "two", which has a dataset, a pipeline and a run.
class LeakTest : public PopulatedTest {
 protected:
  LeakTest() {
    NewProject("one");
    NewProject("two");
    SetRole("one", "mine", v1::ROLE_ADMIN);
    dataset_ = Upload("two", kPoints, admin_);
    Call call(admin_);
    v1::CreateRunRequest request;
    request.set_parent("projects/two");
    request.mutable_source()->set_yaml(kTinyPipeline);
    (*request.mutable_inputs())["points"] = dataset_;
    v1::Run run;
    const grpc::Status status = v1::RunService::NewStub(channel_)->CreateRun(&call, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    run_id_ = run.name().substr(run.name().rfind('/') + 1);
    dataset_id_ = dataset_.substr(dataset_.rfind('/') + 1);
    no_run_ = "r-" + std::string(run_id_.size() - 2, 'x');
    no_dataset_ = std::string(dataset_id_.size(), '0');
  }

  // `message` with what nobody has in place of what project two has.
  std::string Disguised(std::string message) const {
    for (const auto& [id, other] : std::map<std::string, std::string>{
             {run_id_, no_run_}, {dataset_id_, no_dataset_}, {"tiny", "none"}}) {
      for (size_t at = 0; (at = message.find(id, at)) != std::string::npos;) {
        message.replace(at, id.size(), other);
      }
    }
    return message;
  }
  // How a run of project one is answered.
  StatusCode Create(const std::function<void(v1::CreateRunRequest&)>& change) {
    Call call(mine_);
    v1::CreateRunRequest request;
    request.set_parent("projects/one");
    request.mutable_source()->set_yaml(kTinyPipeline);
    change(request);
    v1::Run ignored;
    return v1::RunService::NewStub(channel_)->CreateRun(&call, request, &ignored).error_code();
  }
  StatusCode Use(const std::string& dataset) {
    return Create(
        [&](v1::CreateRunRequest& request) { (*request.mutable_inputs())["points"] = dataset; });
  }
  StatusCode UseStored(const std::string& pipeline) {
    return Create([&](v1::CreateRunRequest& request) { request.set_pipeline_name(pipeline); });
  }

  const std::string mine_ = NewUser("mine");
  std::string dataset_;
  std::string run_id_;
  std::string dataset_id_;
  std::string no_run_;
  std::string no_dataset_;
};

TEST_F(LeakTest, OfWhatAnotherProjectHasTheSameIsSaidAsOfWhatNobodyHas) {
  const std::vector<std::pair<std::string, std::string>> children = {
      {"projects/one/runs/" + run_id_, "projects/one/runs/" + no_run_},
      {"projects/one/datasets/" + dataset_id_, "projects/one/datasets/" + no_dataset_},
      {"projects/one/pipelines/tiny", "projects/one/pipelines/none"},
  };
  int compared = 0;
  for (const auto* service : auth::Policy::Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const pb::MethodDescriptor& method = *service->method(i);
      const v1::Permission permission = method.options().GetExtension(v1::permission);
      if (permission < v1::PERMISSION_PROJECT_VIEW || permission > v1::PERMISSION_PROJECT_ADMIN) {
        continue;
      }
      const std::string path = "/" + service->full_name() + "/" + method.name();
      for (const auto& [there, nowhere] : children) {
        const grpc::Status first = RawCall(channel_, path, RequestFor(method, there), mine_);
        const grpc::Status second = RawCall(channel_, path, RequestFor(method, nowhere), mine_);
        EXPECT_EQ(first.error_code(), second.error_code()) << path << " of " << there;
        EXPECT_FALSE(first.ok()) << path << " of " << there;
        EXPECT_EQ(Disguised(first.error_message()), second.error_message()) << path;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 60);
}

TEST_F(LeakTest, ThingsOfAnotherProjectCannotBeUsedAndTheirDigestTellsNothing) {
  EXPECT_NE(Use(dataset_), StatusCode::OK);
  EXPECT_EQ(Use(dataset_), Use("projects/two/datasets/" + no_dataset_));
  EXPECT_EQ(Use(dataset_id_), Use(no_dataset_));
  EXPECT_EQ(UseStored("projects/two/pipelines/tiny"), StatusCode::NOT_FOUND);
  EXPECT_EQ(UseStored("projects/two/pipelines/none"), StatusCode::NOT_FOUND);
  const v1::BeginUploadResponse begun = Begin("one", kPoints, mine_);
  EXPECT_FALSE(begun.has_dataset());
  EXPECT_EQ(begun.upload().committed_size_bytes(), 0);
  EXPECT_EQ(Upload("one", kPoints, mine_), "projects/one/datasets/" + dataset_id_)
      << "a dataset of two projects is two datasets";
}

}  // namespace
}  // namespace beamline::server::rpc
