# Manual pages and shell completion, made by the program from the data its --help is made of.
include(GNUInstallDirs)
set(RCL_DOCS ${PROJECT_BINARY_DIR}/docs)
add_custom_command(OUTPUT ${RCL_DOCS}/man1/reclaim.1
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${RCL_DOCS}
  COMMAND reclaim-cli --docs ${RCL_DOCS}
  DEPENDS reclaim-cli VERBATIM COMMENT "Writing manual pages and shell completion")
add_custom_target(docs ALL DEPENDS ${RCL_DOCS}/man1/reclaim.1)
install(DIRECTORY ${RCL_DOCS}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${RCL_DOCS}/bash/reclaim
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${RCL_DOCS}/zsh/_reclaim DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
