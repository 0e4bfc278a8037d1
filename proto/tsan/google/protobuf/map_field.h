// Found before protobuf's own header in builds with ThreadSanitizer. That header gives map fields
// two more members when the compiler says that ThreadSanitizer is on, but the distribution's
// library is built without it: both must see the same fields. All other headers may know.
#pragma once

// The standard library's headers ask the same macro, and must be told the truth.
#include <cstddef>

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
