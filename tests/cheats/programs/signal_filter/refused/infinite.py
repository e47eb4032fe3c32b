class Smoother:
    def follow(self, sample):
        return 1e400
