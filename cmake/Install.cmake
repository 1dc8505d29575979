# cmake --install: binary, manual, completion, profiles, plots, licence; and cpack -G DEB of the same.  The binary keeps
# the path to a BoringSSL that the loader would not find, such as the distribution's.
include(GNUInstallDirs)
find_program(GZIP gzip REQUIRED)

# What tlsoak writes of itself: generated(FILE ARGUMENT...).
set(generated_files)
function(generated file)
  set(out ${PROJECT_BINARY_DIR}/share/${file})
  add_custom_command(OUTPUT ${out} COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/share
    COMMAND tlsoak help ${ARGN} > ${out} DEPENDS tlsoak VERBATIM)
  set(generated_files ${generated_files} ${out} PARENT_SCOPE)
endfunction()
function(generated_page file section)
  generated(${file} --man ${section})
  set(out ${PROJECT_BINARY_DIR}/share/${file})
  add_custom_command(OUTPUT ${out}.gz COMMAND ${GZIP} -9nkf ${out} DEPENDS ${out} VERBATIM)
  set(generated_files ${generated_files} ${out}.gz PARENT_SCOPE)
  install(FILES ${out}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endfunction()
generated_page(tlsoak.1 1)
generated_page(tlsoak.ini.5 5)
generated(completion.bash --completion bash)
generated(completion.zsh --completion zsh)
generated(completion.fish --completion fish)
add_custom_target(generated_share ALL DEPENDS ${generated_files})

set_target_properties(tlsoak PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS tlsoak RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_BINARY_DIR}/share/completion.bash RENAME tlsoak
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
# Debian's zsh looks in another folder for what comes in packages.
install(CODE "
  set(folder site-functions)
  if(CMAKE_INSTALL_PREFIX MATCHES \"/usr\$\" AND EXISTS /etc/debian_version)
    set(folder vendor-completions)
  endif()
  file(INSTALL ${PROJECT_BINARY_DIR}/share/completion.zsh RENAME _tlsoak
    DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/zsh/\${folder}\")")
install(FILES ${PROJECT_BINARY_DIR}/share/completion.fish RENAME tlsoak.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/profiles ${PROJECT_SOURCE_DIR}/plots DESTINATION ${CMAKE_INSTALL_DATADIR}/tlsoak)
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

get_filename_component(boringssl_dir ${BORINGSSL_SSL_LIBRARY} DIRECTORY)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "the tlsoak project")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${boringssl_dir})
set(CPACK_DEBIAN_PACKAGE_SUGGESTS gnuplot-nox)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "tlsoak soaks a server that speaks mutual TLS with rotating client
certificates, API keys and JSON Web Tokens, watches the server's memory, and
says whether it leaks, and per what.")
include(CPack)
