// A store in a folder of its own, with verbs for tests.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "store/store.h"

namespace beamline::store {

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    auto opened = Store::Open(path());
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }

  std::string path() const { return folder_.path() + "/beamline.db"; }

  // One command in a batch of its own.
  absl::Status Write(const std::function<absl::Status(Writer&)>& command) {
    Writer& writer = store_->writer();
    EXPECT_TRUE(writer.BeginBatch().ok());
    const absl::Status status = writer.RunCommand([&] { return command(writer); });
    EXPECT_TRUE(writer.Commit().ok());
    return status;
  }

  Reader Read() {
    auto reader = store_->Read();
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }

  TemporaryDirectory folder_;
  std::unique_ptr<Store> store_;
};

}  // namespace beamline::store
