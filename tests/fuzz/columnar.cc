// Columnar files: what was read with all checks can be written again, to the same bytes.
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "engine/core/error.h"
#include "engine/data/columnar.h"
#include "tests/fuzz/fuzz.h"

namespace beamline::fuzz {

void Fuzz(std::string_view bytes) {
  constexpr std::align_val_t kAlignment{64};
  const std::shared_ptr<char> memory(
      static_cast<char*>(::operator new(bytes.size() + 1, kAlignment)),
      [](char* bytes_of) { ::operator delete(bytes_of, kAlignment); });
  if (!bytes.empty()) std::memcpy(memory.get(), bytes.data(), bytes.size());
  for (const bool verify : {true, false}) {
    Thrown<engine::Error>([&] {
      const engine::data::Dataset dataset = engine::data::ParseColumnar(
          {memory.get(), bytes.size()}, memory, {.verify = verify, .threads = 1});
      std::string again;
      const auto write = [&](std::string_view piece) { again += piece; };
      if (verify) {
        WriteColumnar(dataset.table, write);
        Require(again == bytes, "a columnar file is a function of its table");
      } else {
        // Reading stays within bounds, whatever the values are.
        Thrown<engine::Error>([&] { WriteColumnar(dataset.table, write); });
      }
    });
  }
}

}  // namespace beamline::fuzz
