// The table of RPCs against the services' own descriptors.
#include "clients/cli/rpc.h"

#include <gtest/gtest.h>

#include <string>

#include "google/protobuf/descriptor.h"

namespace beamline::cli {
namespace {

template <class Method>
void Check(const Method& method) {
  std::string path = method.path;
  ASSERT_EQ(path[0], '/');
  path = path.substr(1);
  path.replace(path.find('/'), 1, ".");
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(path);
  ASSERT_NE(descriptor, nullptr) << path;
  EXPECT_EQ(descriptor->input_type(), Method::Request::descriptor()) << path;
  EXPECT_EQ(descriptor->output_type(), Method::Response::descriptor()) << path;
}

template <class... Methods>
void CheckAll(const Methods&... methods) {
  (Check(methods), ...);
}

TEST(Rpc, EveryLineMatchesItsService) {
  CheckAll(kCreateProject, kGetProject, kListProjects, kSetMember, kRemoveMember, kListMembers);
  CheckAll(kWhoAmI, kCreateUser, kUpdateUser, kListUsers, kCreateToken, kListTokens, kRevokeToken,
           kCreateJoinToken);
  CheckAll(kBeginUpload, kWriteUpload, kGetUpload, kFinishUpload, kGetDataset, kListDatasets,
           kDeleteDataset, kDownloadDataset);
  CheckAll(kValidatePipeline, kCreatePipeline, kGetPipeline, kListPipelines);
  CheckAll(kCreateRun, kGetRun, kListRuns, kListTasks, kWatchRun, kCancelRun, kListLogs,
           kListMetrics, kExplainRun);
  CheckAll(kGetModel, kListModels, kDownloadModel, kPredict);
  CheckAll(kListAuditEntries, kListProjectAuditEntries, kReadAuditChain);
  CheckAll(kGetServerInfo, kListWorkers, kDrainWorker, kListQueue);
}

}  // namespace
}  // namespace beamline::cli
