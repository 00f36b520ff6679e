"""Pages for a browser over a library: on one's own machine with `prowess web`, and for each project of a hub."""
