"""The data plane: requests walk step programs over a few mechanisms.

Nothing here has heard of a layer, a cache or a database.  One mechanism a file; `loop`
maps each operation to its mechanism.  Only numpy and numba are imported.
"""
