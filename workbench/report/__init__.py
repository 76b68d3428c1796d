"""A session as one page: facts out of its log, charts as SVG, HTML without outside resources."""
