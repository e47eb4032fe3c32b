"""The tables of a bank, and what each is: a truth, a projection of the log, or derived from those.

Truths are only ever added to: `events`, `receipts`, `receipt_items`, `log`. The state of a subject (`record ID`,
`credit ATTEMPT`, `link [SOURCE, REL, TARGET]`, `memory [ARCHITECTURE, RECORD]` and its kin) is the data of its last
line in the log; `records`, `credits`, `links` and `layer` hold that state, or where it is, where queries reach it.
Words, values and statistics follow from those and can be counted again.
"""

APPLICATION = 0x45564B42
"""`EVKB` in the header of every file of ours."""
VERSION = 3

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

-- Truth: what happened, as it was told. `record` holds what was learnt from it, `parent` is the event it continues.
CREATE TABLE events (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, task TEXT NOT NULL, time REAL NOT NULL, data TEXT NOT NULL,
    record TEXT, parent TEXT
);
CREATE INDEX events_parent ON events (parent) WHERE parent IS NOT NULL;
CREATE INDEX events_record ON events (record) WHERE record IS NOT NULL;

-- Truth: what was in front of whom.
CREATE TABLE receipts (
    attempt TEXT PRIMARY KEY, time REAL NOT NULL, task TEXT NOT NULL, stage TEXT NOT NULL, states TEXT NOT NULL
);
CREATE TABLE receipt_items (
    attempt TEXT NOT NULL REFERENCES receipts (attempt), rank INTEGER NOT NULL, item TEXT NOT NULL,
    similarity REAL NOT NULL, value REAL NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (attempt, rank)
) WITHOUT ROWID;
CREATE INDEX receipt_items_item ON receipt_items (item);

-- Truth: every change in order; AUTOINCREMENT so that no number is ever used twice. `data` is the subject's state
-- after it, null where the subject is gone.
CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, subject TEXT NOT NULL, what TEXT NOT NULL,
    why TEXT NOT NULL, data TEXT
);
CREATE INDEX log_subject ON log (subject, seq);

-- Projection: the line of the log at `seq` holds the rest. A row stays when its record is gone, so that `n` is stable.
CREATE TABLE records (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL,
    task TEXT NOT NULL, domain TEXT NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL, technique TEXT NOT NULL,
    hardware TEXT NOT NULL, score REAL, gain REAL, content TEXT NOT NULL, keyed TEXT NOT NULL, source TEXT NOT NULL,
    time REAL NOT NULL, expires REAL
);
CREATE INDEX records_seq ON records (seq);
CREATE INDEX records_content ON records (task, content);
CREATE INDEX records_keyed ON records (keyed);
CREATE INDEX records_expires ON records (expires) WHERE expires IS NOT NULL;
CREATE INDEX records_state ON records (domain, kind, state, task, score) WHERE status = 'active';
CREATE INDEX records_task ON records (domain, kind, task, score) WHERE status = 'active';
CREATE INDEX records_group ON records (domain, state, hardware);
CREATE INDEX records_status ON records (status, kind);

-- Projection.
CREATE TABLE links (
    source TEXT NOT NULL, rel TEXT NOT NULL, target TEXT NOT NULL, weight REAL NOT NULL,
    PRIMARY KEY (source, rel, target)
) WITHOUT ROWID;
CREATE INDEX links_target ON links (target, rel);

-- Projection: the line of the log at `seq` holds a record of an installed memory architecture, null where it is gone.
-- `item` is its name among all that can be recalled.
CREATE TABLE layer (
    n INTEGER PRIMARY KEY, item TEXT NOT NULL UNIQUE, architecture TEXT NOT NULL, id TEXT NOT NULL,
    seq INTEGER NOT NULL, UNIQUE (architecture, id)
);

-- Projection: how the attempts with a receipt went. `also` is credited too; `counts` is 0 once it was taken back.
CREATE TABLE credits (
    attempt TEXT PRIMARY KEY, time REAL NOT NULL, stage TEXT NOT NULL, raw REAL NOT NULL, credit REAL NOT NULL,
    advantage REAL NOT NULL, also TEXT, counts INTEGER NOT NULL
);
CREATE INDEX credits_also ON credits (also) WHERE also IS NOT NULL;
CREATE INDEX credits_stage ON credits (stage, time, attempt);

-- Derived from receipts and credits. State '*' is the value over all states.
CREATE TABLE item_values (
    item TEXT NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL, q REAL NOT NULL, total REAL NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (item, stage, state)
) WITHOUT ROWID;
-- Running mean and spread of a stage's rewards (`what` = 'reward') and credits ('credit').
CREATE TABLE norms (
    stage TEXT NOT NULL, what TEXT NOT NULL, mean REAL NOT NULL, m2 REAL NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (stage, what)
) WITHOUT ROWID;

-- Derived from records: how each technique fared. `changed` is the last change of the log that it has seen.
CREATE TABLE techniques (
    domain TEXT NOT NULL, state TEXT NOT NULL, technique TEXT NOT NULL, hardware TEXT NOT NULL, task TEXT NOT NULL,
    tries INTEGER NOT NULL, failures INTEGER NOT NULL, n INTEGER NOT NULL, weight REAL NOT NULL, failed REAL NOT NULL,
    gained REAL NOT NULL, total REAL NOT NULL, squares REAL NOT NULL, changed INTEGER NOT NULL,
    PRIMARY KEY (domain, state, technique, hardware, task)
) WITHOUT ROWID;
CREATE INDEX techniques_changed ON techniques (changed);
CREATE INDEX techniques_task ON techniques (task);

-- Derived from the text that a record is found by, of active records alone.
CREATE VIRTUAL TABLE words USING fts5 (keys, tokenize = 'unicode61');
CREATE TABLE terms (term TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;

-- Derived: one for each text (`keyed` is its hash) and embedding, kept as long as the text is in the log.
CREATE TABLE vectors (
    keyed TEXT NOT NULL, embedding TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (keyed, embedding)
);

CREATE TABLE meter (
    operation TEXT PRIMARY KEY, calls INTEGER NOT NULL, tokens INTEGER NOT NULL, milliseconds REAL NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO meta VALUES ('id', lower(hex(randomblob(8))));
"""
