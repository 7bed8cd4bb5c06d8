# A core that a sanitizer watches: tests/sanitized.py builds it and runs the operations' tests with it.
set(FASTPARADIME_SANITIZE "" CACHE STRING "Sanitizer of the core: address, undefined, thread or none")
set_property(CACHE FASTPARADIME_SANITIZE PROPERTY STRINGS "" address undefined thread)
if(FASTPARADIME_SANITIZE)
  if(NOT FASTPARADIME_SANITIZE MATCHES "^(address|undefined|thread)$")
    message(FATAL_ERROR "FASTPARADIME_SANITIZE must be address, undefined, thread or empty, not "
                        "'${FASTPARADIME_SANITIZE}'")
  endif()
  # Python has no frame of the sanitizer: the library is loaded before it, so it must be shared.
  target_compile_options(_core PRIVATE -O1 -g -fno-omit-frame-pointer
    -fsanitize=${FASTPARADIME_SANITIZE} -fno-sanitize-recover=undefined)
  target_link_options(_core PRIVATE -fsanitize=${FASTPARADIME_SANITIZE})
  set_target_properties(_core PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
endif()
