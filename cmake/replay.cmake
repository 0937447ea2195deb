# Runs on real memory, for the program. They need the general engine, and the program has the one
# that only simulates: so both are in it, this one behind the calls of src/replay/replay.h.
file(GLOB RCL_REPLAY_SOURCES CONFIGURE_DEPENDS src/replay/*.c)
add_library(rcl_replay_objects OBJECT ${RCL_REPLAY_SOURCES})
target_compile_definitions(rcl_replay_objects PRIVATE _GNU_SOURCE)
target_link_libraries(rcl_replay_objects PRIVATE rcl_flags rcl_host_libs)

add_library(rcl_replay INTERFACE)
if(NOT TARGET rcl_engine_sim)
  target_sources(rcl_replay INTERFACE $<TARGET_OBJECTS:rcl_replay_objects>)
  target_link_libraries(rcl_replay INTERFACE rcl_tools rcl_host_libs)
  return()
endif()
set(RCL_REPLAY_OBJECT ${PROJECT_BINARY_DIR}/rcl_replay.o)
add_custom_command(OUTPUT ${RCL_REPLAY_OBJECT}
  COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${RCL_REPLAY_OBJECT}
    $<TARGET_OBJECTS:rcl_replay_objects> $<TARGET_FILE:rcl_tools>
  COMMAND ${CMAKE_OBJCOPY} --keep-global-symbol=rcl_replay_run
    --keep-global-symbol=rcl_replay_device_like ${RCL_REPLAY_OBJECT}
  DEPENDS rcl_replay_objects $<TARGET_OBJECTS:rcl_replay_objects> rcl_tools
  COMMAND_EXPAND_LISTS VERBATIM COMMENT "Linking the engine for real memory into one object")
add_custom_target(rcl_replay_object DEPENDS ${RCL_REPLAY_OBJECT})
add_dependencies(rcl_replay rcl_replay_object)
target_link_libraries(rcl_replay INTERFACE ${RCL_REPLAY_OBJECT} rcl_host_libs)
