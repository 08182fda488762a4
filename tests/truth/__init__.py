"""Truth: facts that this project did not write, and how each is said as a scenario.

`*.json` are the facts, as data.  `case` reads them, `tolerance` reads how far a figure may be
off, `adapters` say a case as a scenario and measure it, `missing` says what cannot be said yet,
`verdict` judges, `fidelity` writes the table in docs/fidelity.md.
"""
