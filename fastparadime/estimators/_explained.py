"""What a fit of ParametricUMAP says of rows: how far to trust their places, which features move them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sklearn.utils.validation import check_is_fitted

from fastparadime import dr
from fastparadime.dr import RegionAttribution
from fastparadime.dr.attribution import by_region, jacobian
from fastparadime.estimators import _rows
from fastparadime.estimators._confidence import Confidence, confidence_of
from fastparadime.estimators._kinds import Kind
from fastparadime.estimators._landmarks import known_layout
from fastparadime.estimators._placement import PlacingNetworks


class ExplainedNetworks(PlacingNetworks):
    """`confidence` and `attribution` of a fit, by its trained network."""

    _known: Any  # of the estimator: how data comes in
    _validated: Any

    def confidence(self, X: Any) -> Confidence:
        """How far the places that `transform` gives rows can be trusted.

        A row of the fit is compared with the others.

        Parameters
        ----------
        X : (n_samples, n_features) array, tensor or data frame

        Returns
        -------
        Confidence
            Arrays of `kept_neighbors`, `distance_ratio` and `stability`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For data that is not as described, and after `load` of a file that has no landmarks.
        """
        check_is_fitted(self, "model_")
        table = self._validated(self._known(X), reset=False)
        layout = known_layout(self, None, "confidence")
        known = layout._kept_rows("confidence")
        there = layout._settings.device
        network = dr.apply_in_chunks(self.model_, known.data, "embed").to(there)
        fitted = replace(known, positions=network)
        rows, places = fitted.row_format.rows(table), self._placed(table).to(there)
        return confidence_of(fitted, layout._fitted_graph.nearest.distances, rows, places)

    def attribution(self, X: Any) -> Any:
        """Which features move each row: the exact Jacobian of the network's coordinates.

        Parameters
        ----------
        X : (n_samples, n_features) array, tensor or data frame

        Returns
        -------
        array (n_samples, n_components, n_features)
            The derivative of each coordinate in each feature, float32, or float64 for float64 data.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For data that is not as described.
        """
        check_is_fitted(self, "model_")
        X = self._known(X)
        table = self._validated(X, reset=False)
        return Kind.of(X).array(jacobian(self.model_, table), _rows.dtype_of_results(X))

    def attribution_by_region(self, X: Any, labels: Any) -> RegionAttribution:
        """Which features move the rows of each region: mean absolute values of `attribution`.

        Parameters
        ----------
        X : (n_samples, n_features) array, tensor or data frame
        labels : (n_samples,) array
            Of a class or a cluster; rows whose label is unknown are left out.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For data or labels that are not as described.
        """
        check_is_fitted(self, "model_")
        return by_region(self.model_, self._validated(self._known(X), reset=False), labels)
