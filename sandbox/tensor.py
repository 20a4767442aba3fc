"""A stand-in for the integer tensors that a tokenizer returns, and for what programs make of them before they turn to numpy."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

WHOLE = (bool, int, np.bool_, np.integer)


def plain(value: Any) -> Any:
    """The numpy array within a tensor; any other value as it is."""
    return value._array if type(value) is Tensor else value


def compared(compare: Callable[[Any, Any], Any]) -> Callable[[Tensor, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        other = plain(other)
        if not isinstance(other, (*WHOLE, float, np.floating, np.ndarray)):
            return NotImplemented  # of strings, None and lists a tensor is neither equal nor unequal: Python decides
        return Tensor(compare(self._array, other))

    return method


def computed(compute: Callable[[Any, Any], Any], turned: bool = False) -> Callable[[Tensor, Any], Any]:
    """Arithmetic: fractions are in single precision, as tensors hold them, beside anything but an array of doubles."""

    def method(self: Tensor, other: Any) -> Any:
        kinds = (*WHOLE, float, np.floating) if turned else (*WHOLE, float, np.floating, np.ndarray, Tensor)
        if not isinstance(other, kinds):
            return NotImplemented
        double = isinstance(other, np.ndarray) and other.dtype == np.float64
        other = plain(other)
        result = np.asarray(compute(other, self._array) if turned else compute(self._array, other))
        return Tensor(result.astype(np.float32) if result.dtype.kind == "f" and not double else result)

    return method


def joined(join: Callable[[Any, Any], Any]) -> Callable[[Tensor, Any], Any]:
    """& | ^, which do not mind the order; real tensors answer nonsense beside an array."""

    def method(self: Tensor, other: Any) -> Any:
        if type(other) is not Tensor and not isinstance(other, WHOLE):
            return NotImplemented
        return Tensor(join(self._array, plain(other)))

    return method


class Tensor:
    """Whole numbers, truth values or fractions in any number of dimensions. Elements are tensors without dimensions."""

    __slots__ = ("_array",)
    __array_priority__ = 1000  # an array beside a tensor leaves the operation to the tensor

    def __init__(self, values: Any):
        self._array = np.asarray(values)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def T(self) -> Tensor:
        return Tensor(self._array.T)

    def dim(self) -> int:
        return self._array.ndim

    def size(self, dim: int | None = None) -> Any:
        return self._array.shape if dim is None else self._array.shape[dim]

    def numel(self) -> int:
        return self._array.size

    def item(self) -> Any:
        if self._array.size != 1:
            raise ValueError("only a tensor of one element can be converted to a number")
        return self._array.item()

    def tolist(self) -> Any:
        return self._array.tolist()

    def numpy(self) -> np.ndarray:
        return self._array.copy()

    def squeeze(self, dim: int | None = None) -> Tensor:
        if dim is None:
            return Tensor(self._array.squeeze())
        return Tensor(self._array.squeeze(dim) if self._array.shape[dim] == 1 else self._array)

    def unsqueeze(self, dim: int) -> Tensor:
        return Tensor(np.expand_dims(self._array, dim))

    def view(self, *shape: Any) -> Tensor:
        if not shape or not all(isinstance(n, (int, tuple, list)) for n in shape):
            raise TypeError("view takes whole numbers in the sandbox")
        return Tensor(self._array.reshape(*shape))

    reshape = view

    def flatten(self) -> Tensor:
        return Tensor(self._array.ravel())

    def t(self) -> Tensor:
        if self._array.ndim > 2:
            raise ValueError("t() takes a tensor of at most two dimensions")
        return Tensor(self._array.T)

    def detach(self) -> Tensor:
        return self

    cpu = clone = contiguous = detach

    def long(self) -> Tensor:
        return Tensor(self._array.astype(np.int64))

    def int(self) -> Tensor:
        return Tensor(self._array.astype(np.int32))

    def float(self) -> Tensor:
        return Tensor(self._array.astype(np.float32))

    def double(self) -> Tensor:
        return Tensor(self._array.astype(np.float64))

    def bool(self) -> Tensor:
        return Tensor(self._array.astype(np.bool_))

    def sum(self, dim: Any = None) -> Tensor:
        whole = self._array.dtype.kind in "ib"
        return Tensor(self._array.sum(dim, dtype=np.int64 if whole else None))

    def any(self, dim: Any = None) -> Tensor:
        return Tensor(self._array.any(dim))

    def all(self, dim: Any = None) -> Tensor:
        return Tensor(self._array.all(dim))

    def max(self) -> Tensor:
        return Tensor(self._array.max())

    def min(self) -> Tensor:
        return Tensor(self._array.min())

    def eq(self, other: Any) -> Any:
        return self == other

    def ne(self, other: Any) -> Any:
        return self != other

    def nonzero(self, as_tuple: Any = False) -> Any:
        if as_tuple:
            return tuple(Tensor(found) for found in self._array.nonzero())
        return Tensor(np.argwhere(self._array))

    def __len__(self) -> Any:
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if self._array.ndim == 0:
            raise TypeError("iteration over a tensor without dimensions")
        return (Tensor(part) for part in self._array)

    def __getitem__(self, at: Any) -> Tensor:
        if isinstance(at, slice) and at.step is not None and at.step < 0:
            raise ValueError("a tensor cannot be sliced with a step below 0")
        index = tuple(map(plain, at)) if isinstance(at, tuple) else plain(at)
        return Tensor(self._array[index])

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self._array.astype(dtype or self._array.dtype)

    def __contains__(self, value: object) -> Any:
        if not isinstance(plain(value), (*WHOLE, float, np.floating)) and type(value) is not Tensor:
            raise TypeError("a tensor contains numbers and tensors alone")
        return bool(np.any(self._array == plain(value)))

    def __bool__(self) -> Any:
        if self._array.size != 1:
            raise ValueError("the truth value of a tensor of other than one element is ambiguous")
        return bool(self._array.item())

    def __int__(self) -> Any:
        return int(self.item())

    def __float__(self) -> Any:
        return float(self.item())

    def __index__(self) -> Any:
        if self._array.dtype.kind not in "ib":
            raise TypeError("only tensors of whole numbers can be used as an index")
        return int(self.item())

    __eq__, __ne__ = compared(operator.eq), compared(operator.ne)  # type: ignore[assignment]
    __lt__, __le__ = compared(operator.lt), compared(operator.le)
    __gt__, __ge__ = compared(operator.gt), compared(operator.ge)
    __add__, __radd__ = computed(operator.add), computed(operator.add, True)
    __sub__, __rsub__ = computed(operator.sub), computed(operator.sub, True)
    __mul__, __rmul__ = computed(operator.mul), computed(operator.mul, True)
    __truediv__, __rtruediv__ = computed(operator.truediv), computed(operator.truediv, True)
    __mod__, __floordiv__ = computed(operator.mod), computed(operator.floordiv)
    __and__, __rand__ = joined(operator.and_), joined(operator.and_)
    __or__, __ror__ = joined(operator.or_), joined(operator.or_)
    __xor__, __rxor__ = joined(operator.xor), joined(operator.xor)

    def __invert__(self) -> Tensor:
        return Tensor(~self._array)

    def __neg__(self) -> Tensor:
        return Tensor(-self._array)

    def __abs__(self) -> Tensor:
        return Tensor(abs(self._array))

    def __hash__(self) -> Any:
        # Real ones hash by identity: no two are the same key, which no program means.
        raise TypeError("a tensor is no key of a set or dict: take .item() or int()")

    def __repr__(self) -> str:
        return f"tensor({self._array.tolist()})"

    __str__ = __repr__

    def __format__(self, how: str) -> str:
        return format(self.item(), how) if self._array.ndim == 0 else format(repr(self), how)
