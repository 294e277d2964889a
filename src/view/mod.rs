//! Draws into textures: polylines, density, charts and image grids.
