"""The task's seed in every generator that was seeded when the image was made.

`random_get` is served from the seed by the host, so `os.urandom`, `secrets`, `uuid4`,
`random.SystemRandom` and an unseeded `numpy.random.default_rng()` need nothing here.
"""

import random
import sys

_SEED_NUMPY_MAX = 0xFFFF_FFFF

_generator = random._inst
_seed_python = super(random.Random, _generator).seed
_seed_numpy = None


def reseed(seed):
    """Up to 2³²−1 these are the numbers of `random.seed(seed)` and `numpy.random.seed(seed)`."""
    _seed_python(seed)
    _generator.gauss_next = None
    if _seed_numpy is not None:
        _seed_numpy(seed if seed <= _SEED_NUMPY_MAX else (seed ^ seed >> 32) & _SEED_NUMPY_MAX)


def learn_numpy():
    """Called when an image is made: from then on NumPy's global generator is seeded too."""
    global _seed_numpy
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        _seed_numpy = numpy_random.mtrand._rand.seed
