#include "server/rpc/streams.h"

namespace beamline::server::rpc {

Watch::Watch(std::shared_ptr<RunWatcher> watcher, std::string_view method, auth::Principal caller)
    : watcher_(std::move(watcher)), method_(method), caller_(std::move(caller)) {
  NextPage();
}

void Watch::NextPage() {
  // A hold of its own: this object may go while the watcher still answers.
  const std::shared_ptr<RunWatcher> watcher = watcher_;
  watcher->Next([this](absl::StatusOr<std::vector<v1::Event>> page) {
    if (!page.ok() || page->empty()) {
      Finish(Gate::Conclude(page.status(), method_, caller_));
      return;
    }
    page_ = *std::move(page);
    next_ = 0;
    NextEvent();
  });
}

void Watch::NextEvent() {
  if (next_ == page_.size()) return NextPage();
  StartWrite(&page_[next_++]);
}

void Watch::OnWriteDone(bool ok) {
  if (ok) return NextEvent();
  Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client left"));
}

}  // namespace beamline::server::rpc
