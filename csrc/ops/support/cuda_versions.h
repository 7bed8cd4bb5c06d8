// The CUDA versions that decide whether a build runs on a machine, as 1000 major + 10 minor.
#pragma once

namespace fpd {

struct CudaVersions {
  int driver = 0;   // the newest that the machine's driver runs, 0 without one
  int runtime = 0;  // of the runtime in this build, 0 without one
};

namespace cuda {
CudaVersions versions();
}

}  // namespace fpd
