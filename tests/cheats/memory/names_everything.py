# attack: one record that names every event as its source
# worth: nothing
from knowledge.architecture import Add, Hit, Record, Retrieval, Update

PARAMS = {}


class Memory:
    def encode(self, event, ctx):
        return [Record("all", "everything", (event.id,))]

    def store(self, new, bank, ctx):
        known = bank.get("all")
        for record in new:
            yield Update("all", {"sources": known.sources + record.sources}) if known else Add(record)

    def retrieve(self, query, bank, ctx):
        return Retrieval([Hit("all", 1.0)] if bank.get("all") else [])

    def manage(self, trigger, bank, ctx):
        return []


def build(params):
    return Memory()
