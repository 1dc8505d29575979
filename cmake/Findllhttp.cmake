# llhttp: the installed library where the distribution has one, else the C sources that the
# package node-llhttp carries, compiled here.  Defines llhttp::llhttp.
include(FindPackageHandleStandardArgs)
find_path(LLHTTP_INCLUDE_DIR llhttp.h PATH_SUFFIXES llhttp PATHS /usr/share/include)
find_library(LLHTTP_LIBRARY llhttp)
find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
if(LLHTTP_LIBRARY)
  set(LLHTTP_FROM ${LLHTTP_LIBRARY})
elseif(LLHTTP_SOURCE_DIR)
  set(LLHTTP_FROM ${LLHTTP_SOURCE_DIR})
endif()
find_package_handle_standard_args(llhttp REQUIRED_VARS LLHTTP_FROM LLHTTP_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install node-llhttp (./dev build does)")
if(llhttp_FOUND AND NOT TARGET llhttp::llhttp)
  if(LLHTTP_LIBRARY)
    add_library(llhttp::llhttp UNKNOWN IMPORTED)
    set_target_properties(llhttp::llhttp PROPERTIES IMPORTED_LOCATION ${LLHTTP_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${LLHTTP_INCLUDE_DIR})
  else()
    add_library(llhttp_packaged STATIC ${LLHTTP_SOURCE_DIR}/llhttp.c ${LLHTTP_SOURCE_DIR}/api.c
      ${LLHTTP_SOURCE_DIR}/http.c)
    target_include_directories(llhttp_packaged SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
    target_compile_options(llhttp_packaged PRIVATE -w)
    add_library(llhttp::llhttp ALIAS llhttp_packaged)
  endif()
endif()
