"""What training kept of its phases: losses by epoch, for tables and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class History(list[dict[str, Any]]):
    """The phases run so far, in order: of each its 'name' and the 'losses' of its epochs."""

    @property
    def epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(len(run["losses"]) for run in self)

    def to_frame(self) -> pd.DataFrame:
        """One row for each epoch, as a data frame of pandas.

        Returns
        -------
        pandas.DataFrame
            With the columns 'epoch', counted from 0 through all phases, 'phase', the phase's
            number counted from 0, its 'name', and 'loss', the summed batch losses of the epoch.

        Raises
        ------
        ImportError
            Where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("to_frame needs pandas: pip install pandas") from None
        rows = [
            (number, run["name"], float(loss))
            for number, run in enumerate(self)
            for loss in run["losses"]
        ]
        frame = pd.DataFrame(rows, columns=["phase", "name", "loss"])
        frame.insert(0, "epoch", range(len(rows)))
        return frame.astype({"phase": "int64", "loss": "float64"})

    def __repr__(self) -> str:
        last = f", last loss {self[-1]['losses'][-1]:.4g}" if self and self[-1]["losses"] else ""
        names = ", ".join(str(run["name"]) for run in self)
        return f"History({len(self)} phases [{names}], {self.epochs} epochs{last})"
