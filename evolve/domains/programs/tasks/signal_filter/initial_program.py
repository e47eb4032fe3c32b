"""Takes the noise out of a signal as it comes in, one sample at a time."""

# EVOLVE-BLOCK-START
LEVEL_GAIN = 0.7
"""How much of a surprise the level takes up."""
TREND_GAIN = 0.1
"""And the trend."""
DAMPING = 0.8
"""Of the trend, from one sample to the next."""
LARGEST_SURPRISE = 3.0
"""What a sample differs by at most; the rest is taken for an outlier."""


class Smoother:
    def __init__(self) -> None:
        self.level = 0.0
        self.trend = 0.0
        self.seen = 0

    def follow(self, sample: float) -> float:
        self.seen += 1
        if self.seen == 1:
            self.level = sample
            return sample
        expected = self.level + self.trend
        surprise = min(max(sample - expected, -LARGEST_SURPRISE), LARGEST_SURPRISE)
        self.level = expected + LEVEL_GAIN * surprise
        self.trend = DAMPING * self.trend + TREND_GAIN * surprise
        return self.level


# EVOLVE-BLOCK-END


class Filter:
    """One for each signal; `update` is given a sample and says what the signal is there, without its noise."""

    def __init__(self) -> None:
        self._smoother = Smoother()

    def update(self, sample: float) -> float:
        return self._smoother.follow(sample)
