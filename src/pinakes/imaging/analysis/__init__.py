"""Analysis of slides: arrays in, arrays and outlines out. It knows no database, and no network.

    ImageSource ── tissue.find ──> Tissue ── tiling.tiles_of ──> Tiles ── TileModel.score ──> scores ──> Findings

Its libraries are large: they are loaded in processes that analyse, never in the server.
"""
