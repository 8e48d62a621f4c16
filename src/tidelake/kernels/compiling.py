"""How kernels are compiled: once per machine, and again when any of them changed.

Numba keeps what it compiled beside the source, and compiles anew when that one file changed. But a compiled kernel
holds copies of those that it calls: when they stood in another file that changed, it went on with the old ones, without
a word (numba 0.68.1). So what is kept here is stamped with the text of all kernels.
"""

from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit

STAMP = sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


def kernel(function: Any = None, **options: Any) -> Any:
    """A decorator: the function compiled, kept, and run without Python's lock; `options` are those of `numba.njit`."""
    if function is None:
        return partial(kernel, **options)
    compiled = njit(cache=True, nogil=True, **options)(function)
    if compiled is not function:  # it is with NUMBA_DISABLE_JIT
        kept = compiled._cache._cache_file  # numba has no public way
        kept._source_stamp = (kept._source_stamp, STAMP)
    return compiled


# Inner functions are called by kernels alone: without a wrapper for Python they compile several times faster.
inner = partial(kernel, no_cpython_wrapper=True, no_cfunc_wrapper=True)
