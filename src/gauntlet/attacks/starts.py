"""The random starts of an attack on many images, drawn batch by batch: the numbers are those of one draw.

So how many images fit a device changes no start, and no start waits in memory for its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gauntlet.attacks.norms import ball

#: Images whose numbers are drawn together. A multiple of 16: torch draws normal numbers by sixteens.
BLOCK = 64


class Starts:
    """The starts of one restart, given out in rising order of their images.

    Args:
        norm: of the ball.
        radius: of the ball.
        streams: the random numbers of every image, one stream per entry of the ball's ``draws``.
    """

    def __init__(self, norm: str, radius: float, streams: list[_Stream]):
        self.ball, self.radius, self.streams = ball(norm), radius, streams

    def around(self, x: Tensor, places: Tensor) -> Tensor:
        """Starts near ``x`` (b, C, H, W), the images at ``places`` (b,): ascending, and behind all that were
        asked for before."""
        return self.ball.begin(x, self.radius, *(stream.take(places) for stream in self.streams))


def starts(
    norm: str, radius: float, like: Tensor, count: int, restarts: int, generator: torch.Generator
) -> Iterator[Starts]:
    """``restarts`` times the starts of ``count`` images: what ``ball(norm).start`` draws for all at once, one
    restart after the other.

    Args:
        like: (any, C, H, W), for the shape and type of an image.
        generator: CPU generator; restarts that have been given out need it no more, but the last.
    """
    kinds = ball(norm).draws
    for restart in range(restarts):
        streams = []
        for kind, (draw, per_pixel) in enumerate(kinds):
            stream = _Stream(draw, like.shape[1:] if per_pixel else (), like.dtype, count, generator)
            last = restart == restarts - 1 and kind == len(kinds) - 1
            streams.append(stream if last else stream.ahead())
        yield Starts(norm, radius, streams)


class _Stream:
    """``draw((count, *shape))`` in blocks."""

    def __init__(
        self,
        draw: Callable[..., Tensor],
        shape: tuple[int, ...],
        dtype: torch.dtype,
        count: int,
        generator: torch.Generator,
    ):
        self.draw, self.shape, self.dtype, self.count = draw, shape, dtype, count
        self.generator = generator
        self.first, self.block = 0, torch.empty((0, *shape), dtype=dtype)

    def ahead(self) -> _Stream:
        """The same stream with a generator of its own; that of this one goes behind it."""
        own = torch.Generator()
        own.set_state(self.generator.get_state())
        while self.first + len(self.block) < self.count:
            self._next()
        return _Stream(self.draw, self.shape, self.dtype, self.count, own)

    def take(self, places: Tensor) -> Tensor:
        """(b, ...) the numbers of the images at ``places`` (b,), ascending and not before the last ones."""
        places, found = places.cpu(), []
        while len(places):
            inside = places < self.first + len(self.block)
            found.append(self.block[places[inside] - self.first])
            places = places[~inside]
            if len(places):
                self._next()
        return torch.cat(found)

    def _next(self) -> None:
        self.first += len(self.block)
        size = min(BLOCK, self.count - self.first)
        self.block = self.draw((size, *self.shape), generator=self.generator, dtype=self.dtype)
