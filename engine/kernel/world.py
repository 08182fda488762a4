"""The world: every table of one run, passed around as one pointer.

In Python a `World` is an object with an array an attribute.  Compiled, it is a pointer to
`heads`, four numbers an array: where its rows are, and its shape.  `world.tokens` then
builds the array's view on the spot.  Passing forty arrays from function to function
instead made the loop take 100 s to compile; and a view that is built here owns nothing,
so no references are counted.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype
from numba.core import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np.arrayobj import populate_array

from engine.kernel.tables import TABLES

HEAD = 4  # address, and up to three dimensions
ARRAYS = {
    name: types.Array(from_dtype(np.dtype(dtype)), dimensions, "C")
    for name, (dtype, dimensions) in TABLES.items()
}
PLACE = {name: HEAD * index for index, name in enumerate(TABLES)}


class World:
    """All state of one run; every attribute is an array, so a run can pause and go on."""

    def __init__(self, **arrays: np.ndarray) -> None:
        if set(arrays) != set(TABLES):
            raise TypeError(f"a world has the tables {set(TABLES) ^ set(arrays)} too")
        self.heads = np.zeros(HEAD * len(TABLES), np.int64)
        self.address = self.heads.ctypes.data
        for name, array in arrays.items():
            self.replace(name, array)

    def replace(self, name: str, array: np.ndarray) -> None:
        """Put another array in a table's place."""
        dtype, dimensions = TABLES[name]
        if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous:
            raise TypeError(f"{name} is {array.dtype} × {array.ndim}, not {dtype} × {dimensions}")
        setattr(self, name, array)
        self.heads[PLACE[name]] = array.ctypes.data
        self.heads[PLACE[name] + 1 : PLACE[name] + 1 + array.ndim] = array.shape

    def __getattr__(self, name: str) -> Any:
        """Tell the type checker that tables are attributes; a missing one is an error."""
        raise AttributeError(name)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield every table."""
        return (getattr(self, name) for name in TABLES)


class WorldType(types.Type):
    """The compiled type of a `World`."""

    def __init__(self) -> None:
        super().__init__(name="World")


WORLD = WorldType()


@typeof_impl.register(World)
def _typeof(value: World, context: object) -> WorldType:
    return WORLD


@register_model(WorldType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


@unbox(WorldType)
def _unbox(kind: Any, thing: Any, c: Any) -> NativeValue:
    number = c.pyapi.object_getattr_string(thing, "address")
    address = c.pyapi.long_as_longlong(number)
    c.pyapi.decref(number)
    return NativeValue(c.builder.inttoptr(address, ir.IntType(64).as_pointer()))


@infer_getattr
class _Attributes(AttributeTemplate):
    key = WorldType

    def generic_resolve(self, world: Any, name: str) -> Any:
        return ARRAYS.get(name)


@lower_getattr_generic(WorldType)
def _table(context: Any, builder: Any, kind: Any, world: Any, name: str) -> Any:
    array_type = ARRAYS[name]

    def head(offset: int) -> Any:
        place = builder.gep(world, [ir.Constant(ir.IntType(32), PLACE[name] + offset)])
        loaded = builder.load(place)
        # The heads stay as they are for the whole call, so LLVM may read each but once.
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded

    array = context.make_array(array_type)(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    shape = [head(1 + axis) for axis in range(array_type.ndim)]
    step = ir.Constant(ir.IntType(64), size)
    strides = [step]
    for extent in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], extent))
    populate_array(
        array,
        data=builder.inttoptr(head(0), array.data.type),
        shape=shape,
        strides=strides,
        itemsize=step,
        meminfo=None,
    )
    return array._getvalue()
