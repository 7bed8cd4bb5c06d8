"""paraDime's palette, for plots of one's own; maps of classes have colours made for them."""

from __future__ import annotations

# paraDime's palette.json, (c) 2022 Andreas Hinterreiter, MIT licence; its names are kept, also where
# they do not say the colour.
_PARADIME = {
    "petrol": "#1c5c60", "yellow": "#ffcc00", "aqua": "#23c7a2", "red": "#ed3d3d",
    "pink": "#f7a3bf", "green": "#9d6700", "brown": "#91907e", "grey": "#579d04",
    "purple": "#a35c80", "orange": "#fd771e",
}  # fmt: skip


def get_color_palette() -> dict[str, str]:
    """Names and hex values of paraDime's palette, in its order.

    `scatterplot` colours classes by others, which colour-blind readers tell apart too; give
    ``list(get_color_palette().values())`` as `colormap` for these.
    """
    return dict(_PARADIME)
