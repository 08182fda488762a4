"""What Strata costs, measured beside the simulators one would otherwise use.

`make bench` runs `speed`, `day`, `memory` and `slider` and writes `results.md`.
"""
