"""The modules a program may import: named functions of numpy and of a few pure modules, behind objects without attributes."""

from __future__ import annotations

import bisect
import collections
import collections.abc
import functools
import heapq
import itertools
import math
import operator
import random
import re
import string
from collections.abc import Mapping
from typing import Any

import numpy as np


class Namespace:
    """A read-only module: only the guard for attributes knows how to look inside."""

    __slots__ = ("_entries", "_name")

    def __init__(self, name: str, entries: Mapping[str, Any]):
        self._name, self._entries = name, entries

    def __repr__(self) -> str:
        return f"<module {self._name}>"


class Anything:
    """Stands for every name of `typing`: it can be subscripted, and means nothing."""

    __slots__ = ()

    def __getitem__(self, _: Any) -> Anything:
        return self

    def __or__(self, _: Any) -> Anything:
        return self

    __ror__ = __or__

    def __call__(self, *arguments: Any) -> Any:
        return arguments[-1] if arguments else self  # cast(type, value), TypeVar("T")


class Errstate:
    """numpy.errstate without its settings: warnings are off in the sandbox anyway."""

    __slots__ = ()

    def __init__(self, **_: Any):
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        pass


def nothing(*_: Any, **__: Any) -> None:
    pass


def words(names: str) -> frozenset[str]:
    return frozenset(names.split())


def pick(module: Any, names: str) -> dict[str, Any]:
    """The named members of a module, as far as this version of it has them."""
    return {name: getattr(module, name) for name in names.split() if hasattr(module, name)}


def same(function: Any = None, **_: Any) -> Any:
    return function


def zeros_like(array: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None) -> Any:
    return np.zeros_like(array, dtype=dtype, shape=shape)


NUMPY = {
    **pick(
        np,
        """abs absolute add all allclose amax amin any append apply_along_axis arange arccos arccosh arcsin arcsinh arctan
        arctan2 arctanh argmax argmin argpartition argsort argwhere around array array_equal array_split asarray
        ascontiguousarray atleast_1d atleast_2d atleast_3d average bincount bitwise_and bitwise_not bitwise_or bitwise_xor
        block bool bool_ broadcast_arrays broadcast_to cbrt ceil clip column_stack compress concat concatenate convolve copy
        copysign copyto corrcoef correlate cos cosh count_nonzero cov cross cumprod cumsum deg2rad delete diag diag_indices
        diag_indices_from diagflat diagonal diff digitize divide divmod dot double dtype dsplit dstack e ediff1d einsum equal exp
        exp2 expand_dims expm1 extract eye fabs fill_diagonal finfo flatnonzero flip fliplr flipud float16 float32 float64
        float_power floating floor floor_divide fmax fmin fmod frompyfunc fromfunction fromiter full full_like gcd generic
        geomspace gradient greater greater_equal heaviside histogram hsplit hstack hypot identity iinfo in1d indices inf
        inner insert int16 int32 int64 int8 int_ integer interp intersect1d intp inexact invert isclose isfinite isin isinf
        isnan isneginf isposinf isreal isscalar issubdtype ix_ kron lcm less less_equal lexsort linspace log log10 log1p
        log2 logaddexp logical_and logical_not logical_or logical_xor logspace mask_indices matmul max maximum mean median
        meshgrid mgrid min minimum mod moveaxis multiply nan nan_to_num nanargmax nanargmin nanmax nanmean nanmedian nanmin
        nanpercentile nanstd nansum nanvar ndarray ndenumerate ndim ndindex negative newaxis nonzero not_equal number
        object_ ogrid ones ones_like outer pad partition percentile pi piecewise place polyfit polyval positive power prod
        product ptp put put_along_axis putmask quantile rad2deg ravel reciprocal remainder repeat reshape resize rint roll
        rollaxis rot90 round round_ s_ searchsorted select setdiff1d setxor1d shape sign signbit sin sinc single sinh size
        sort split sqrt square squeeze stack std str_ subtract sum swapaxes take take_along_axis tan tanh tensordot tile
        trace transpose trapezoid trapz tri tril tril_indices tril_indices_from trim_zeros triu triu_indices
        triu_indices_from true_divide trunc uint16 uint32 uint64 uint8 union1d unique unravel_index ravel_multi_index
        unwrap vander var vdot vectorize vsplit vstack where zeros zeros_like""",
    ),
    # memory that was never written would make results random
    "empty": np.zeros,
    "empty_like": zeros_like,
    "errstate": Errstate,
    "seterr": nothing,
    "set_printoptions": nothing,
    "linalg": Namespace("numpy.linalg", pick(np.linalg, "norm det inv pinv solve eig eigh eigvals eigvalsh svd qr "
                                             "cholesky lstsq matrix_rank matrix_power multi_dot trace")),
    "char": Namespace("numpy.char", pick(np.char, "add capitalize count endswith equal find isalpha isalnum isdigit islower "
                                         "isspace istitle isupper lower lstrip not_equal replace rfind rstrip startswith "
                                         "str_len strip title upper")),
}  # fmt: skip

