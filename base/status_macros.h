// Early return for absl::Status and absl::StatusOr, so that error handling does not nest.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define RETURN_IF_ERROR(expression)                                           \
  do {                                                                        \
    if (absl::Status beamline_status = (expression); !beamline_status.ok()) { \
      return beamline_status;                                                 \
    }                                                                         \
  } while (false)

#define BEAMLINE_CONCAT_INNER(a, b) a##b
#define BEAMLINE_CONCAT(a, b) BEAMLINE_CONCAT_INNER(a, b)

// ASSIGN_OR_RETURN(const Run run, store.GetRun(id));
#define ASSIGN_OR_RETURN(declaration, expression) \
  BEAMLINE_ASSIGN_OR_RETURN(BEAMLINE_CONCAT(beamline_or_, __LINE__), declaration, expression)
#define BEAMLINE_ASSIGN_OR_RETURN(temporary, declaration, expression) \
  auto temporary = (expression);                                      \
  if (!temporary.ok()) {                                              \
    return temporary.status();                                        \
  }                                                                   \
  declaration = std::move(temporary).value()
