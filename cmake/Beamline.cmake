# What every target of this project shares: language, warnings, sanitizers, compiler cache, and the
# two functions with which folders declare libraries and tests.

include_guard(GLOBAL)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

get_filename_component(BEAMLINE_ROOT ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # What ccache's manual asks for where headers are precompiled.
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Paths in a release are relative, so that two checkouts build the same bytes.
add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;-Werror;-fno-omit-frame-pointer>"
                    $<$<CONFIG:Release>:-ffile-prefix-map=${BEAMLINE_ROOT}/=>)
# GCC 12 warns without cause of "text" + std::string() when it optimises (GCC bug 105651).
add_compile_options($<$<AND:$<CONFIG:Release>,$<COMPILE_LANG_AND_ID:CXX,GNU>>:-Wno-restrict>)
if(NOT BEAMLINE_SANITIZE)
  add_compile_options(-fstack-protector-strong)
  add_compile_definitions($<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
endif()
add_link_options(-Wl,-z,relro,-z,now)

set(BEAMLINE_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them: address,undefined or thread")
# Time limits of tests are multiplied by this.
set(BEAMLINE_TIME_FACTOR 1)
if(BEAMLINE_SANITIZE)
  set(BEAMLINE_TIME_FACTOR 5)
  add_compile_options(-fsanitize=${BEAMLINE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BEAMLINE_SANITIZE})
  # GCC's manual says itself that sanitizers make this warning speak without cause.
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>)
  # For code that needs to know: one name for all sanitizers and compilers.
  add_compile_definitions(BEAMLINE_SANITIZED=1)
endif()

option(BEAMLINE_FUZZ "Build what tests/fuzz tests as libFuzzer programs; needs clang" OFF)
if(BEAMLINE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# beamline_library(base SOURCES a.cc b.cc DEPS absl::status)
# makes beamline_base; includes are written from the project's root: "base/clock.h".
function(beamline_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(beamline_${name} STATIC ${ARG_SOURCES})
  target_include_directories(beamline_${name} PUBLIC ${BEAMLINE_ROOT})
  target_link_libraries(beamline_${name} PUBLIC ${ARG_DEPS})
endfunction()

# beamline_test(store/blob_store SOURCES blob_store_test.cc DEPS beamline_store [LABELS slow])
# makes one GoogleTest program and one ctest entry of that name. No-op without BEAMLINE_TESTS.
function(beamline_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  string(REPLACE "/" "_" target ${name}_test)
  add_executable(${target} ${ARG_SOURCES})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${target} PRIVATE ${BEAMLINE_ROOT})
  target_compile_definitions(${target} PRIVATE BEAMLINE_SOURCE_DIR="${BEAMLINE_ROOT}")
  target_link_libraries(${target} PRIVATE ${ARG_DEPS} GTest::gtest_main GTest::gmock)
  add_test(NAME ${name} COMMAND ${target})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  math(EXPR timeout "${ARG_TIMEOUT} * ${BEAMLINE_TIME_FACTOR}")
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} LABELS "${ARG_LABELS}")
endfunction()
