// Distances between positions of a layout and their gradients in the first one, under umap-learn's
// names of its output metrics. In double: float32 would leave arccosh few digits near 1.
#pragma once

#include <cmath>
#include <cstdint>

namespace fpd {

constexpr double kLogTwoPi = 1.8378770664093454836;
constexpr double kLeastDeterminant = 1e-12;  // of a gaussian's covariance

inline double sign_of(double x) { return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : 0.0; }

// Each is called as metric(x, y, dim, gradient) and gives the distance. `project` brings a moved
// position back to where positions are.
struct FlatMetric {
  void project(float*, std::int64_t) const {}
};

// (sum w |x - y|^p)^(1/p).
struct Minkowski : FlatMetric {
  double p;
  const double* weights;  // (dim,)

  Minkowski(double power, const double* of_columns) : p(power), weights(of_columns) {}
  // Of a number that is not negative.
  static double raised(double x, double exponent) {
    return exponent == 0.0   ? 1.0
           : exponent == 1.0 ? x
           : exponent == 2.0 ? x * x
                             : std::pow(x, exponent);
  }
  double operator()(const double* x, const double* y, std::int64_t dim, double* gradient) const {
    double sum = 0.0;
    for (std::int64_t c = 0; c < dim; ++c) sum += weights[c] * raised(std::fabs(x[c] - y[c]), p);
    const double distance = p == 2.0 ? std::sqrt(sum) : raised(sum, 1.0 / p);
    const double scale = sum > 0.0 ? 1.0 / raised(distance, p - 1.0) : 0.0;
    for (std::int64_t c = 0; c < dim; ++c) {
      const double side = sign_of(x[c] - y[c]);
      gradient[c] = side * weights[c] * raised(std::fabs(x[c] - y[c]), p - 1.0) * scale;
    }
    return distance;
  }
};

struct Chebyshev : FlatMetric {
  double operator()(const double* x, const double* y, std::int64_t dim, double* gradient) const {
    std::int64_t widest = 0;
    for (std::int64_t c = 0; c < dim; ++c) {
      gradient[c] = 0.0;
      if (std::fabs(x[c] - y[c]) > std::fabs(x[widest] - y[widest])) widest = c;
    }
    gradient[widest] = sign_of(x[widest] - y[widest]);
    return std::fabs(x[widest] - y[widest]);
  }
};

// sqrt((x - y)^T M (x - y)) of a symmetric M.
struct Mahalanobis : FlatMetric {
  const double* matrix;  // (dim, dim)

  explicit Mahalanobis(const double* given) : matrix(given) {}
  double operator()(const double* x, const double* y, std::int64_t dim, double* gradient) const {
    double square = 0.0;
    for (std::int64_t i = 0; i < dim; ++i) {
      gradient[i] = 0.0;
      for (std::int64_t j = 0; j < dim; ++j) gradient[i] += matrix[i * dim + j] * (x[j] - y[j]);
      square += gradient[i] * (x[i] - y[i]);
    }
    const double distance = std::sqrt(square > 0.0 ? square : 0.0);
    for (std::int64_t i = 0; i < dim; ++i) {
      gradient[i] = distance > 0.0 ? gradient[i] / distance : 0.0;
    }
    return distance;
  }
};

// 1 - the cosine of rows, less their means where `centred`; 1 from a row of length zero, whose
// distance to another such row is 0.
struct Cosine : FlatMetric {
  bool centred;

  explicit Cosine(bool less_means) : centred(less_means) {}
  static double mean(const double* row, std::int64_t dim) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < dim; ++c) sum += row[c];
    return sum / static_cast<double>(dim);
  }
  double operator()(const double* x, const double* y, std::int64_t dim, double* gradient) const {
    const double mx = centred ? mean(x, dim) : 0.0, my = centred ? mean(y, dim) : 0.0;
    double dot = 0.0, xx = 0.0, yy = 0.0;
    for (std::int64_t c = 0; c < dim; ++c) {
      dot += (x[c] - mx) * (y[c] - my);
      xx += (x[c] - mx) * (x[c] - mx);
      yy += (y[c] - my) * (y[c] - my);
      gradient[c] = 0.0;
    }
    if (xx == 0.0 || yy == 0.0) return xx == yy ? 0.0 : 1.0;
    const double lengths = std::sqrt(xx * yy);
    for (std::int64_t c = 0; c < dim; ++c) {  // of centred rows the terms sum to zero
      gradient[c] = ((x[c] - mx) * dot / xx - (y[c] - my)) / lengths;
    }
    return 1.0 - dot / lengths;
  }
};

struct Canberra : FlatMetric {
  double operator()(const double* x, const double* y, std::int64_t dim, double* gradient) const {
    double sum = 0.0;
    for (std::int64_t c = 0; c < dim; ++c) {
      const double whole = std::fabs(x[c]) + std::fabs(y[c]), part = std::fabs(x[c] - y[c]);
      gradient[c] = 0.0;
      if (whole == 0.0) continue;
      sum += part / whole;
      gradient[c] = (sign_of(x[c] - y[c]) - part / whole * sign_of(x[c])) / whole;
    }
    return sum;
  }
};

struct BrayCurtis : FlatMetric {
  double operator()(const double* x, const double* y, std::int64_t dim, double* gradient) const {
    double part = 0.0, whole = 0.0;
    for (std::int64_t c = 0; c < dim; ++c) {
      part += std::fabs(x[c] - y[c]);
      whole += std::fabs(x[c] + y[c]);
    }
    const double distance = whole > 0.0 ? part / whole : 0.0;
    for (std::int64_t c = 0; c < dim; ++c) {
      const double slope = sign_of(x[c] - y[c]) - distance * sign_of(x[c] + y[c]);
      gradient[c] = whole > 0.0 ? slope / whole : 0.0;
    }
    return distance;
  }
};

