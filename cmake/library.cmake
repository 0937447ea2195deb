# libreclaim for programs that embed it: shared and static, the header, and what makes pkg-config,
# CMake and man find them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# An -fsanitize build leaves the sanitizer's own symbols to the program.
string(FIND "${CMAKE_C_FLAGS}" "-fsanitize" RCL_SANITIZED)

add_library(reclaim-shared SHARED $<TARGET_OBJECTS:rcl_engine>)
set(RCL_MAP ${PROJECT_SOURCE_DIR}/cmake/libreclaim.map)
target_link_options(reclaim-shared PRIVATE -Wl,--version-script=${RCL_MAP} -Wl,-z,now,-z,relro)
if(RCL_SANITIZED EQUAL -1)
  target_link_options(reclaim-shared PRIVATE -Wl,-z,defs)
endif()
set_target_properties(reclaim-shared PROPERTIES OUTPUT_NAME reclaim EXPORT_NAME reclaim
  LINKER_LANGUAGE C VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS ${RCL_MAP})
target_link_libraries(reclaim-shared PRIVATE rcl_host_libs)

add_library(reclaim-static STATIC $<TARGET_OBJECTS:rcl_engine>)
set_target_properties(reclaim-static PROPERTIES OUTPUT_NAME reclaim EXPORT_NAME static
  LINKER_LANGUAGE C)
target_link_libraries(reclaim-static INTERFACE Threads::Threads $<BUILD_INTERFACE:rcl_host_libs>)
foreach(module ${RCL_HOST_MODULES})
  target_link_libraries(reclaim-static INTERFACE
    $<INSTALL_INTERFACE:PkgConfig::RCL_HOST_${module}>)
endforeach()

foreach(kind shared static)
  target_include_directories(reclaim-${kind} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
# The same names in a build that has this one inside (add_subdirectory).
add_library(reclaim::reclaim ALIAS reclaim-shared)
add_library(reclaim::static ALIAS reclaim-static)

install(TARGETS reclaim-shared reclaim-static EXPORT reclaim)
install(FILES include/reclaim/reclaim.h include/reclaim/inline.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reclaim)

# pkg-config
string(REPLACE ";" " " RCL_PC_REQUIRES "${RCL_HOST_MODULES}")
file(RELATIVE_PATH RCL_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/libreclaim.pc.in libreclaim.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/libreclaim.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# find_package(reclaim)
set(RCL_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/reclaim)
configure_package_config_file(cmake/reclaim-config.cmake.in reclaim-config.cmake
  INSTALL_DESTINATION ${RCL_PACKAGE_DIR} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a new minor version may change what programs see.
write_basic_package_version_file(reclaim-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/reclaim-config.cmake
  ${PROJECT_BINARY_DIR}/reclaim-config-version.cmake DESTINATION ${RCL_PACKAGE_DIR})
install(EXPORT reclaim NAMESPACE reclaim:: FILE reclaim-targets.cmake
  DESTINATION ${RCL_PACKAGE_DIR})

# Manual pages of the functions, from the header's comments.
set(RCL_MAN3 ${PROJECT_BINARY_DIR}/man3)
file(STRINGS src/cli/cli.h RCL_DATE REGEX "define RCL_VERSION_DATE")
string(REGEX REPLACE ".*\"(.*)\"" "\\1" RCL_DATE "${RCL_DATE}")
add_custom_command(OUTPUT ${RCL_MAN3}/reclaim.3
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${RCL_MAN3}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${RCL_MAN3}
  COMMAND awk -v folder=${RCL_MAN3} -v date=${RCL_DATE}
    -f ${PROJECT_SOURCE_DIR}/cmake/man3.awk
    ${PROJECT_SOURCE_DIR}/include/reclaim/reclaim.h
  DEPENDS include/reclaim/reclaim.h cmake/man3.awk VERBATIM
  COMMENT "Writing the functions' manual pages")
add_custom_target(man3 ALL DEPENDS ${RCL_MAN3}/reclaim.3)
install(DIRECTORY ${RCL_MAN3} DESTINATION ${CMAKE_INSTALL_MANDIR})
