# Warnings are errors in the presets only, so that a newer compiler never breaks a user's build.
option(TLSOAK_WERROR "Treat warnings as errors" OFF)
add_library(tlsoak_warnings INTERFACE)
target_compile_options(tlsoak_warnings INTERFACE -Wall -Wextra -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wformat=2 -Wunused-result -Wpointer-arith -Wwrite-strings -Wvla
  $<$<BOOL:${TLSOAK_WERROR}>:-Werror>)
