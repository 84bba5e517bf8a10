"""The queue of the service, with a scorer whose speed and failures are known."""

import asyncio
import time
from types import SimpleNamespace

import numpy as np
import pytest

from adacl.data.images import Decoded
from adacl.data.pixels import ImageHeader
from adacl.model.scoring import ImageScore
from adacl.serve.batching import Batcher, Ticket
from adacl.serve.counters import Metrics
from adacl.serve.limits import Limits
from adacl.serve.problems import ProblemError
from adacl.serve.uploads import Upload

SECONDS = 0.01


class Known:
    """Scores an image as its number of bytes, in 10 ms; fails for 13, and remarks on 7."""

    at_once = 8

    def __init__(self):
        self.batches = []

    def decode(self, name, content, most):
        header, remark = ImageHeader(1, 1, 1, "uint8"), "unusual" if len(content) == 7 else ""
        return Decoded(header, np.array(len(content)), remark=remark)

    def score_decoded(self, images, threshold):
        self.batches.append(len(images))
        if 13 in images:
            raise RuntimeError("unlucky")
        time.sleep(SECONDS * len(images))
        return [ImageScore(float(image)) for image in images]


class ServedByHand:
    def __init__(self, scorer):
        self.scorer = scorer


def run(work, **limits):
    """Run ``work`` with a function that submits images, a batcher, and the scorer."""

    async def main():
        scorer = Known()
        served = ServedByHand(scorer)
        batcher = Batcher(Limits(**limits), Metrics(), workers=1)
        batcher.start()

        def submit(*sizes, gone=False):
            files = [Upload("a", bytes(size)) for size in sizes]
            done = asyncio.get_running_loop().create_future()
            batcher.submit(Ticket(served, False, files, SimpleNamespace(gone=gone), done))
            return done

        try:
            return await work(submit, batcher, scorer)
        finally:
            await asyncio.to_thread(batcher.close)

    return asyncio.run(main())


def raw(outcomes):
    return [outcome.score.raw for outcome in outcomes]


def test_each_fails_for_itself():
    async def work(submit, batcher, scorer):
        await submit(1)
        found = await asyncio.gather(
            *(submit(size) for size in (2, 13, 3)), submit(4, 5), return_exceptions=True
        )
        assert [raw(found[place]) for place in (0, 2, 3)] == [[2], [3], [4, 5]]
        assert isinstance(found[1], RuntimeError)

    run(work)


def test_waiting_images_share_a_batch():
    async def work(submit, batcher, scorer):
        waiting = [submit(size) for size in range(1, 12)]
        assert [raw(await done) for done in waiting] == [[size] for size in range(1, 12)]
        assert 1 < max(scorer.batches) <= scorer.at_once

    run(work)


def test_what_was_remarked_in_decoding_comes_with_the_score():
    async def work(submit, batcher, scorer):
        found = await submit(6, 7, 8)
        assert [outcome.score.remark for outcome in found] == ["", "unusual", ""]

    run(work)


def test_a_request_has_as_many_images_as_may_wait_and_no_more():
    async def work(submit, batcher, scorer):
        assert raw(await submit(*[1] * 10)) == [1] * 10
        with pytest.raises(ProblemError, match="0 images are waiting already"):
            submit(*[1] * 11)

    run(work, waiting=10, files=10)


def test_retry_after_follows_the_measured_rate():
    async def work(submit, batcher, scorer):
        await submit(*[1] * 20)
        waiting = submit(*[1] * 200)
        with pytest.raises(ProblemError, match="images are waiting already") as refused:
            submit(*[1] * 100)
        assert refused.value.status == 503
        expected = int(refused.value.headers["Retry-After"])
        started = time.monotonic()
        await waiting
        assert 2 <= expected <= 1 + 2 * (time.monotonic() - started)

    run(work, waiting=256)


def test_what_cannot_be_done_in_time_is_refused():
    async def work(submit, batcher, scorer):
        await submit(*[1] * 10)
        waiting = submit(*[1] * 100)
        with pytest.raises(ProblemError) as refused:
            submit(1)
        assert refused.value.status == 503
        await waiting
        assert raw(await submit(1)) == [1]

    run(work, seconds=0.5)


def test_clients_that_left_cost_nothing():
    async def work(submit, batcher, scorer):
        await submit(1)
        done = submit(*[1] * 60, gone=True)
        with pytest.raises(ProblemError, match="the client left") as first:
            await done
        with pytest.raises(ProblemError, match="the client left") as second:
            await submit(1, gone=True)
        assert first.value is not second.value, "one error would hold all bodies it ended"
        cancelled = submit(*[1] * 60)
        cancelled.cancel()
        assert raw(await submit(2)) == [2]
        assert sum(scorer.batches) <= 2 + scorer.at_once
        assert batcher.waiting == 0

    run(work)