// The angle between unit vectors of three dimensions; the gradient is tangent to the sphere.
struct Sphere {
  double operator()(const double* x, const double* y, std::int64_t, double* gradient) const {
    double chord = 0.0, dot = 0.0;
    for (int c = 0; c < 3; ++c) {
      chord += (x[c] - y[c]) * (x[c] - y[c]);
      dot += x[c] * y[c];
    }
    double length = 0.0;
    for (int c = 0; c < 3; ++c) {
      gradient[c] = dot * x[c] - y[c];
      length += gradient[c] * gradient[c];
    }
    length = std::sqrt(length);
    for (int c = 0; c < 3; ++c) gradient[c] = length > 0.0 ? gradient[c] / length : 0.0;
    return 2.0 * std::asin(std::fmin(1.0, std::sqrt(chord) / 2.0));
  }
  void project(float* row, std::int64_t) const {
    const double x = row[0], y = row[1], z = row[2], length = std::sqrt(x * x + y * y + z * z);
    if (length == 0.0) return;
    row[0] = static_cast<float>(x / length);
    row[1] = static_cast<float>(y / length);
    row[2] = static_cast<float>(z / length);
  }
};

// Hyperbolic distance; positions are the space-like coordinates of points on the hyperboloid.
struct Hyperboloid : FlatMetric {
  double operator()(const double* x, const double* y, std::int64_t dim, double* gradient) const {
    double xx = 1.0, yy = 1.0, dot = 0.0;
    for (std::int64_t c = 0; c < dim; ++c) {
      xx += x[c] * x[c];
      yy += y[c] * y[c];
      dot += x[c] * y[c];
    }
    const double s = std::sqrt(xx), t = std::sqrt(yy),
                 product = std::fmax(s * t - dot, 1.0 + 1e-12);
    const double scale = 1.0 / std::sqrt((product - 1.0) * (product + 1.0));
    for (std::int64_t c = 0; c < dim; ++c) gradient[c] = scale * (x[c] * t / s - y[c]);
    return std::acosh(product);
  }
};

// Minus the log of the overlap of two gaussians in the plane, whose positions are (mean, width).
struct SphericalGaussian : FlatMetric {
  double operator()(const double* x, const double* y, std::int64_t, double* gradient) const {
    const double u = x[0] - y[0], v = x[1] - y[1], square = u * u + v * v;
    const double width = std::fmax(std::fabs(x[2]) + std::fabs(y[2]), kLeastDeterminant);
    gradient[0] = u / width;
    gradient[1] = v / width;
    gradient[2] = sign_of(x[2]) * (1.0 / width - square / (2.0 * width * width));
    return square / (2.0 * width) + std::log(width) + kLogTwoPi;
  }
};

// The same of (mean, width, height).
struct DiagonalGaussian : FlatMetric {
  double operator()(const double* x, const double* y, std::int64_t, double* gradient) const {
    double distance = kLogTwoPi;
    for (int c = 0; c < 2; ++c) {
      const double difference = x[c] - y[c], square = difference * difference;
      const double width = std::fmax(std::fabs(x[c + 2]) + std::fabs(y[c + 2]), kLeastDeterminant);
      distance += (square / width + std::log(width)) / 2.0;
      gradient[c] = difference / width;
      gradient[c + 2] = sign_of(x[c + 2]) * (1.0 / width - square / (width * width)) / 2.0;
    }
    return distance;
  }
};

// Of (mean, width, height, angle), the quadratic form and the log determinant counted twice, as
// umap-learn does.
struct Gaussian : FlatMetric {
  struct Covariance {
    double xx, xy, yy;

    static Covariance of(const double* row) {
      const double w = std::fabs(row[2]), h = std::fabs(row[3]);
      const double c = std::cos(row[4]), s = std::sin(row[4]);
      return {w * c * c + h * s * s, (w - h) * s * c, w * s * s + h * c * c};
    }
    double with(const Covariance& o) const { return xx * o.xx + 2.0 * xy * o.xy + yy * o.yy; }
  };

  double operator()(const double* x, const double* y, std::int64_t, double* gradient) const {
    const Covariance own = Covariance::of(x), other = Covariance::of(y);
    const double xx = own.xx + other.xx, xy = own.xy + other.xy, yy = own.yy + other.yy;
    const double determinant = std::fmax(xx * yy - xy * xy, kLeastDeterminant);
    const double u = x[0] - y[0], v = x[1] - y[1];
    const double su = (yy * u - xy * v) / determinant, sv = (xx * v - xy * u) / determinant;
    gradient[0] = 2.0 * su;
    gradient[1] = 2.0 * sv;
    const Covariance slope{yy / determinant - su * su, -xy / determinant - su * sv,
                           xx / determinant - sv * sv};
    const double c = std::cos(x[4]), s = std::sin(x[4]);
    const double spread = std::fabs(x[2]) - std::fabs(x[3]);
    gradient[2] = sign_of(x[2]) * slope.with({c * c, s * c, s * s});
    gradient[3] = sign_of(x[3]) * slope.with({s * s, -s * c, c * c});
    gradient[4] = spread * slope.with({-2.0 * s * c, c * c - s * s, 2.0 * s * c});
    return u * su + v * sv + std::log(determinant) + kLogTwoPi;
  }
};

// A function from outside. It gets copies, since it may write to them.
struct MetricFunction : FlatMetric {
  using Pointer = double (*)(double* x, double* y, std::int64_t dim, double* gradient);
  Pointer call;

  explicit MetricFunction(Pointer function) : call(function) {}
  double operator()(double* x, double* y, std::int64_t dim, double* gradient) const {
    return call(x, y, dim, gradient);
  }
};

}  // namespace fpd
