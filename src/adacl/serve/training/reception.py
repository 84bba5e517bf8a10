"""The images of a training, as a client sends them."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from adacl.data.arrays import SMALLEST_SET
from adacl.data.image_files import NoMemoryError
from adacl.data.images import decode
from adacl.errors import DataError, ImageError
from adacl.serve.problems import ProblemError, unscored
from adacl.serve.training.record import Training
from adacl.serve.uploads import Upload

log = logging.getLogger("adacl")


class Reception:
    """Receives the images of a training; used as an asynchronous context.

    What was received is removed again unless :meth:`complete` is reached.

    Parameters
    ----------
    training
        Whose images are received.
    folder
        That of the training, which is made.
    most_pixels
        Pixels that an image may have.
    receiving
        Holds the number of the training while its images are received.
    add
        Puts the training into the queue.
    """

    def __init__(
        self,
        training: Training,
        folder: Path,
        most_pixels: int,
        receiving: set[str],
        add: Callable[[Training], Awaitable[None]],
    ) -> None:
        self.training = training
        self._folder = folder
        self._most_pixels = most_pixels
        self._receiving = receiving
        self._add = add
        self._complete = False

    async def __aenter__(self) -> Reception:
        if not self._folder.parent.is_dir():
            log.warning("%s: was removed; trainings go to a new folder there", self._folder.parent)
        try:
            (self._folder / "images").mkdir(parents=True)
        except OSError as error:
            raise _no_room(error) from error
        self._receiving.add(self.training.id)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._receiving.discard(self.training.id)
        if not self._complete:
            await asyncio.to_thread(shutil.rmtree, self._folder, True)

    async def take(self, upload: Upload) -> None:
        """Keep an image, or note that it cannot be used.

        Raises
        ------
        ProblemError
            507 if the disk is full, 503 if the memory is.
        """
        try:
            await asyncio.to_thread(self._keep, upload)
        except NoMemoryError as error:
            raise unscored(upload.name, error) from error
        except ImageError as error:
            self.training.skipped.append({"name": upload.name, "detail": str(error)})
        except OSError as error:
            raise _no_room(error) from error
        else:
            self.training.images += 1
            self.training.names.append(upload.name)

    async def complete(self) -> Training:
        """Put the training into the queue.

        Raises
        ------
        ProblemError
            422 if there are too few images.
        """
        training = self.training
        if training.images < SMALLEST_SET:
            raise ProblemError(
                422,
                f"at least {SMALLEST_SET} normal images are needed, got {training.images} that "
                "can be used; a hundred or more are advisable",
                errors=training.skipped,
            )
        try:
            await self._add(training)
        except DataError as error:
            raise ProblemError(507, str(error)) from error
        self._complete = True
        return training

    def _keep(self, upload: Upload) -> None:
        decode(upload.name, upload.content, channels=3, most=self._most_pixels)
        path = self._folder / "images" / f"{self.training.images + 1:06}.png"
        path.write_bytes(upload.content)


def _no_room(error: OSError) -> ProblemError:
    return ProblemError(507, f"the images cannot be kept ({error.strerror})")
