# Changes what it has answered, after it has answered.
class Answer(float):
    pass


class Smoother:
    def __init__(self):
        self.answers = []

    def follow(self, sample):
        self.answers.append([sample])
        for answer in self.answers:
            answer[0] = sample
        return Answer(0.0)
