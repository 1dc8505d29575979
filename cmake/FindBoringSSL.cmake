# Finds BoringSSL and nothing else: plain find_package(OpenSSL) would silently accept OpenSSL.
# -DBORINGSSL_ROOT=DIR names an installation; without it the distribution's android package is used.
# Defines BoringSSL::ssl and BoringSSL::crypto.
include(FindPackageHandleStandardArgs)
include(CheckCSourceCompiles)
set(BORINGSSL_ROOT "" CACHE PATH "A BoringSSL installation (include/openssl, lib/libssl)")

if(BORINGSSL_ROOT)
  set(_only NO_DEFAULT_PATH)
  set(_inc ${BORINGSSL_ROOT}/include)
  set(_lib ${BORINGSSL_ROOT}/lib ${BORINGSSL_ROOT}/lib64 ${BORINGSSL_ROOT}/build)
else()
  set(_only NO_DEFAULT_PATH)
  set(_inc /usr/include/android)
  set(_lib /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android /usr/lib/android)
endif()
find_path(BORINGSSL_INCLUDE_DIR openssl/ssl.h PATHS ${_inc} ${_only})
find_library(BORINGSSL_SSL_LIBRARY ssl PATHS ${_lib} ${_only})
find_library(BORINGSSL_CRYPTO_LIBRARY crypto PATHS ${_lib} ${_only})

if(BORINGSSL_INCLUDE_DIR)
  file(STRINGS ${BORINGSSL_INCLUDE_DIR}/openssl/base.h _is REGEX "define OPENSSL_IS_BORINGSSL")
  if(NOT _is)
    message(FATAL_ERROR "${BORINGSSL_INCLUDE_DIR} holds OpenSSL, and tlsoak needs BoringSSL: "
      "install android-libboringssl-dev (./dev build does) or pass -DBORINGSSL_ROOT=DIR")
  endif()
endif()
find_package_handle_standard_args(BoringSSL
  REQUIRED_VARS BORINGSSL_SSL_LIBRARY BORINGSSL_CRYPTO_LIBRARY BORINGSSL_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install android-libboringssl-dev (./dev build does) or pass -DBORINGSSL_ROOT=DIR")

if(BoringSSL_FOUND AND NOT TARGET BoringSSL::crypto)
  find_package(Threads REQUIRED)
  add_library(BoringSSL::crypto UNKNOWN IMPORTED)
  set_target_properties(BoringSSL::crypto PROPERTIES
    IMPORTED_LOCATION ${BORINGSSL_CRYPTO_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${BORINGSSL_INCLUDE_DIR})
  target_link_libraries(BoringSSL::crypto INTERFACE Threads::Threads)
  if(BORINGSSL_CRYPTO_LIBRARY MATCHES "\\.a$") # a static BoringSSL needs the C++ runtime
    target_link_libraries(BoringSSL::crypto INTERFACE stdc++)
  endif()
  add_library(BoringSSL::ssl UNKNOWN IMPORTED)
  set_target_properties(BoringSSL::ssl PROPERTIES
    IMPORTED_LOCATION ${BORINGSSL_SSL_LIBRARY} INTERFACE_LINK_LIBRARIES BoringSSL::crypto)
endif()
