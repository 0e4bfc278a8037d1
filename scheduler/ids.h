// Names of the things that the scheduler talks about, each a type of its own.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace beamline::scheduler {

// A name made by the caller: the same name means the same thing, also after a restart. Names are
// compared as bytes, which makes every tie-break independent of arrival, address and hash. Inside,
// the scheduler follows pointers; a name is looked up once per event. Immutable value.
template <class Tag>
struct Id {
  std::string value;

  Id() = default;
  explicit Id(std::string name) : value(std::move(name)) {}
  bool empty() const { return value.empty(); }
  auto operator<=>(const Id&) const = default;
};

using TaskId = Id<struct TaskTag>;
using RunId = Id<struct RunTag>;
using ProjectId = Id<struct ProjectTag>;
using WorkerId = Id<struct WorkerTag>;
// Unique on its worker, as the worker itself calls the device: "cuda:0", a GPU's or slice's UUID.
using DeviceId = Id<struct DeviceTag>;

// Bytes that tasks read and workers keep, by what they are: a digest.
using DataId = Id<struct DataTag>;

// The first eight bytes of a name, as a number. Names compare as these numbers do unless the
// numbers are equal: most comparisons of an ordered table need not look the name up.
template <class Tag>
uint64_t PrefixOf(const Id<Tag>& id) {
  uint64_t prefix = 0;
  for (size_t i = 0; i < 8; ++i) {
    prefix = prefix << 8 | (i < id.value.size() ? static_cast<unsigned char>(id.value[i]) : 0u);
  }
  return prefix;
}

// For hash tables that are only looked up, never iterated.
struct IdHash {
  template <class Tag>
  size_t operator()(const Id<Tag>& id) const {
    return std::hash<std::string>()(id.value);
  }
};

}  // namespace beamline::scheduler
