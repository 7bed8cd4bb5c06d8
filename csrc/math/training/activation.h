// Activations of a network, each with its slope from the same exponential.
#pragma once

#include "math/support/elementary.h"

namespace fpd {

enum class Activation { softplus, silu, relu };

struct ActivationTerm {
  float value;
  float slope;
};

// |z|, at most 87, by the arithmetic of its bits: a comparison in front of a logarithm is a branch
// to the vectoriser.
FPD_HD float capped_magnitude(float z) {
  const std::int32_t cap = bits_of(87.0f);
  const std::int32_t beyond = (bits_of(z) & 0x7fffffff) - cap;
  return float_of(cap + (beyond & (beyond >> 31)));
}

// The sigmoid of z, and e = exp(-|z|) that it is made of.
struct Sigmoid {
  float e;
  float value;
  FPD_HD explicit Sigmoid(float z) : e(exp_within(-capped_magnitude(z))) {
    const float upper = 1.0f / (1.0f + e);
    value = z < 0.0f ? e * upper : upper;
  }
};

struct Softplus {
  FPD_HD ActivationTerm operator()(float z) const {
    const Sigmoid sigmoid(z);
    return {0.5f * (z + std::fabs(z)) + log1p_fast(sigmoid.e), sigmoid.value};
  }
};

struct Silu {
  FPD_HD ActivationTerm operator()(float z) const {
    const float sigmoid = Sigmoid(z).value;
    return {z * sigmoid, sigmoid + z * sigmoid * (1.0f - sigmoid)};
  }
};

struct Relu {
  FPD_HD ActivationTerm operator()(float z) const {
    return {max_of(z, 0.0f), z > 0.0f ? 1.0f : 0.0f};
  }
};

// Calls body(function) with the activation's own type, for loops that are compiled for each.
template <typename Body>
void with_activation(Activation activation, const Body& body) {
  switch (activation) {
    case Activation::softplus: return body(Softplus{});
    case Activation::silu: return body(Silu{});
    case Activation::relu: return body(Relu{});
  }
}

}  // namespace fpd
