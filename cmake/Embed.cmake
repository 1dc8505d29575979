# The profiles that commands run without a file (tlsoak demo) are compiled in: profiles/NAME.ini
# becomes `const char embedded_NAME_ini[]` in generated/embedded.h.
function(embed_profiles target)
  set(out ${PROJECT_BINARY_DIR}/generated/embedded.h)
  set(in ${PROJECT_SOURCE_DIR}/profiles/demo.ini)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${in} -DOUT=${out} -P ${PROJECT_SOURCE_DIR}/cmake/EmbedFile.cmake
    DEPENDS ${in} ${PROJECT_SOURCE_DIR}/cmake/EmbedFile.cmake)
  add_custom_target(embedded_profiles DEPENDS ${out})
  add_dependencies(${target} embedded_profiles)
endfunction()
