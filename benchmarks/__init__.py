"""What Strata costs, measured beside the simulators one would otherwise use.

`make bench` runs `speed`, `memory` and `slider` and writes `results.md`.
"""
