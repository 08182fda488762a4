"""Which Strata this is: reports and exports say so."""

VERSION = "0.1.0"
