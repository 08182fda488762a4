"""Studies: many runs that answer one question: what helps, is it real, what is cheapest."""
