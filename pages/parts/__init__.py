"""What pages are made of: map, waterfall, charts, colours, words and the session's state."""
