// Programs in images: which workers get them, and what no worker can run.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

using ::testing::HasSubstr;

const std::string kImage = "sha256:" + std::string(64, 'a');
const std::string kOther = "sha256:" + std::string(64, 'b');

class ImagesTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    v1::UpdateProjectRequest request;
    request.mutable_project()->set_name("projects/optics");
    request.mutable_project()->set_commands_allowed(true);
    request.mutable_update_mask()->add_paths("commands_allowed");
    ASSERT_TRUE(Call(server_->projects(), &ProjectApi::UpdateProject, Operator(), request).ok());
  }

  absl::StatusOr<v1::Run> RunIn(const std::string& image, const std::string& resources = "{}") {
    v1::CreateRunRequest request;
    request.set_parent("projects/optics");
    request.mutable_source()->set_yaml(
        absl::StrCat("name: own\nsteps:\n  - name: work\n    resources: ", resources,
                     "\n    command: {program: {arguments: [ls], image: \"", image, "\"}}\n"));
    return Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
  }
  std::string Refusal(const std::string& image, const std::string& resources = "{}") {
    const auto run = RunIn(image, resources);
    return run.ok() ? "accepted" : std::string(run.status().message());
  }
  static int Starts(const v1::SynchronizeResponse& response) { return response.start_size(); }
};

TEST_F(ImagesTest, OnlyWorkersThatHaveItGetIt) {
  FakeWorker without(*server_);
  FakeWorker with(*server_, "s2");
  with.AddImage(kImage);
  without.Synchronize(*server_);
  with.Synchronize(*server_);
  ASSERT_TRUE(RunIn(kImage).ok());
  EXPECT_EQ(Starts(without.Synchronize(*server_)), 0);
  EXPECT_EQ(Starts(with.Synchronize(*server_)), 1);
  ASSERT_TRUE(RunIn("", "{cpus: 2}").ok());
  EXPECT_EQ(Starts(without.Synchronize(*server_)), 1) << "what needs no image runs anywhere";
}

TEST_F(ImagesTest, AnImageThatComesLaterIsHeardOf) {
  FakeWorker worker(*server_);
  worker.AddImage(kImage);
  worker.Synchronize(*server_);
  ASSERT_TRUE(RunIn(kImage, "{cpus: 2}").ok());
  EXPECT_EQ(Starts(worker.Synchronize(*server_)), 1);
  EXPECT_THAT(Refusal(kOther), HasSubstr(kOther));
  worker.AddImage(kOther);
  worker.Synchronize(*server_);
  EXPECT_EQ(Refusal(kOther), "accepted");
}

TEST_F(ImagesTest, WhatNoWorkerHasIsRefused) {
  EXPECT_THAT(Refusal(kImage), HasSubstr("which no worker has; none has any image"));
  FakeWorker worker(*server_);
  worker.AddImage(kImage);
  worker.Synchronize(*server_);
  EXPECT_EQ(Refusal(kImage), "accepted");
  EXPECT_THAT(Refusal(kOther),
              HasSubstr(absl::StrCat("steps.work.command.program.image: needs ", kOther,
                                     ", which no worker has; there are ", kImage,
                                     ": ask an operator to import it on a worker")));
  EXPECT_THAT(Refusal(kImage, "{pool: lab}"),
              HasSubstr(absl::StrCat("steps.work.resources.pool: no worker of pool lab has image ",
                                     kImage)));
  EXPECT_THAT(Refusal(kImage, "{cpus: 3}"), HasSubstr("the largest worker has 2 cores"));
  EXPECT_THAT(Refusal("sha256:aa"), HasSubstr("is no digest of an image"));
  EXPECT_THAT(Refusal("../../etc"), HasSubstr("is no digest of an image"));
}

TEST_F(ImagesTest, WhatAWorkerSaysThatIsNoDigestIsNoLabel) {
  FakeWorker worker(*server_);
  worker.AddImage("lab");
  worker.AddImage("");
  worker.Synchronize(*server_);
  EXPECT_THAT(Refusal("", "{pool: lab}"), HasSubstr("no worker has ever joined pool lab"));
}

// What is accepted is also started: the check of a run and the scheduler hear of the same images.
TEST_F(ImagesTest, AHundredImagesOfAWorkerAreHeardOf) {
  FakeWorker worker(*server_);
  worker.AddImage("no digest, and not counted");
  for (int i = 1; i < 100; ++i) worker.AddImage(absl::StrFormat("sha256:%064d", i));
  worker.AddImage(kImage);
  worker.AddImage(kOther);
  worker.Synchronize(*server_);
  EXPECT_THAT(Refusal(kOther), HasSubstr("which no worker has"));
  ASSERT_TRUE(RunIn(kImage, "{cpus: 2}").ok());
  EXPECT_EQ(Starts(worker.Synchronize(*server_)), 1);
}

}  // namespace
}  // namespace beamline::server
