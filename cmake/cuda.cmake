# The CUDA half of _core: included where a CUDA compiler is at hand.

# Before enable_language, which would otherwise settle on its own default.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT "$ENV{CUDAARCHS}" STREQUAL "")
  set(CMAKE_CUDA_ARCHITECTURES "$ENV{CUDAARCHS}")
endif()
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
string(REGEX REPLACE "^native$" "${CMAKE_CUDA_ARCHITECTURES_NATIVE}" CMAKE_CUDA_ARCHITECTURES
                     "${CMAKE_CUDA_ARCHITECTURES}")
# The products of warpgroups are part of sm_90a, which every chip of compute capability 9.0 has.
string(REGEX REPLACE "(^|;)90(;|$)" "\\190a-real;90-virtual\\2" CMAKE_CUDA_ARCHITECTURES
                     "${CMAKE_CUDA_ARCHITECTURES}")
string(REGEX REPLACE "(^|;)90-real(;|$)" "\\190a-real\\2" CMAKE_CUDA_ARCHITECTURES
                     "${CMAKE_CUDA_ARCHITECTURES}")
string(REGEX MATCH "90a" with_90a "${CMAKE_CUDA_ARCHITECTURES}")
string(REPLACE ";" " " FASTPARADIME_CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}")

target_sources(_core PRIVATE
  csrc/cuda/neighbors/nearest_by_cosines.cu
  csrc/cuda/neighbors/nearest_by_differences.cu
  csrc/cuda/neighbors/nearest_in_tile.cu
  csrc/cuda/neighbors/rerank.cu)
target_sources(_core PRIVATE
  csrc/cuda/graph/graph_matmul.cu
  csrc/cuda/graph/perplexity.cu
  csrc/cuda/graph/segments.cu
  csrc/cuda/graph/shared_neighbors.cu
  csrc/cuda/graph/smooth_knn.cu
  csrc/cuda/graph/subgraph.cu
  csrc/cuda/graph/symmetrize.cu)
target_sources(_core PRIVATE
  csrc/cuda/training/anchor_loss.cu
  csrc/cuda/training/anchor_modes.cu
  csrc/cuda/training/edge_loss.cu
  csrc/cuda/training/edge_sampler.cu
  csrc/cuda/training/edge_step.cu
  csrc/cuda/training/embed_rows.cu
  csrc/cuda/training/gather_rows.cu
  csrc/cuda/training/hidden_layers.cu)
target_sources(_core PRIVATE
  csrc/cuda/layout/density.cu
  csrc/cuda/layout/sgd_layout.cu)
target_sources(_core PRIVATE
  csrc/cuda/support/block.cu
  csrc/cuda/support/versions.cu)
# The target is older than the list of architectures, so it has not taken it over by itself.
set_target_properties(_core PROPERTIES
  CUDA_STANDARD 17
  CUDA_STANDARD_REQUIRED ON
  CUDA_RUNTIME_LIBRARY Static
  CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}")
target_compile_definitions(_core PRIVATE FPD_SM_90A=$<BOOL:${with_90a}>)
target_compile_options(_core PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-O3 --expt-extended-lambda>)
if(FASTPARADIME_WERROR)
  target_compile_options(_core PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
endif()
