"""What pages are made of: the map, the waterfall, charts, colours, words and the session's state."""
