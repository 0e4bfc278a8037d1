// How the files of this folder turn rows into values. Private to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "store/store.h"

namespace beamline::store {

// All rows as `read` makes them, which returns a T or a StatusOr<T>; the first failure is returned.
template <class T, class Read, class... Args>
absl::StatusOr<std::vector<T>> Many(const View& view, std::string_view sql, Read read,
                                    const Args&... args) {
  std::vector<T> found;
  absl::Status status;
  RETURN_IF_ERROR(view.connection().Query(
      sql,
      [&](const Row& row) {
        absl::StatusOr<T> value = read(row);
        if (value.ok()) {
          found.push_back(*std::move(value));
        } else {
          status.Update(value.status());
        }
      },
      args...));
  RETURN_IF_ERROR(status);
  return found;
}

// The only row. NotFound, naming `what`, if there is none.
template <class T, class Read, class... Args>
absl::StatusOr<T> One(const View& view, std::string_view what, std::string_view sql, Read read,
                      const Args&... args) {
  ASSIGN_OR_RETURN(std::vector<T> found, Many<T>(view, sql, read, args...));
  if (found.empty()) return absl::NotFoundError(absl::StrCat(A(what), " does not exist"));
  return std::move(found.front());
}

// DataLoss if `bytes` are no such message, which only damage to the file can bring about.
template <class M>
absl::Status ParseMessage(std::string_view bytes, M& message) {
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("database: a damaged ", message.GetTypeName(), ": restore a backup"));
}

// The message in column 0.
template <class M>
absl::StatusOr<M> ReadMessage(const Row& row) {
  M message;
  RETURN_IF_ERROR(ParseMessage(row.Text(0), message));
  return message;
}

template <class M, class... Args>
absl::StatusOr<M> OneMessage(const View& view, std::string_view what, std::string_view sql,
                             const Args&... args) {
  return One<M>(view, what, sql, ReadMessage<M>, args...);
}

template <class M, class... Args>
absl::StatusOr<std::vector<M>> ManyMessages(const View& view, std::string_view sql,
                                            const Args&... args) {
  return Many<M>(view, sql, ReadMessage<M>, args...);
}

// With its serial in column 1.
template <class M, class... Args>
absl::StatusOr<std::vector<std::pair<int64_t, M>>> ManyListed(const View& view,
                                                              std::string_view sql,
                                                              const Args&... args) {
  return Many<std::pair<int64_t, M>>(
      view, sql,
      [](const Row& row) -> absl::StatusOr<std::pair<int64_t, M>> {
        ASSIGN_OR_RETURN(M message, ReadMessage<M>(row));
        return std::pair<int64_t, M>(row.Int(1), std::move(message));
      },
      args...);
}

// Runs an update that must hit something. NotFound, naming `what`, if it did not.
template <class... Args>
absl::Status Changed(Writer& writer, std::string_view what, std::string_view sql,
                     const Args&... args) {
  ASSIGN_OR_RETURN(const int64_t changed, writer.connection().Execute(sql, args...));
  if (changed == 0) return absl::NotFoundError(absl::StrCat(A(what), " does not exist"));
  return absl::OkStatus();
}

}  // namespace beamline::store
