class Smoother:
    def __init__(self):
        self.level, self.trend, self.seen, self.spread = 0.0, 0.0, 0, 0.5

    def follow(self, sample):
        self.seen += 1
        if self.seen == 1:
            self.level = sample
            return sample
        expected = self.level + self.trend
        most = 2.5 * self.spread
        surprise = min(max(sample - expected, -most), most)
        self.spread += 0.05 * (abs(surprise) * 1.3 - self.spread)
        self.level = expected + 0.28 * surprise
        self.trend = 0.95 * self.trend + 0.03 * surprise
        return self.level
