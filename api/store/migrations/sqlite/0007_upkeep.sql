-- When some work that is done now and then was last begun.
CREATE TABLE upkeep (
    what TEXT NOT NULL PRIMARY KEY,
    begun_ms INTEGER NOT NULL
) STRICT;
