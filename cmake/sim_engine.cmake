# The engine a second time, from the same sources, for programs all of whose machines are simulated:
# RCL_SIM_ONLY makes "is it threaded?" and "which platform?" constants (mm/lock.h, machine.h), and
# the whole engine is optimised when a program is linked, which takes ten seconds each. A quarter
# fewer instructions. Where it is not built (debug, sanitizers, -DRCL_SIM_ENGINE=OFF),
# rcl_tools_sim is the general engine under another name.
#
# A program that needs both (simulated machines and real memory) cannot link both libraries, since
# their symbols have the same names. Make one object of the general engine and of what runs on it
# with `ld -r`, leave only the entry global in it (`objcopy --keep-global-symbol=NAME`), and link
# that next to rcl_tools_sim.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT RCL_DEBUG_CHECKS)
  set(RCL_SIM_ENGINE_DEFAULT ON)
endif()
option(RCL_SIM_ENGINE "compile the engine a second time, for simulated machines alone"
  ${RCL_SIM_ENGINE_DEFAULT})
if(NOT RCL_SIM_ENGINE)
  add_library(rcl_tools_sim ALIAS rcl_tools)
  return()
endif()

file(GLOB RCL_SIM_ENGINE_SOURCES CONFIGURE_DEPENDS
  src/mm/*.c src/mm/*/*.c src/platform/*.c src/platform/sim/*.c src/sim/*.c)
file(GLOB RCL_SIM_OTHER_SOURCES CONFIGURE_DEPENDS
  src/trace/*.c src/report/*.c src/record/launch.c src/record/program.c src/api/stats_read.c)
add_library(rcl_engine_sim OBJECT ${RCL_SIM_ENGINE_SOURCES})
target_compile_definitions(rcl_engine_sim PRIVATE RCL_SIM_ONLY)
# (The general engine's atomic loads hide signs, so nobody sees what that warning says here.)
target_compile_options(rcl_engine_sim PRIVATE -Wall -Wextra -Wno-sign-compare -Werror -O3
  -fomit-frame-pointer)
target_include_directories(rcl_engine_sim PRIVATE src include)

add_library(rcl_tools_sim STATIC ${RCL_SIM_OTHER_SOURCES} $<TARGET_OBJECTS:rcl_engine_sim>)
target_compile_definitions(rcl_tools_sim INTERFACE RCL_SIM_ONLY)
target_link_libraries(rcl_tools_sim PUBLIC rcl_flags
  PRIVATE ZLIB::ZLIB PkgConfig::ZSTD PkgConfig::LZMA Threads::Threads m)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # clang's needs a linker of its own
  target_compile_options(rcl_engine_sim PRIVATE -flto -fno-fat-lto-objects)
  target_link_options(rcl_tools_sim INTERFACE -flto -flto-partition=one)
  # The plain ones do not see symbols in such objects.
  set(CMAKE_AR ${CMAKE_C_COMPILER_AR})
  set(CMAKE_RANLIB ${CMAKE_C_COMPILER_RANLIB})
endif()
