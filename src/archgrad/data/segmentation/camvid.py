"""The eleven classes of CamVid (Brostow et al. 2009) as SegNet joins them (arXiv:1511.00561), and their colours."""

CAMVID_CLASSES = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)

CAMVID_PALETTE = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)
"""The red, green and blue of each class, those of SegNet's own pictures; CamVid's own Pavement is (0, 0, 192)."""

CAMVID_IGNORE = 11
"""The label of pixels without a class in SegNet's files."""
