# The CUDA half of _core: included where a CUDA compiler is at hand.

# Before enable_language, which would otherwise settle on its own default.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch
                  OUTPUT_VARIABLE known OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(wanted)
  foreach(arch 80 90 100 120)
    if(known MATCHES "compute_${arch}(\n|$)")
      list(APPEND wanted ${arch}-real)
      set(newest ${arch})
    endif()
  endforeach()
  set(CMAKE_CUDA_ARCHITECTURES ${wanted} ${newest}-virtual)
endif()
enable_language(CUDA)
# "native" is what the machine has.
string(REGEX REPLACE "^native$" "${CMAKE_CUDA_ARCHITECTURES_NATIVE}" FASTPARADIME_CUDA_ARCHITECTURES
                     "${CMAKE_CUDA_ARCHITECTURES}")
string(REPLACE ";" " " FASTPARADIME_CUDA_ARCHITECTURES "${FASTPARADIME_CUDA_ARCHITECTURES}")

target_sources(_core PRIVATE
  csrc/cuda/density.cu
  csrc/cuda/edge_loss.cu
  csrc/cuda/edge_sampler.cu
  csrc/cuda/gather_rows.cu
  csrc/cuda/graph_matmul.cu
  csrc/cuda/hidden_layers.cu
  csrc/cuda/nearest_by_cosines.cu
  csrc/cuda/nearest_in_tile.cu
  csrc/cuda/perplexity.cu
  csrc/cuda/rerank.cu
  csrc/cuda/segments.cu
  csrc/cuda/sgd_layout.cu
  csrc/cuda/smooth_knn.cu
  csrc/cuda/subgraph.cu
  csrc/cuda/symmetrize.cu)
# The target is older than the list of architectures, so it has not taken it over by itself.
set_target_properties(_core PROPERTIES
  CUDA_STANDARD 17
  CUDA_STANDARD_REQUIRED ON
  CUDA_RUNTIME_LIBRARY Static
  CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}")
target_compile_options(_core PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-O3 --expt-extended-lambda>)
if(FASTPARADIME_WERROR)
  target_compile_options(_core PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
endif()
