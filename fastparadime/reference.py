"""Another name of `fastparadime.ops.reference`."""

import sys

from fastparadime.ops import reference

sys.modules[__name__] = reference
