"""Errors raised by fastparadime, under paraDime's names, and its warnings."""


class NotTrainedError(Exception):
    """A routine was applied before it was trained."""


class RelationsNotComputedError(Exception):
    """Relation data was asked for before it was computed."""


class NoDatasetRegisteredError(Exception):
    """The dataset was asked for before any data was added."""


class LossNotDeterminedError(Exception):
    """A training phase's loss was asked for before it was determined."""


class UnsupportedConfigurationError(Exception):
    """Parameters or parts that do not work together."""


class SpecificationError(Exception):
    """A specification that cannot be read."""


class CheckpointError(ValueError):
    """A checkpoint that is damaged, of another run, or written by another process."""


class CUDANotAvailableError(Exception):
    """CUDA was asked for where the build or the machine has none."""


class ParameterError(TypeError, ValueError):
    """An estimator's parameter is of a wrong type, which umap-learn calls a ValueError."""


class DeviceMemoryError(MemoryError):
    """A stage of the work needed more memory than its device had."""


class TrainingDivergedError(ArithmeticError):
    """The loss of a training phase, or its gradient, is no longer finite."""


class RecallWarning(UserWarning):
    """A search for neighbours found less than the recall that was asked for."""


class PrecisionWarning(UserWarning):
    """Data lies so far from zero, or so wide, that float32 loses digits that matter."""


class SlowSearchWarning(UserWarning):
    """A search for neighbours is going to take long."""
