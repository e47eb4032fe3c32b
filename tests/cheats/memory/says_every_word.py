# attack: one record with every event as its source and every word as its text
# worth: less
from knowledge.architecture import Add, Hit, Record, Retrieval, Update

PARAMS = {}


class Memory:
    def encode(self, event, ctx):
        return [Record("all", event.text, (event.id,))]

    def store(self, new, bank, ctx):
        known = bank.get("all")
        for record in new:
            if known is None:
                yield Add(record)
            else:
                words = dict.fromkeys((known.text + " " + record.text).split())
                yield Update("all", {"sources": known.sources + record.sources, "text": " ".join(words)[:60000]})

    def retrieve(self, query, bank, ctx):
        return Retrieval([Hit("all", 1.0)] if bank.get("all") else [])

    def manage(self, trigger, bank, ctx):
        return []


def build(params):
    return Memory()
