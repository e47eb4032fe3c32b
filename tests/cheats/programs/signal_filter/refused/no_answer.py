class Smoother:
    def follow(self, sample):
        return None
