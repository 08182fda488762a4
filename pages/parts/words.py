"""Numbers as people read them, in the engine's words: reports say them as the screen does."""

from engine import words

SPACE = words.SPACE
dollars = words.dollars
figures = words.figures
milliseconds = words.milliseconds
per_second = words.per_second
percent = words.percent
plain = words.plain