NUMPY_RANDOM = words(
    """beta binomial choice dirichlet exponential gamma geometric gumbel laplace logistic lognormal multinomial
multivariate_normal normal permutation poisson power rand randint randn random random_sample ranf rayleigh
sample seed shuffle standard_normal triangular uniform vonmises weibull integers permuted"""
)

PURE: dict[str, dict[str, Any]] = {
    "math": {name: value for name, value in vars(math).items() if not name.startswith("_")},
    "collections": pick(collections, "Counter OrderedDict defaultdict deque"),
    "itertools": pick(itertools, "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile "
                      "filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest"),
    "functools": pick(functools, "partial reduce cmp_to_key") | {"lru_cache": same, "cache": same},
    "operator": pick(operator, "add and_ eq ge gt itemgetter le lt mod mul ne neg not_ or_ sub truediv floordiv"),
    "bisect": pick(bisect, "bisect bisect_left bisect_right insort insort_left insort_right"),
    "heapq": pick(heapq, "heapify heappop heappush heappushpop heapreplace nlargest nsmallest"),
    "string": pick(string, "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable punctuation "
                   "whitespace"),
    "re": pick(re, "compile escape findall finditer fullmatch match search split sub subn")
    | {name: int(getattr(re, name)) for name in words("A ASCII I IGNORECASE M MULTILINE S DOTALL U UNICODE X VERBOSE")},
    "warnings": {"filterwarnings": nothing, "simplefilter": nothing, "warn": nothing},
    "dataclasses": {"dataclass": nothing},  # the policy rewrites the class and drops the decorator
}  # fmt: skip
RANDOM = words("choice choices gauss normalvariate randint random randrange sample seed shuffle uniform")
ABSTRACT = pick(
    collections.abc,
    "Callable Collection Container Generator Hashable Iterable Iterator Mapping MutableMapping MutableSequence MutableSet "
    "Reversible Sequence Set Sized",
)
TYPING = {
    **ABSTRACT,
    **dict.fromkeys(
        words("Any AnyStr Annotated ClassVar Final Literal Optional Text Type TypeAlias TypeVar Union cast"), Anything()
    ),
    "TYPE_CHECKING": False,
    "Dict": dict, "FrozenSet": frozenset, "List": list, "Set": set, "Tuple": tuple,
    "Counter": collections.Counter, "DefaultDict": collections.defaultdict, "Deque": collections.deque,
}  # fmt: skip
PURE |= {
    "collections.abc": ABSTRACT,
    "typing": TYPING,
    "numpy.typing": {"ArrayLike": Anything(), "NDArray": Anything()},
}


def random_state(seed: Any = 0) -> np.random.RandomState:
    return np.random.RandomState(0 if seed is None else seed)


def default_rng(seed: Any = 0) -> np.random.Generator:
    return np.random.default_rng(0 if seed is None else seed)


def python_random(seed: Any = 0) -> random.Random:
    return random.Random(0 if type(seed) not in (int, float, str) else seed)


STATE, SOURCE = np.random.RandomState(0), random.Random(0)
MODULES = {name: Namespace(name, entries) for name, entries in PURE.items()}
MODULES["collections"] = Namespace("collections", {**PURE["collections"], "abc": MODULES["collections.abc"]})
MODULES["numpy.linalg"], MODULES["numpy.char"] = NUMPY["linalg"], NUMPY["char"]
MODULES["numpy.random"] = Namespace("numpy.random", pick(STATE, " ".join(NUMPY_RANDOM)) | {
    "RandomState": random_state, "default_rng": default_rng, "Generator": np.random.Generator})  # fmt: skip
MODULES["random"] = Namespace("random", pick(SOURCE, " ".join(RANDOM)) | {"Random": python_random})
MODULES["numpy"] = Namespace("numpy", {**NUMPY, "random": MODULES["numpy.random"]})
IMPORTABLE = {name: frozenset(module._entries) for name, module in MODULES.items()}


def reseed() -> None:
    """Random numbers start from seed 0 in every call of a program."""
    STATE.seed(0)
    SOURCE.seed(0)
